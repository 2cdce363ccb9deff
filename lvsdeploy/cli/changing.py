"""The verbs that change hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lvsdeploy.cli.group import lvsdeploy
from lvsdeploy.cli.options import asking, common, drain_timeout, hosts, inventory, lock_timeout, shown

if TYPE_CHECKING:
    from pathlib import Path

    from lvsdeploy.errors import ExitCode


@lvsdeploy.command(short_help="Make the cluster as declared.")
@inventory
@hosts
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@asking
@click.option(
    "--adopt",
    is_flag=True,
    help="Take over files that somebody else wrote; a copy is kept beside each.",
)
@drain_timeout
@click.option(
    "--confirm",
    type=click.IntRange(5, 3600),
    metavar="SECONDS",
    help="A host puts its change back by itself unless a new login has seen in this time that all is well.",
)
@click.option(
    "--serial",
    metavar="N|P%",
    help="Real servers in waves of N, or of P percent; a wave that fails stops the rest.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    metavar="N",
    help="With --serial: go on to the next wave while no more real servers than this have failed.",
)
@lock_timeout
@shown
def apply(inventory: Path, **options: Any) -> ExitCode:
    """Make the cluster as declared: plan, ask (on a terminal), change, read again.

    Real servers come before directors, the BACKUP director before the MASTER. Each host's change is one
    transaction: when a step fails, what was done on that host is undone; when the host or its shell dies in
    the middle, the next apply undoes it first. A director waits for all real servers.

    A running keepalived is reloaded, never restarted. A real server that is removed gets no new connections
    first, and those it has may end (--drain-timeout). A second apply changes nothing.

    INVENTORY may be a plan that was saved by `plan --out`: then exactly that is done, without asking, or
    nothing if the hosts have changed since.
    """
    from lvsdeploy.cli.running import Applying, run_apply

    shared = common(options)
    return run_apply(inventory, shared, Applying(**options))


@lvsdeploy.command(short_help="Take a real server out of service, gently.")
@inventory
@click.argument("host", metavar="HOST")
@hosts
@click.option("--service", metavar="SERVICE", help="Only in this service; otherwise in all of them.")
@click.option("--wait", is_flag=True, help="Wait until its connections have ended.")
@click.option(
    "--drain-timeout",
    type=click.IntRange(1, 86_400),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: how long. Exit 1 when there are connections left then.",
)
@click.option("--force", is_flag=True, help="Also when a service is left without any real server.")
@lock_timeout
@shown
def drain(inventory: Path, host: str, **options: Any) -> ExitCode:
    """Take a real server out of service, gently: it gets no new connections, and those it has go on.

    Its weight becomes 0 on every director. They remember it, so neither `apply` nor `check` calls it drift,
    and it outlasts a reload, a failover and a reboot, until `undrain`. `status` shows since when and by whom.

    Clients of a persistent service go on to reach a drained real server while their template lives.
    """
    from lvsdeploy.cli.running import run_drain

    shared = common(options)
    return run_drain(inventory, host, shared, **options)


@lvsdeploy.command(short_help="Bring a drained real server back.")
@inventory
@click.argument("host", metavar="HOST")
@hosts
@click.option("--service", metavar="SERVICE", help="Only in this service; otherwise in all of them.")
@lock_timeout
@shown
def undrain(inventory: Path, host: str, **options: Any) -> ExitCode:
    """Bring a drained real server back: its weight is the declared one again, on every director."""
    from lvsdeploy.cli.running import run_undrain

    shared = common(options)
    return run_undrain(inventory, host, shared, **options)


@lvsdeploy.command(short_help="Put back what an earlier apply replaced.")
@inventory
@hosts
@click.option("--to", metavar="ID", help="What the hosts were after this apply; see `lvsdeploy history`.")
@asking
@drain_timeout
@lock_timeout
@shown
def rollback(inventory: Path, **options: Any) -> ExitCode:
    """Put back what the last apply replaced, or go back to what the hosts were after an earlier one.

    Shows what will change, and asks (on a terminal). It is one more apply: a rollback of a rollback goes
    forward again, and `history` shows both. The inventory only says which hosts to ask; until it says what
    the hosts are now, `check` finds them changed in the inventory.
    """
    from lvsdeploy.cli.running import run_rollback

    shared = common(options)
    return run_rollback(inventory, shared, **options)


@lvsdeploy.command(short_help="Take away all that lvsdeploy put on the hosts.")
@inventory
@hosts
@asking
@lock_timeout
@shown
def destroy(inventory: Path, **options: Any) -> ExitCode:
    """Take away all that lvsdeploy put on the hosts, and nothing else. Asks first (on a terminal).

    Directors come before real servers. What was there before the first apply comes back: files that were
    adopted, sysctls, the default route, services. Packages that were installed stay.

    A host that is not in the inventory any more is named by its address: --limit 192.0.2.13
    """
    from lvsdeploy.cli.running import run_destroy

    shared = common(options)
    return run_destroy(inventory, shared, **options)
