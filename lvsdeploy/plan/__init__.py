"""The difference between desired and actual, with a reason for each change. Pure."""
