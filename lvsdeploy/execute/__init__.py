"""Effects: hosts are read and changed here, one connection each."""
