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
class _Value:
    """What a keyword's value may need beyond the keyword itself."""

    path: str
    pattern: str  # a regular expression that is found in such a value
    what: str
    since: str
    options: frozenset[str] = frozenset()


_SYNCD = frozenset({"IPVS_SYNCD_ATTRIBUTES"})
_METHOD = "virtual_server lvs_method"
_STATUS = "virtual_server real_server {} url status_code"
_VALUES = (
    _Value("virtual_server lvs_sched", r"^(fo|ovf)$", "scheduler fo or ovf", "1.3.6"),
    _Value("virtual_server lvs_sched", r"^mh$", "scheduler mh", "2.0.7"),
    _Value("virtual_server lvs_sched", r"^twos$", "scheduler twos", "2.2.5"),
    # check_parser.c, `vs_forwarding_handler`: all three came with 2.0.18, and with a kernel's headers
    _Value(_METHOD, r"\btype gue\b", "tunnels of type gue", "2.0.18", frozenset({"IPVS_TUN_TYPE"})),
    _Value(_METHOD, r"\btype gre\b", "tunnels of type gre", "2.0.18", frozenset({"IPVS_TUN_GRE"})),
    _Value(_METHOD, r"\b(rem)?csum\b", "checksums of tunnels", "2.0.18", frozenset({"IPVS_TUN_CSUM"})),
    *(
        _Value(_STATUS.format(check), r"\d[ -]\d", "choice of several status codes", "2.0.17")
        for check in ("HTTP_GET", "SSL_GET")
    ),
    _Value(
        "global_defs lvs_sync_daemon",
        r"\b(maxlen|port|ttl|group)\b",
        "length, port, group or TTL of the sync daemon",
        "1.3.5",
        _SYNCD,
    ),
)


def of_keepalived(state: HostState) -> Iterator[Need]:
    """What keepalived.conf needs, each once; what stands in a block after the block."""
    file = state.files.get(KEEPALIVED_CONF)
    if file is None:
        return
    seen = set()
    for path, rest in words(file.content.decode(errors="replace")):
        keyword = keywords().get(path)
        if keyword is None:
            continue  # keepalived itself says so when it tests the file
        found = [
            Need(f"`{path}`", keyword.key or keyword.own, keyword.since, keyword.needs, path=path),
        ]
        found += [
            Need(value.what, keyword.key, value.since, value.options)
            for value in _VALUES
            if value.path == path and re.search(value.pattern, rest)
        ]
        for need in found:
            if need not in seen:
                seen.add(need)
                yield need


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
_TUNNELS = {TunnelKind.GUE: "5.2", TunnelKind.GRE: "5.3"}
_CHECKSUMS = "5.3"
"""Commits 84c0d5e96f3a, 6f7b841bc939 and 29930e314da3 of Linux."""
_FAMILIES = "3.18"
"""A destination of another family than the VIP's: commit 6cff339bbd5f."""
_SERVICE = "services.NAME."


def of_kernel(state: HostState) -> Iterator[Need]:
    """What the table and the sysctls of IPVS need of the kernel, each once."""
    yield from dict.fromkeys(
        need for service in (state.virtual_services or {}).values() for need in _of_service(service)
    )
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
    for destination in service.destinations:
        tunnel = destination.tunnel
        if tunnel is not None and tunnel.kind in _TUNNELS:
            yield Need(f"tunnels of type {tunnel.kind}", f"{_SERVICE}tunnel.type", _TUNNELS[tunnel.kind])
        if tunnel is not None and tunnel.checksum is not Checksum.NONE:
            yield Need("checksums of tunnels", f"{_SERVICE}tunnel.checksum", _CHECKSUMS)
        if (":" in destination.address) != (service.key.family != _IPV4):
            yield Need(
                "real servers of another address family than the VIP", f"{_SERVICE}real_servers", _FAMILIES
            )


_IPV4 = 4


# --- ipvsadm ------------------------------------------------------------------------------------------------


def of_ipvsadm(state: HostState) -> Iterator[Need]:
    """What ipvsadm must know, to show the table as it is and to set it right, each once.

    https://git.kernel.org/pub/scm/utils/kernel/ipvsadm/ipvsadm.git
    """
    yield from dict.fromkeys(
        need for service in (state.virtual_services or {}).values() for need in _shown(service)
    )


def _shown(service: VirtualService) -> Iterator[Need]:
    if service.scheduler_flags:
        mh = any(flag.startswith("mh-") for flag in service.scheduler_flags)
        yield Need("flags of schedulers", f"{_SERVICE}scheduler_flags", "1.30" if mh else "1.27")
    if service.engine:
        yield Need("persistence engines", f"{_SERVICE}persistence_engine", "1.26")
    for destination in service.destinations:
        tunnel = destination.tunnel
        if tunnel is not None and tunnel.kind is not TunnelKind.IPIP:
            since = "1.30" if tunnel.kind is TunnelKind.GUE else "1.31"
            yield Need(f"tunnels of type {tunnel.kind}", f"{_SERVICE}tunnel.type", since)
        if tunnel is not None and tunnel.checksum is not Checksum.NONE:
            yield Need("checksums of tunnels", f"{_SERVICE}tunnel.checksum", "1.31")
        if (":" in destination.address) != (service.key.family != _IPV4):
            yield Need(
                "real servers of another address family than the VIP", f"{_SERVICE}real_servers", "1.28"
            )


def version(text: str) -> tuple[int, ...] | None:
    """The numbers that a version begins with: of `5.14.0-427.el9.x86_64` (5, 14, 0); None for none."""
    found = re.match(r"\d{1,9}(\.\d{1,9})+", text)
    return as_numbers(found[0]) if found else None
