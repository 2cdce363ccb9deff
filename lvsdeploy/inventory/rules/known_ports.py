"""LVS38x: what is known of some ports, FTP's and those of the web."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.health_checks import HttpCheck, port_of
from lvsdeploy.inventory.model import ForwardingMethod, Protocol
from lvsdeploy.inventory.registry import Context, Hit, rule
from lvsdeploy.inventory.rules.declared_checks import declared_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = "https://github.com/torvalds/linux/blob/v6.1/net/netfilter/ipvs"
_FTP, _HTTP, _HTTPS = 21, 80, 443


@rule(
    "LVS384",
    Severity.WARNING,
    "FTP without what its data connections need.",
    why="FTP opens a second connection for data, on a port that is agreed on the first one. In DR and TUN "
    "IPVS sends it to the same real server by persistence alone. In NAT the kernel module ip_vs_ftp must "
    "read and rewrite what is agreed, and lvsdeploy does not load it.",
    fix="Use mode dr or tun with `persistence: 60`; or give port 21 and the passive ports of the real "
    "servers one fwmark, with persistence.",
    example="""
        services:
          ftp: {vip: 192.0.2.50, port: 21, real_servers: [web1, web2]}
    """,
    links=(f"{_SOURCE}/ip_vs_core.c", f"{_SOURCE}/ip_vs_ftp.c"),
)
def ftp_data(context: Context) -> Iterator[Hit]:
    for service in context.cluster.services:
        if _FTP not in service.ports or service.protocol is not Protocol.TCP:
            continue
        key = "port" if context.written(*service.path, "port") else "ports"
        if ForwardingMethod.NAT in service.modes:
            yield Hit((*service.path, key), f"'{service.name}' is FTP, and needs the module ip_vs_ftp in NAT")
        elif service.persistence is None:
            yield Hit((*service.path, key), f"'{service.name}' is FTP, and has no persistence")


@rule(
    "LVS385",
    Severity.WARNING,
    "A health check speaks plain HTTP to the port of HTTPS, or the reverse.",
    why="The one does not understand the other: the check fails, and every real server of that port counts "
    "as dead.",
    fix="Make port 80 and port 443 a service each, with a check of its own; or give the check the `port` "
    "that speaks its language.",
    example="""
        services:
          web: {vip: 192.0.2.50, ports: [80, 443], health_check: http, real_servers: [web1, web2]}
    """,
)
def web_ports(context: Context) -> Iterator[Hit]:
    for found in declared_checks(context):
        check = found.check
        if not isinstance(check, HttpCheck):
            continue
        asked = {port_of(check) or destination.port for destination in found.destinations}
        wrong, kind = (_HTTP, "https") if check.tls else (_HTTPS, "http")
        if wrong in asked:
            yield Hit(found.path, f"'{found.service.name}' is checked by {kind} on port {wrong}")
