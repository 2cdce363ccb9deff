"""The verbs that change no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lvsdeploy.cli.group import lvsdeploy
from lvsdeploy.cli.options import common, drain_timeout, hosts, inventory, shown
from lvsdeploy.errors import ExitCode


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
@drain_timeout
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when changes are pending.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the plan; `lvsdeploy apply FILE` carries out exactly this, or refuses.",
)
@shown
def plan(
    inventory: Path,
    *,
    adopt: bool,
    drain_timeout: int,
    detailed_exitcode: bool,
    out: Path | None,
    **options: Any,
) -> ExitCode:
    """Read every host and show what apply would change, and why. Changes nothing.

    \b
    In the list: + to create, ~ to change, - to remove. The reason stands in brackets:
      not there yet               nothing of the kind has been applied here
      changed in the inventory    it is as the last apply left it, and declared otherwise now
      changed on the host         it is not as the last apply left it: drift
      no longer declared          lvsdeploy put it there, and nothing declares it now
      written by somebody else    lvsdeploy did not put it there; a file needs --adopt

    A plan that is saved (--out, readable by you alone) holds no secret and no file's content: what it is made
    from, and a fingerprint of each host and its changes.
    """
    from lvsdeploy.cli.output import show
    from lvsdeploy.cli.session import open_session
    from lvsdeploy.execute.aims import Options
    from lvsdeploy.results import Planned

    shared = common(options)
    allowed = Options(adopt=adopt, drain=drain_timeout)
    with open_session(inventory, shared, options=allowed) as session:
        result = Planned(session.read(), detailed=detailed_exitcode)
        show(result, shared)
        if out is not None and result.exit_code in (ExitCode.OK, ExitCode.CHANGES):
            from lvsdeploy.cli.saved import save

            save(session, inventory, shared, out)
        elif out is not None:
            click.echo(f"{out}: not saved: a plan that cannot be carried out is of no use", err=True)
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
    from lvsdeploy.cli.session import open_session
    from lvsdeploy.results import Checked

    shared = common(options)
    with open_session(inventory, shared) as session:
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
    from lvsdeploy.cli.session import open_session
    from lvsdeploy.execute.aims import Options
    from lvsdeploy.status import status_of

    shared = common(options)
    with open_session(
        inventory, shared, options=Options(counters=True), directors_for="status asks directors only"
    ) as session:
        read = session.read()
        result = status_of(session.cluster, session.observations(), read, session.records())
    show(result, shared)
    return result.exit_code


@lvsdeploy.command(short_help="Show what was applied, when and by whom.")
@inventory
@hosts
@shown
def history(inventory: Path, **options: Any) -> ExitCode:
    """Show what changed the hosts, the newest first: when, by whom, and what.

    Each host remembers the last ten. The first column is what `rollback --to` takes.
    """
    from lvsdeploy.cli.output import show
    from lvsdeploy.cli.session import open_session
    from lvsdeploy.history import history_of

    shared = common(options)
    with open_session(inventory, shared) as session:
        result = history_of(session.read(), session.records())
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
