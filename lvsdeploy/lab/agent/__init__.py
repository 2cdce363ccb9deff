"""The program that makes machines and runs commands in them, on each kernel of a lab.

Standard library only, and few modules of it: in UML it starts from a slow file system. It is run
as `agent.main`, by that name, so that importing it does not import the rest of lvsdeploy; inside
the package every import is relative.
"""
