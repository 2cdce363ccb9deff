"""What a director's declaration needs of keepalived, the kernel and ipvsadm, and since when they have it.

Asked of what the host is to become, so it holds for templates of one's own, and for an earlier apply, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lvsdeploy.desired.keywords import as_numbers, keywords, words
from lvsdeploy.desired.paths import KEEPALIVED_CONF
from lvsdeploy.state.ipvs import Checksum, TunnelKind
from lvsdeploy.state.sysctl import of_ipvs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lvsdeploy.state.file import File
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.ipvs import VirtualService


@dataclass(frozen=True)
class Need:
    """A feature: what it is called, the key of the inventory that asks for it, and what it needs.

    `since` is a version, "" for one so old that it does not matter; `options` what keepalived must be built
    with; `module` a kernel module, `sysctl` a kernel's key, whose being there tells more than a number.
    `path` is that of a keyword of keepalived.conf.
    """

    what: str
    key: str = ""
    since: str = ""
    options: frozenset[str] = frozenset()
    module: str = ""
    sysctl: str = ""
    path: str = ""


# --- keepalived ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Value:
    """What a keyword's value may need beyond the keyword itself."""

    path: str
    pattern: str  # a regular expression that is found in such a value
    what: str
    since: str
    options: frozenset[str] = frozenset()


_SYNC_DAEMON, _SYNC_OPTIONS = "global_defs lvs_sync_daemon", r"\b(maxlen|port|ttl|group)\b"
_SYNC_WHAT = "length, port, group or TTL of the sync daemon"
_METHODS = (
    "virtual_server lvs_method",
    "virtual_server sorry_server_lvs_method",
    "virtual_server real_server lvs_method",
)
_STATUS = "virtual_server real_server {} url status_code"
VALUES = (
    Value("virtual_server lvs_sched", r"^(fo|ovf)$", "scheduler fo or ovf", "1.3.6"),
    Value("virtual_server lvs_sched", r"^mh$", "scheduler mh", "2.0.7"),
    Value("virtual_server lvs_sched", r"^twos$", "scheduler twos", "2.2.5"),
    # check_parser.c, `vs_forwarding_handler`: all three came with 2.0.18, and with a kernel's headers
    *(
        Value(method, pattern, what, "2.0.18", frozenset({built_with}))
        for method in _METHODS
        for pattern, what, built_with in (
            (r"\btype gue\b", "tunnels of type gue", "IPVS_TUN_TYPE"),
            (r"\btype gre\b", "tunnels of type gre", "IPVS_TUN_GRE"),
            (r"\b(rem)?csum\b", "checksums of tunnels", "IPVS_TUN_CSUM"),
        )
    ),
    *(
        Value(_STATUS.format(check), r"\d[ -]\d", "choice of several status codes", "2.0.17")
        for check in ("HTTP_GET", "SSL_GET")
    ),
    Value(_SYNC_DAEMON, _SYNC_OPTIONS, _SYNC_WHAT, "1.3.5", frozenset({"IPVS_SYNCD_ATTRIBUTES"})),
)


def of_keepalived(state: HostState) -> Iterator[Need]:
    """What keepalived.conf needs, each once; what stands in a block after the block."""
    file = state.files.get(KEEPALIVED_CONF)
    if file is None:
        return
    seen = set()
    for path, rest in _words_of(file):
        keyword = keywords().get(path)
        if keyword is None:
            continue  # keepalived itself says so when it tests the file
        found = [
            Need(f"`{path}`", keyword.key or keyword.own, keyword.since, keyword.needs, path=path),
        ]
        found += [
            Need(value.what, keyword.key, value.since, value.options)
            for value in VALUES
            if value.path == path and re.search(value.pattern, rest)
        ]
        for need in found:
            if need not in seen:
                seen.add(need)
                yield need


def _words_of(file: File) -> Iterator[tuple[str, str]]:
    return words(file.content.decode(errors="replace"))


# --- the kernel ---------------------------------------------------------------------------------------------

SCHEDULERS = {"fo": "3.18", "ovf": "4.3", "mh": "4.18", "twos": "5.12"}
"""Since when the kernel has those that are not as old as IPVS (net/netfilter/ipvs/Kconfig)."""
SYSCTLS = {
    "backup_only": "3.9",
    "sloppy_tcp": "3.11",
    "sloppy_sctp": "3.11",
    "sync_persist_mode": "3.11",
    "conn_reuse_mode": "4.1",
    "schedule_icmp": "4.4",
    "ignore_tunneled": "4.4",
    "run_estimation": "5.16",
    "est_cpulist": "6.2",
    "est_nice": "6.2",
}
"""The same for net.ipv4.vs.* (Documentation/networking/ipvs-sysctl.rst and its history).

RHEL 9 has run_estimation in its 5.14: https://gitlab.com/redhat/centos-stream/src/kernel/centos-stream-9/-/merge_requests/2181
"""
_FLAGS, _MH_FLAGS, _ENGINES = "flags of schedulers", "flags of the scheduler mh", "persistence engines"
_GUE, _GRE, _CHECKSUMS = "tunnels of type gue", "tunnels of type gre", "checksums of tunnels"
_FAMILIES = "real servers of another address family than the VIP"
KERNEL = {_GUE: "5.2", _GRE: "5.3", _CHECKSUMS: "5.3", _FAMILIES: "3.18", _SYNC_WHAT: "4.3"}
"""The same for what no module shows.

Commits 84c0d5e96f3a, 6f7b841bc939, 29930e314da3 and 6cff339bbd5f; the last one is
IPVS_DAEMON_ATTR_SYNC_MAXLEN and those after it in include/uapi/linux/ip_vs.h, of August 2015.
"""
IPVSADM = {
    _ENGINES: "1.26",
    _FLAGS: "1.27",
    _FAMILIES: "1.28",
    _GUE: "1.30",
    _MH_FLAGS: "1.30",
    _GRE: "1.31",
    _CHECKSUMS: "1.31",
}
"""Since when ipvsadm can set and show it (https://git.kernel.org/pub/scm/utils/kernel/ipvsadm/ipvsadm.git)."""
_SERVICE = "services.NAME."


def of_kernel(state: HostState) -> Iterator[Need]:
    """What the table, the sysctls of IPVS and VRRP need of the kernel, each once."""
    yield from dict.fromkeys(
        need for service in (state.virtual_services or {}).values() for need in _of_service(service)
    )
    file = state.files.get(KEEPALIVED_CONF)
    told = dict(_words_of(file)) if file is not None else {}
    if "vrrp_instance use_vmac" in told:
        yield Need("interfaces with VRRP's MAC address", "vrrp.vmac", module="macvlan")
    if re.search(_SYNC_OPTIONS, told.get(_SYNC_DAEMON, "")):
        yield Need(_SYNC_WHAT, "vrrp.sync_daemon", KERNEL[_SYNC_WHAT])
    for key in state.sysctls:
        if of_ipvs(key):
            name = key.rpartition(".")[2]
            yield Need(f"sysctl {key}", f"ipvs.sysctls.{name}", SYSCTLS.get(name, ""), sysctl=key)


def _of_service(service: VirtualService) -> Iterator[Need]:
    scheduler = service.scheduler
    yield Need(
        f"scheduler {scheduler}",
        f"{_SERVICE}scheduler",
        SCHEDULERS.get(scheduler, ""),
        module=f"ip_vs_{scheduler}",
    )
    if service.engine:
        yield Need(
            f"persistence engine {service.engine}",
            f"{_SERVICE}persistence_engine",
            module=f"ip_vs_pe_{service.engine}",
        )
    for what, key in _of_destinations(service):
        yield Need(what, key, KERNEL[what])


def _of_destinations(service: VirtualService) -> Iterator[tuple[str, str]]:
    """(what, key of the inventory) that both the kernel and ipvsadm must know."""
    for destination in service.destinations:
        tunnel = destination.tunnel
        if tunnel is not None and tunnel.kind is not TunnelKind.IPIP:
            yield (_GUE if tunnel.kind is TunnelKind.GUE else _GRE), f"{_SERVICE}tunnel.type"
        if tunnel is not None and tunnel.checksum is not Checksum.NONE:
            yield _CHECKSUMS, f"{_SERVICE}tunnel.checksum"
        if (":" in destination.address) != (service.key.family != _IPV4):
            yield _FAMILIES, f"{_SERVICE}real_servers"


_IPV4 = 4


# --- ipvsadm ------------------------------------------------------------------------------------------------


def of_ipvsadm(state: HostState) -> Iterator[Need]:
    """What ipvsadm must know, to show the table as it is and to set it right, each once."""
    yield from dict.fromkeys(
        Need(what, key, IPVSADM[what])
        for service in (state.virtual_services or {}).values()
        for what, key in _shown(service)
    )


def _shown(service: VirtualService) -> Iterator[tuple[str, str]]:
    if service.scheduler_flags:
        of_mh = any(flag.startswith("mh-") for flag in service.scheduler_flags)
        yield (_MH_FLAGS if of_mh else _FLAGS), f"{_SERVICE}scheduler_flags"
    if service.engine:
        yield _ENGINES, f"{_SERVICE}persistence_engine"
    yield from _of_destinations(service)


def version(text: str) -> tuple[int, ...] | None:
    """The numbers that a version begins with: of `5.14.0-427.el9.x86_64` (5, 14, 0); None for none."""
    found = re.match(r"\d{1,9}(\.\d{1,9})+", text)
    return as_numbers(found[0]) if found else None
