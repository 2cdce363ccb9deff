"""Codes of findings that arise while the model is built, where no rule over the model could see them."""

from __future__ import annotations

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.registry import code

FULLNAT = code(
    "LVS104",
    Severity.ERROR,
    "FULLNAT is not available.",
    why="FULLNAT lives in a patched kernel; the mainline kernel has NAT, DR and TUN only.",
    fix="Use nat when the real servers' replies can be routed through the director, dr when they share its "
    "network; clients beside the real servers need the director as their route too.",
    example="services:\n  http: {vip: 192.0.2.50, port: 80, mode: fullnat, real_servers: [web1]}",
    links=("https://github.com/alibaba/LVS",),
)
TWO_PREFIXES = code(
    "LVS203",
    Severity.ERROR,
    "One VIP is given in two ways.",
    why="A VIP is added to the directors' interface once, with one prefix, on one interface.",
    fix="Declare it once under `vips`, and name it in the services.",
    example=(
        "services:\n  http: {vip: 192.0.2.50/24, port: 80, real_servers: [web1]}\n"
        "  https: {vip: 192.0.2.50/25, port: 443, real_servers: [web1]}"
    ),
)
NETMASK = code(
    "LVS319",
    Severity.ERROR,
    "A persistence netmask is none.",
    why="IPVS applies it to the client's address: a run of ones, then zeros, of the VIP's family.",
    fix="Write a netmask such as 255.255.255.0, or a prefix length up to 32 for IPv4.",
    example=(
        "services:\n  http: {vip: 192.0.2.50, port: 80, persistence: 300,\n"
        "         persistence_netmask: 255.0.255.0, real_servers: [web1]}"
    ),
)
PORT_RANGE = code(
    "LVS326",
    Severity.ERROR,
    "A range of ports is none, or too large.",
    why="IPVS knows a virtual service by one port: each port of a range is a virtual service of its own.",
    fix='Write FIRST-LAST in quotes, such as "8000-8010". For very many ports use a fwmark: all of '
    "them are then one virtual service.",
    example=('services:\n  media: {vip: 192.0.2.50, ports: ["8010-8000"], real_servers: [web1, web2]}'),
)
TABLE_TOO_LARGE = code(
    "LVS386",
    Severity.ERROR,
    "The IPVS table would be too large.",
    why="Each VIP with each port is a virtual service, and each has all its real servers. Together they are "
    "more than half a million entries: keepalived would check each of them, and no director is made for it.",
    fix="Use a fwmark: all VIPs and ports of a service are then one virtual service.",
    example="""
        services:
          media: {vips: ["192.0.2.0-255"], ports: ["1-1024"], real_servers: [web1, web2]}
    """,
)
SECOND_SIXTH = code(
    "LVS404",
    Severity.ERROR,
    "The IPv6 address of a pair has no IPv4 address beside it.",
    why="dip6, rip6 and gateway6 are for hosts that have both families. Where the first is IPv6, there "
    "would be two of one family, and no telling which is meant.",
    fix="Give the IPv4 address as `address`, `dip`, `rip` or `gateway`; or leave the second one out.",
    example="""
        real_servers:
          web1: {address: "2001:db8::11", rip6: "2001:db8::12"}
    """,
)
NAME_NEEDS_ADDRESS = code(
    "LVS401",
    Severity.ERROR,
    "A host is reached by a name, and its RIP or DIP is not given.",
    why="IPVS and keepalived work with addresses; a name could resolve differently on each host and day.",
    fix="Give `rip` (real server) or `dip` (director) beside `address`.",
    example="real_servers:\n  web1: {address: web1.example.com}",
)
PLAIN_SECRET = code(
    "LVS407",
    Severity.WARNING,
    "A secret stands in plain text in the inventory.",
    why="Inventories are shared and kept in version control; whoever reads one reads the secret.",
    fix="Write {env: NAME} or {file: PATH} instead.",
    example="vrrp: {password: hunter2}",
)
SECRET_MISSING = code(
    "LVS408",
    Severity.ERROR,
    "A secret is not there.",
    why="Directors that do not share one password ignore each other, and both become MASTER.",
    fix="Set the environment variable, or put the secret in the file, and make it readable.",
    example="vrrp: {password: {env: VRRP_PASSWORD}}      # and VRRP_PASSWORD is not set",
)
SECRET_SIGNS = code(
    "LVS409",
    Severity.ERROR,
    "A secret has characters that keepalived.conf cannot carry.",
    why="keepalived splits its configuration at white space, and reads quotes, braces, parentheses, "
    "backslashes, `!`, `#` and `$` as its own.",
    fix="Choose a password of letters, digits and . _ ~ @ % + = : , / * & ? ^ -",
    example='vrrp: {password: "a b#c"}',
    links=("https://www.keepalived.org/manpage.html",),
)
SECRET_LONG = code(
    "LVS410",
    Severity.WARNING,
    "A VRRP password has more than 8 characters.",
    why="The authentication field of VRRP version 2 is 8 bytes wide: keepalived cuts the rest off and warns "
    "about it. lvsdeploy writes the first 8 characters.",
    fix="Shorten it to 8 characters, so that nobody takes the rest for protection.",
    example="vrrp: {password: {env: LONG_PASSWORD}}      # 20 characters",
    links=("https://www.rfc-editor.org/rfc/rfc2338#section-5.3.10",),
)
