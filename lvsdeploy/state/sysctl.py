"""Sysctls, and what they amount to on an interface.

The kernel does not use `conf.IFACE.NAME` alone. For most of the names that matter to LVS it takes the larger
of `conf.all` and the value of the interface that the packet came in on; for `send_redirects` it is enough
that either is set. So a value is compared as it takes effect.
https://docs.kernel.org/networking/ip-sysctl.html (arp_ignore, arp_announce, rp_filter, send_redirects)

Of IPv6 no such names are among those that matter here: each value stands for itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

_PER_INTERFACE = re.compile(r"net\.(?P<family>ipv[46])\.conf\.(?P<interface>[^/]+)\.(?P<name>[a-z0-9_]+)\Z")

Value: TypeAlias = int | str
"""A number, or, where the kernel has several in one sysctl, its text with single spaces: `3 50`."""

MAX_OF_ALL = frozenset({"arp_ignore", "arp_announce", "rp_filter"})
OR_OF_ALL = frozenset({"send_redirects"})
COMBINED = MAX_OF_ALL | OR_OF_ALL
"""Names whose value under `conf.all` takes part in the effective value of each interface."""


_OF_IPVS = "net.ipv4.vs."
IPVS: Mapping[str, Value] = {
    "am_droprate": 10,
    "amemthresh": 1024,
    "backup_only": 0,
    "cache_bypass": 0,
    "conn_reuse_mode": 1,
    "conntrack": 0,
    "drop_entry": 0,
    "drop_packet": 0,
    "est_nice": 0,
    "expire_nodest_conn": 0,
    "expire_quiescent_template": 0,
    "ignore_tunneled": 0,
    "nat_icmp_send": 0,
    "pmtu_disc": 1,
    "run_estimation": 1,
    "schedule_icmp": 0,
    "secure_tcp": 0,
    "sloppy_sctp": 0,
    "sloppy_tcp": 0,
    "snat_reroute": 1,
    "sync_persist_mode": 0,
    "sync_ports": 1,
    "sync_refresh_period": 0,
    "sync_retries": 0,
    "sync_sock_size": 0,
    "sync_threshold": "3 50",
    "sync_version": 1,
}
"""Sysctls of the module ip_vs, which exist only once it is loaded, and what they are then.

`sync_qlen_max` depends on the machine's memory, `est_cpulist` on its CPUs.
https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_control_net_init_sysctl)
"""


def of_ipvs(key: str) -> bool:
    """Whether a key is there only once the module ip_vs is loaded."""
    return key.startswith(_OF_IPVS)


def ipvs(name: str) -> str:
    """The key of a sysctl of ip_vs."""
    return _OF_IPVS + name


_SWITCHED_BY_KERNEL = frozenset(ipvs(name) for name in ("drop_entry", "drop_packet", "secure_tcp"))
_BY_MEMORY = frozenset({1, 2})


def is_met(key: str, wanted: Value, now: Value) -> bool:
    """Whether a value is as declared.

    Of IPVS's defences 1 and 2 are one: the kernel itself writes 2 while memory is short, and 1 when not.
    https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs/ip_vs_ctl.c (update_defense_level)
    """
    return wanted == now or (key in _SWITCHED_BY_KERNEL and {wanted, now} <= _BY_MEMORY)


def conf(interface: str, name: str, version: int = 4) -> str:
    """The key of a per-interface sysctl of an address family; `interface` may be `all`."""
    return f"net.ipv{version}.conf.{interface}.{name}"


def split(key: str) -> tuple[str, str] | None:
    """(interface, name) of a per-interface key, None for any other key."""
    match = _PER_INTERFACE.match(key)
    return (match["interface"], match["name"]) if match else None


def path_of(key: str) -> str:
    """The file of a key. An interface's name may hold dots (`eth0.100`), so they cannot just be replaced."""
    match = _PER_INTERFACE.match(key)
    if match is None:
        return "/proc/sys/" + key.replace(".", "/")
    return f"/proc/sys/net/{match['family']}/conf/{match['interface']}/{match['name']}"


def in_file(key: str) -> str:
    """A key as sysctl.d(5) takes it: with slashes when an interface's name has dots of its own."""
    parts = split(key)
    return key if parts is None or "." not in parts[0] else path_of(key).removeprefix("/proc/sys/")


def effective(sysctls: Mapping[str, Value], key: str) -> Value | None:
    """The value of `key` as it takes effect, None when the host has no such key.

    `conf.all.*` and keys outside `conf` are as they stand.
    """
    own = sysctls.get(key)
    parts = split(key)
    if parts is None or not isinstance(own, int):
        return own
    interface, name = parts
    everywhere = sysctls.get(conf("all", name))
    if interface in ("all", "default") or name not in COMBINED or not isinstance(everywhere, int):
        return own
    return max(own, everywhere)
