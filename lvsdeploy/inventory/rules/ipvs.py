"""LVS2xx: the directors' IPVS itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.needs import needed_sysctls
from lvsdeploy.inventory.registry import Context, Hit, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOC = "https://docs.kernel.org/networking/ipvs-sysctl.html"


@rule(
    "LVS222",
    Severity.ERROR,
    "A sysctl of IPVS is declared otherwise than another part of the inventory needs it.",
    why="Masquerading needs conntrack = 1; directors that are real servers, too, need backup_only = 1.",
    fix="Leave the sysctl out: it is set where it is needed. Or leave out what needs it.",
    example="""
        nat: {gateway: 10.2.0.1/24, interface: eth1, masquerade: true}
        ipvs: {sysctls: {conntrack: false}}
        services:
          api: {vip: 192.0.2.51, port: 80, mode: nat, real_servers: [db1]}
    """,
    links=(_DOC,),
)
def sysctls_as_needed(context: Context) -> Iterator[Hit]:
    declared = dict(context.cluster.ipvs.sysctls)
    for need in needed_sysctls(context.cluster):
        value = declared.get(need.name, need.value)
        if value != need.value:
            path = ("ipvs", "sysctls", need.name)
            yield Hit(path, f"{need.name} is {value}, and has to be {need.value}", why=f"{need.why}.")


@rule(
    "LVS223",
    Severity.ERROR,
    "sync_threshold with two numbers that the kernel refuses.",
    why="A connection is copied at its packet FIRST of each EVERY, so FIRST is the smaller one; EVERY may be "
    "0, for once only.",
    fix='Write it as "FIRST EVERY", such as "3 50".',
    example='ipvs: {sysctls: {sync_threshold: "50 3"}}',
    links=(_DOC,),
)
def sync_threshold(context: Context) -> Iterator[Hit]:
    text = dict(context.cluster.ipvs.sysctls).get("sync_threshold", "3 50")
    first, every = map(int, str(text).split())
    if every and first >= every:
        yield Hit(("ipvs", "sysctls", "sync_threshold"), f"{first} is not below {every}")


@rule(
    "LVS232",
    Severity.ERROR,
    "A range of CPUs goes down.",
    why="The kernel refuses a list with such a range.",
    fix="Write the lower number first, such as 3-8.",
    example='ipvs: {sysctls: {est_cpulist: "8-3"}}',
    links=("https://docs.kernel.org/admin-guide/kernel-parameters.html",),
)
def cpus_go_up(context: Context) -> Iterator[Hit]:
    if "est_cpulist" not in dict(context.cluster.ipvs.sysctls):
        return
    text = str(context.data["ipvs"]["sysctls"]["est_cpulist"])
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            yield Hit(("ipvs", "sysctls", "est_cpulist"), f"{part} goes down")
