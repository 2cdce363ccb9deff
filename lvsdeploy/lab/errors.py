"""Everything the lab raises.

LabError            the lab cannot do it; the message says what to do
 +- LabTimeout      it did not end in time
 +- CommandFailed   a command in a machine ended with a code that is not 0
"""

from lvsdeploy.errors import LvsdeployError


class LabError(LvsdeployError):
    pass


class LabTimeout(LabError):
    pass


class CommandFailed(LabError):
    """A command's exit code was not 0; `code`, `stdout` and `stderr` hold what it left."""

    def __init__(self, where: str, script: str, code: int, stdout: str, stderr: str) -> None:
        first = script.strip().splitlines()[0] if script.strip() else script
        said = (stderr.strip() or stdout.strip())[-2000:]
        super().__init__(f"{where}: `{first}` exited with {code}: {said}")
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
