"""The verbs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lvsdeploy import __version__
from lvsdeploy.cli.options import common, hosts, inventory, shown
from lvsdeploy.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.cli.options import Common
    from lvsdeploy.execute.cluster import Session


class Verbs(click.Group):
    """The verbs in the order that people meet them, and a word about those that do not exist yet."""

    ORDER = ("init", "validate", "render", "plan", "apply", "check", "status", "explain", "schema", "lab")
    LATER = frozenset({"verify", "drain", "undrain", "rollback", "destroy", "graph", "import"})

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
    Exit codes:
      0   done, or nothing to do
      1   something failed
      2   drift (check), changes pending (plan --detailed-exitcode)
      3   the inventory is invalid
      4   a host could not be reached or logged in to
      64  the command line is wrong
    """


@lvsdeploy.command(short_help="Check inventories; no host is contacted.")
@click.argument(
    "inventories", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="INVENTORY..."
)
@shown
def validate(inventories: tuple[Path, ...], **options: Any) -> ExitCode:
    """Check inventories: the schema, and the rules that know LVS. No host is contacted.

    Several inventories are also checked against each other: a VIP or a virtual router id that two of them
    claim, one cluster name twice on a host.
    """
    from lvsdeploy.cli.output import show
    from lvsdeploy.cli.validation import validate_files

    result = validate_files(inventories)
    show(result, common(options))
    return result.exit_code


@lvsdeploy.command(short_help="Write the files each host would get; no host is contacted.")
@inventory
@click.option("--host", "only", metavar="HOST", help="Only this host.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write DIR/HOST/etc/... instead of printing.",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on an error.")
def render(inventory: Path, only: str | None, out: Path | None) -> ExitCode:
    """Write the files each host would get, as if all ran systemd. No host is contacted.

    Printed files have secrets masked; files written with --out hold them, readable by you alone.
    """
    from lvsdeploy.cli.rendering import render_tree

    render_tree(_load(inventory), only, out)
    return ExitCode.OK


@lvsdeploy.command(short_help="Show what apply would change on the hosts, and why.")
@inventory
@hosts
@click.option("--adopt", is_flag=True, help="Plan to take over files that somebody else wrote.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when changes are pending.")
@shown
def plan(inventory: Path, *, adopt: bool, detailed_exitcode: bool, **options: Any) -> ExitCode:
    """Read every host and show what apply would change, and why. Changes nothing.

    \b
    In the list: + to create, ~ to change, - to remove. The reason stands in brackets:
      not there yet               nothing of the kind has been applied here
      changed in the inventory    it is as the last apply left it, and declared otherwise now
      changed on the host         it is not as the last apply left it: drift
      no longer declared          lvsdeploy put it there, and nothing declares it now
      written by somebody else    lvsdeploy did not put it there; a file needs --adopt
    """
    from lvsdeploy.cli.output import show
    from lvsdeploy.results import Planned

    shared = common(options)
    with _session(inventory, shared, adopt=adopt) as session:
        result = Planned(session.read(), detailed=detailed_exitcode)
    show(result, shared)
    return result.exit_code


@lvsdeploy.command(short_help="Make the cluster as declared.")
@inventory
@hosts
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nothing is asked anyway.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Take over files that somebody else wrote; a copy is kept beside each.",
)
@shown
def apply(inventory: Path, *, dry_run: bool, yes: bool, adopt: bool, **options: Any) -> ExitCode:
    """Make the cluster as declared: plan, ask (on a terminal), change, read again.

    Real servers come before directors, the BACKUP director before the MASTER. Each host's change is one
    transaction: when a step fails, what was done on that host is undone. A director is left alone while one
    of its real servers is not ready.

    A running keepalived is reloaded, never restarted. A second apply changes nothing.
    """
    from lvsdeploy.cli.output import show
    from lvsdeploy.results import Planned

    shared = common(options)
    with _session(inventory, shared, adopt=adopt) as session:
        planned = Planned(session.read())
        if dry_run:
            show(planned, shared)
            return planned.exit_code
        if planned.plan.changes and shared.output == "text":
            show(planned, shared)
            if not yes and sys.stdin.isatty():
                click.confirm("Apply these changes?", abort=True)
        result = session.apply()
    show(result, shared)
    return result.exit_code


@lvsdeploy.command(short_help="Is the cluster as declared? Exit 2 and a list when not.")
@inventory
@hosts
@shown
def check(inventory: Path, **options: Any) -> ExitCode:
    """Is the cluster as declared? Exit 2 and a list when not. Changes nothing.

    It compares files, sysctls in effect, addresses, routes, services and the kernel's IPVS table. A real
    server that is out of the table because its health check fails is told, and is no drift.

    \b
    In cron:  lvsdeploy check shop.yaml || mail -s 'shop: drift' ops
    In CI:    lvsdeploy check shop.yaml --output junit > report.xml
    """
    from lvsdeploy.cli.output import show
    from lvsdeploy.results import Checked

    shared = common(options)
    with _session(inventory, shared) as session:
        result = Checked(session.read())
    show(result, shared)
    return result.exit_code


@lvsdeploy.command(short_help="Show what the directors balance now, and who is MASTER.")
@inventory
@hosts
@shown
def status(inventory: Path, **options: Any) -> ExitCode:
    """Show what the directors balance right now, and who is MASTER. Only directors are asked."""
    from lvsdeploy.cli.output import show
    from lvsdeploy.status import status_of

    shared = common(options)
    with _session(inventory, shared, status=True) as session:
        read = session.read()
        result = status_of(session.cluster, session.observations(), read)
    show(result, shared)
    return result.exit_code


@lvsdeploy.command(short_help="Show the page of a finding.")
@click.argument("code")
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on an error.")
def explain(code: str) -> ExitCode:
    """Show the page of a finding: what it means, why it matters, how to mend it.

    CODE is what stands in brackets behind `error`, `warning` or `note`:  lvsdeploy explain LVS101
    """
    from lvsdeploy.explain import page

    click.echo(page(code))
    return ExitCode.OK


@lvsdeploy.command(short_help="Print a commented inventory to start from.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def init(file: Path | None) -> ExitCode:
    """Print a commented inventory to start from, or write it to FILE, which must not exist yet."""
    from lvsdeploy.errors import LvsdeployError
    from lvsdeploy.resources import data_path

    text = data_path("templates").joinpath("inventory.yaml").read_text("utf-8")
    if file is None:
        click.echo(text, nl=False)
        return ExitCode.OK
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise LvsdeployError(f"{file}: {error.strerror}") from error
    click.echo(f"Wrote {file}. Edit it, then: lvsdeploy validate {file}", err=True)
    return ExitCode.OK


@lvsdeploy.command(short_help="Print the JSON schema of an inventory, for editors.")
def schema() -> ExitCode:
    """Print the JSON schema of an inventory, for editors.

    \b
    lvsdeploy schema > inventory.schema.json
    and as the first line of the inventory:
    # yaml-language-server: $schema=inventory.schema.json
    """
    from lvsdeploy.resources import data_path

    click.echo(data_path("schemas").joinpath("inventory.schema.json").read_text("utf-8"), nl=False)
    return ExitCode.OK


@lvsdeploy.command(
    short_help="Rehearse: an inventory's machines on this machine.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@inventory
@click.option(
    "--init",
    type=click.Choice(("sshd", "systemd")),
    default="sshd",
    show_default=True,
    help="What runs as the machines' first process.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on an error.")
def lab(inventory: Path, init: str, command: tuple[str, ...]) -> int:
    """Rehearse: boot the inventory's hosts as machines on this machine, with real IPVS, VRRP and sshd.

    COMMAND (default: a shell) runs in their network, and its exit code is passed on; then all of it is gone.
    Needs root, and what `make test` installs. Options of lab itself come before INVENTORY.

    \b
    lvsdeploy lab shop.yaml
    lvsdeploy lab --init systemd shop.yaml lvsdeploy apply shop.yaml
    """
    from lvsdeploy.cli.laboratory import run_in_lab

    return run_in_lab(inventory, init, command)


def _load(path: Path) -> Any:
    from lvsdeploy.inventory import load

    return load(path).cluster


@contextmanager
def _session(path: Path, shared: Common, *, adopt: bool = False, status: bool = False) -> Iterator[Session]:
    """The hosts of an inventory, not yet connected. Its warnings go to stderr."""
    from lvsdeploy.cli.output import progress, show, show_findings
    from lvsdeploy.diagnostics import Severity
    from lvsdeploy.errors import InventoryInvalid, UsageError
    from lvsdeploy.execute.cluster import Session
    from lvsdeploy.inventory import load
    from lvsdeploy.plan.selection import select
    from lvsdeploy.results import Validated, ValidatedFile
    from lvsdeploy.ssh import Connector

    try:
        loaded = load(path)
    except InventoryInvalid as error:
        if shared.output == "text":
            raise
        result = Validated((ValidatedFile(str(path), "", error.findings),))
        show(result, shared)
        raise click.exceptions.Exit(int(result.exit_code)) from None
    show_findings(tuple(f for f in loaded.findings if f.severity is Severity.WARNING))
    cluster = loaded.cluster
    chosen = select(cluster, shared.limit)
    if status:
        chosen &= {director.name for director in cluster.directors}
        if not chosen:
            raise UsageError("--limit: no director is among these hosts, and status asks directors only")
    with (
        progress(shared) as write,
        Session(
            cluster,
            Connector(),
            hosts=chosen,
            parallel=shared.parallel,
            adopt=adopt,
            counters=status,
            progress=write,
        ) as session,
    ):
        yield session
