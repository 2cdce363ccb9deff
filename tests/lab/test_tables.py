"""Random IPVS tables with every option, written for a real ipvsadm and read back from the kernel."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lvsdeploy.inventory.model import Scheduler
from lvsdeploy.lab import Machine, Topology
from lvsdeploy.observe import Request, ipvs_table, parse, probe_command
from tests.lab.conftest import LAN, on_lan, opened
from tests.observe.tables import tables
from tests.plan.test_by_hand import commands, edited
from tests.plan.test_by_hand import director as planned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.lab import Lab
    from lvsdeploy.state.ipvs import VirtualService

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and needs root"),
]

# Debian's 6.1 has no ip_vs_twos.
SCHEDULERS = tuple(scheduler for scheduler in Scheduler if scheduler is not Scheduler.TWOS)


@pytest.fixture(scope="module")
def director() -> Iterator[Lab]:
    lab = opened(Topology(networks=(LAN,), machines=(Machine("lvs1", (on_lan(2),), ipvs=True),)))
    yield lab
    lab.close()


def restore(lab: Lab, table: list[VirtualService]) -> None:
    """The director's table becomes this one, by what is saved for its boot. No word may be said."""
    # ipvsadm reads a mark's sign back as no mark at all: what is saved for a boot has none.
    text = ipvs_table.rules(table)
    said = lab.exec("lvs1", f"ipvsadm -C; ipvsadm -R 2>&1 <<'EOF'\n{text}EOF").stdout
    assert said == "", text


def observed(lab: Lab, expected: list[VirtualService]) -> tuple[bytes, list[VirtualService]]:
    """What the probe says of the director's table, and how it is read."""
    request = Request(table=frozenset(expected))
    command, asked = probe_command(request)
    answer = lab.exec("lvs1", f"{command} <<'EOF'\n{asked.decode()}EOF").stdout.encode()
    state = parse("lvs1", answer, request).state
    assert state.virtual_services is not None
    word = next(line for line in answer.splitlines() if b" table " in line).rpartition(b" ")[2]
    return word, list(state.virtual_services.values())


def sorted_by_key(table: list[VirtualService]) -> list[VirtualService]:
    return sorted(table, key=lambda service: service.key)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(schedulers=SCHEDULERS))
def test_a_table_is_read_back_as_it_was_written(director: Lab, table: list[VirtualService]) -> None:
    restore(director, table)
    saved = director.exec("lvs1", "ipvsadm -Sn").stdout
    listed = director.exec("lvs1", "ipvsadm -Ln --thresholds").stdout
    assert sorted(saved.splitlines()) == sorted(ipvs_table.render(table).splitlines())
    read = ipvs_table.parse(saved, listed)
    assert read == {service.key: service for service in table}
    mine = [line.split() for line in ipvs_table.listing(table).splitlines()]
    cut = [line.split() for line in listed.splitlines()[3:]]
    shown = [words if words[0] == "->" else words[: words.index(s) + 1] for words, s in _schedulers(cut)]
    assert sorted(shown) == sorted(mine)


def _schedulers(lines: list[list[str]]) -> Iterator[tuple[list[str], str]]:
    """Each line of a listing, and the word of its scheduler."""
    for words in lines:
        yield words, next((word for word in words if word in set(Scheduler)), "")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), table=tables(schedulers=SCHEDULERS))
def test_the_steps_of_a_plan_make_one_table_of_another(
    director: Lab, data: st.DataObject, table: list[VirtualService]
) -> None:
    """Any option of a service and of a destination is changed by an edit, in a real kernel."""
    wanted = data.draw(edited(table, schedulers=SCHEDULERS))
    restore(director, table)
    lines = [f"ipvsadm {shlex.join(words)} 2>&1" for words in commands(planned(table, wanted))]
    assert director.exec("lvs1", "\n".join(lines) + "\n:").stdout == ""
    saved = director.exec("lvs1", "ipvsadm -Sn").stdout
    listed = director.exec("lvs1", "ipvsadm -Ln --thresholds").stdout
    assert ipvs_table.parse(saved, listed) == {service.key: service for service in wanted}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(schedulers=SCHEDULERS), other=tables(schedulers=SCHEDULERS))
def test_the_probe_knows_a_table_by_its_digest(
    director: Lab, table: list[VirtualService], other: list[VirtualService]
) -> None:
    restore(director, table)
    word, read = observed(director, table)
    if table:  # the probe does not ask for the digest of an empty one
        assert word == b"same"
    assert sorted_by_key(read) == sorted_by_key(table)
    word, read = observed(director, other)
    if sorted_by_key(other) != sorted_by_key(table):
        assert word == b"differs"
    assert sorted_by_key(read) == sorted_by_key(table)
