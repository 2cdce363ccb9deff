"""The command `lvsdeploy`, to which the verbs are added."""

from __future__ import annotations

import click

from lvsdeploy import __version__


class Verbs(click.Group):
    """The verbs in the order that people meet them, and a word about those that do not exist yet."""

    ORDER = (
        *("init", "validate", "render", "plan", "apply", "check", "status", "drain", "undrain", "history"),
        *("rollback", "destroy", "explain", "schema", "lab"),
    )
    LATER = frozenset({"verify", "graph", "import"})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.ORDER, *sorted(set(super().list_commands(ctx)) - set(self.ORDER))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name in self.LATER:
            raise click.UsageError(f"`{cmd_name}` is not built yet in lvsdeploy {__version__}.", ctx)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lvsdeploy")
def lvsdeploy() -> None:
    """Provision Linux Virtual Server (IPVS) clusters: declared in one YAML file, applied over SSH.

    \b
    From nothing to a cluster:
      lvsdeploy init shop.yaml        a commented inventory; edit it
      lvsdeploy validate shop.yaml    is it right? no host is contacted
      lvsdeploy plan shop.yaml        what would change on the hosts, and why
      lvsdeploy apply shop.yaml       change it
      lvsdeploy check shop.yaml       is it still so? for cron and CI

    \b
    And while it serves:
      lvsdeploy drain shop.yaml web1  no new connections; undrain brings it back
      lvsdeploy history shop.yaml     what was applied, when and by whom
      lvsdeploy rollback shop.yaml    put back what the last apply replaced
      lvsdeploy destroy shop.yaml     take away all that lvsdeploy put there

    \b
    Exit codes:
      0   done, or nothing to do
      1   something failed
      2   drift (check), changes pending (plan --detailed-exitcode)
      3   the inventory is invalid
      4   a host could not be reached or logged in to
      64  the command line is wrong
    """
