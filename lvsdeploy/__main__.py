"""`python -m lvsdeploy`."""

from lvsdeploy.cli import main

main()
