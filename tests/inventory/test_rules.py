"""Every rule: one inventory that breaks it, and one close to it that does not."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.explain.findings import codes
from tests.inventory.shown import CASES, as_text, compare, findings_of

if TYPE_CHECKING:
    from pathlib import Path

BASE = {
    "version": "1",
    "cluster": "shop",
    "directors": """
  lvs1: {address: 192.0.2.2, interface: eth0}
  lvs2: {address: 192.0.2.3, interface: eth0}""",
    "real_servers": """
  web1: {address: 192.0.2.11}
  web2: {address: 192.0.2.12}""",
    "services": """
  http: {vip: 192.0.2.50, port: 80, real_servers: [web1, web2]}""",
}
INSIDE = """
real_servers:
  web1: {address: 10.2.0.11}
  web2: {address: 10.2.0.12}
"""
BY_HAND = """
engine: ipvsadm
directors:
  lvs1: {address: 192.0.2.2, interface: eth0}
"""
NAT = "nat: {gateway: 10.2.0.1/24, interface: eth1}\n" + INSIDE

ONE = "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0}\n"
LOCALNODE = """
real_servers:
  lvs1: {address: 192.0.2.2}
  lvs2: {address: 192.0.2.3}
services:
  http: {vip: 192.0.2.50, port: 80, real_servers: [lvs1, lvs2]}
"""

GATEWAY6 = ', gateway6: "2001:db8:2::1/64"'
NAT6 = """
nat: {gateway: 10.2.0.1/24, gateway6: "2001:db8:2::1/64", interface: eth1}
directors:
  lvs1: {address: 192.0.2.2, dip6: "2001:db8::2", interface: eth0}
  lvs2: {address: 192.0.2.3, dip6: "2001:db8::3", interface: eth0}
real_servers:
  web1: {address: 10.2.0.11, rip6: "2001:db8:2::11"}
  web2: {address: 10.2.0.12, rip6: "2001:db8:2::12"}
"""
NAT_BOTH = """
services:
  http: {vips: [192.0.2.50, "2001:db8::50"], port: 80, mode: nat, real_servers: [web1, web2]}
"""

WEB1_AT = "real_servers:\n  web1: {{address: {}}}\n  web2: {{address: 192.0.2.12}}\n"


SIX = """
vips:
  six: {address: "2001:db8::50/64"}
real_servers:
  web1: {address: 192.0.2.11, rip6: "2001:db8::11"}
  web2: {address: 192.0.2.12, rip6: "2001:db8::12"}
services:
  http: {vip: six, port: 80, real_servers: [web1, web2]}
"""
BOTH = """
directors:
  lvs1: {address: 192.0.2.2, dip6: "2001:db8::2", interface: eth0}
  lvs2: {address: 192.0.2.3, dip6: "2001:db8::3", interface: eth0}
"""
BOTH_VIPS = (
    BOTH.replace("{", "{{").replace("}", "}}")
    + SIX.partition("services:")[0].replace("{", "{{").replace("}", "}}")
    + "services:\n  http: {{vips: [192.0.2.50, six], port: 80, persistence: 60, {},"
    + " real_servers: [web1, web2]}}\n"
)
GROUPS = """
vrrp: {groups: {blue: {virtual_router_id: 53, master: lvs2}}}
vips: {blue: {address: 192.0.2.51, group: blue}}
"""

WEIGHTS = (
    "vrrp: {{track_scripts: {{s: {{path: /bin/s, weight: {}}}}}, "
    "track_interfaces: [{{interface: eth1, weight: 20}}]}}\n"
)


def service(text: str, servers: str = "[web1, web2]") -> str:
    """A `services` section with one service: `text` are its further keys."""
    return f"services:\n  http: {{vip: 192.0.2.50, real_servers: {servers}, {text}}}\n"


def two_of_gre(second: str) -> str:
    """web1 gets GRE, and `second` gets it with a checksum."""
    plain, summed = "{type: gre}", "{type: gre, checksum: csum}"
    return (
        f"services:\n  a: {{vip: 192.0.2.50, port: 80, mode: tun, tunnel: {plain}, real_servers: [web1]}}\n"
        f"  b: {{vip: 192.0.2.51, port: 80, mode: tun, tunnel: {summed}, real_servers: [{second}]}}\n"
    )


# code: (breaks it, does not). Each replaces whole sections of BASE.
RULES = {
    "LVS101": (
        service("port: 80, mode: dr", "[{name: web1, port: 8080}, web2]"),
        service("port: 80, mode: dr", "[{name: web1, port: 80}, web2]"),
    ),
    "LVS102": (
        (
            "real_servers:\n  web1: {address: 198.51.100.11}\n  web2: {address: 192.0.2.12}\n"
            "vips: {public: {address: 192.0.2.50/24}}\n"
        ),
        "vips: {public: {address: 192.0.2.50/24}}\n",
    ),
    "LVS103": (
        "real_servers:\n  web1: {address: 10.9.0.11}\n  web2: {address: 192.0.2.12}\n",
        "real_servers:\n  web1: {address: 192.0.3.11}\n  web2: {address: 192.0.2.12}\n",
    ),
    "LVS104": (service("port: 80, mode: fullnat"), service("port: 80, mode: dr")),
    "LVS105": (INSIDE + service("port: 80, mode: nat"), NAT + service("port: 80, mode: nat")),
    "LVS106": (
        "nat: {gateway: 10.2.0.1, interface: eth1}\n" + INSIDE + service("port: 80, mode: nat"),
        NAT + service("port: 80, mode: nat"),
    ),
    "LVS107": (
        "nat: {gateway: 10.3.0.1/24, interface: eth1}\n" + INSIDE + service("port: 80, mode: nat"),
        NAT + service("port: 80, mode: nat"),
    ),
    "LVS108": (
        NAT + service("port: 80, mode: nat") + "directors:\n  lvs1: {address: 10.2.0.1, interface: eth0}\n",
        NAT + service("port: 80, mode: nat") + "directors:\n  lvs1: {address: 10.2.0.2, interface: eth0}\n",
    ),
    "LVS109": (
        "nat: {gateway: 10.2.0.11/24, interface: eth1}\n" + INSIDE + service("port: 80, mode: nat"),
        NAT + service("port: 80, mode: nat"),
    ),
    "LVS110": (
        NAT + "services:\n  a: {vip: 10.2.0.50, port: 80, mode: nat, real_servers: [web1]}\n",
        NAT + "services:\n  a: {vip: 10.3.0.50, port: 80, mode: nat, real_servers: [web1]}\n",
    ),
    "LVS111": (NAT, NAT + service("port: 80, mode: nat")),
    "LVS112": (
        'services:\n  a: {vip: "2001:db8::50", port: 80, real_servers: [web1, web2]}\n',
        'services:\n  a: {vip: "2001:db8::50", port: 80, mode: tun, real_servers: [web1, web2]}\n',
    ),
    "LVS114": (
        (
            "nat: {gateway: 192.0.2.1/24, interface: eth0, configure_gateway: true}\n"
            "services:\n  a: {vip: 192.0.2.50, port: 80, mode: nat, real_servers: [web1]}\n"
            "  b: {vip: 192.0.2.50, port: 81, mode: dr, real_servers: [web1]}\n"
        ),
        (
            "nat: {gateway: 192.0.2.1/24, interface: eth0, configure_gateway: true}\n"
            "services:\n  a: {vip: 192.0.2.50, port: 80, mode: nat, real_servers: [web1]}\n"
            "  b: {vip: 192.0.2.50, port: 81, mode: dr, real_servers: [web2]}\n"
        ),
    ),
    "LVS115": (
        service("port: 80, sorry_server: {address: 192.0.2.99}"),
        "real_servers:\n  web1: {address: 192.0.2.11}\n  web2: {address: 192.0.2.12}\n"
        "  sorry: {address: 192.0.2.99}\n" + service("port: 80, sorry_server: {address: 192.0.2.99}"),
    ),
    "LVS116": (
        NAT + service("ports: [80, 443], mode: nat", "[{name: web1, port: 8080}]"),
        NAT + service("ports: [80, 443], mode: nat", "[web1]"),
    ),
    "LVS125": (
        NAT + service("ports: [80, 443], fwmark: 7, mode: nat", "[{name: web1, port: 8080}, web2]"),
        NAT + service("port: 80, fwmark: 7, mode: nat", "[{name: web1, port: 8080}, web2]"),
    ),
    "LVS126": (
        service("port: 80, mode: nat, sorry_server: {address: 127.0.0.1}") + NAT,
        service("port: 80, mode: nat, sorry_server: {address: 127.0.0.1, mode: dr}") + NAT,
    ),
    "LVS130": (
        service("port: 80, mode: dr, tunnel: {type: gre}"),
        service("port: 80, mode: tun, tunnel: {type: gre}"),
    ),
    "LVS131": (
        service("port: 80, mode: tun, tunnel: {type: gre, checksum: remcsum}"),
        service("port: 80, mode: tun, tunnel: {type: gue, checksum: remcsum}"),
    ),
    "LVS132": (
        service("port: 80, mode: tun, tunnel: {port: 6080}"),
        service("port: 80, mode: tun, tunnel: {type: gue, port: 6080}"),
    ),
    "LVS133": (
        service("port: 80, mode: tun, tunnel: {clamp_mss: 1441}"),
        service("port: 80, mode: tun, tunnel: {clamp_mss: 1440}"),
    ),
    "LVS134": (
        service("port: 80, mode: tun"),
        "real_servers:\n  web1: {address: 10.9.0.11}\n  web2: {address: 192.0.2.12}\n"
        + service("port: 80, mode: tun"),
    ),
    "LVS140": (
        LOCALNODE,
        LOCALNODE + "vrrp: {sync_daemon: {interface: eth0}}\n",
    ),
    "LVS141": (
        LOCALNODE
        + "nat: {gateway: 192.0.2.1/24, interface: eth1}\n"
        + service("port: 80, mode: nat", "[lvs1]"),
        LOCALNODE
        + "nat: {gateway: 192.0.2.1/24, interface: eth1}\n"
        + ONE
        + service("port: 80, mode: nat", "[lvs1]"),
    ),
    "LVS142": (
        "real_servers:\n  web1: {address: 192.0.2.2}\n  web2: {address: 192.0.2.12}\n",
        "real_servers:\n  web1: {address: 192.0.2.11}\n  web2: {address: 192.0.2.12}\n",
    ),
    "LVS143": (
        "real_servers:\n  lvs1: {address: 192.0.2.11}\n" + service("port: 80", "[lvs1]") + ONE,
        "real_servers:\n  lvs1: {address: 192.0.2.2}\n" + service("port: 80", "[lvs1]") + ONE,
    ),
    "LVS144": (
        service("port: 80, sorry_server: {address: 192.0.2.2}"),
        service("port: 80, sorry_server: {address: 127.0.0.1}"),
    ),
    "LVS117": (
        NAT6.replace(GATEWAY6, "") + NAT_BOTH,
        NAT6 + NAT_BOTH,
    ),
    "LVS118": (
        NAT6.replace("eth1", "eth0") + NAT_BOTH,
        NAT6.replace("eth1", "eth0") + service("port: 80, mode: nat"),
    ),
    "LVS135": (two_of_gre("web1"), two_of_gre("web2")),
    "LVS201": (
        (
            "services:\n  a: {vip: 192.0.2.50, port: 80, real_servers: [web1]}\n"
            "  b: {vip: 192.0.2.50, ports: [443, 80], real_servers: [web2]}\n"
        ),
        (
            "services:\n  a: {vip: 192.0.2.50, port: 53, real_servers: [web1]}\n"
            "  b: {vip: 192.0.2.50, port: 53, protocol: udp, real_servers: [web2]}\n"
        ),
    ),
    "LVS202": (
        "services:\n  a: {vip: 192.0.2.11, port: 80, real_servers: [web1]}\n",
        "services:\n  a: {vip: 192.0.2.13, port: 80, real_servers: [web1]}\n",
    ),
    "LVS203": (
        (
            "services:\n  a: {vip: 192.0.2.50/24, port: 80, real_servers: [web1]}\n"
            "  b: {vip: 192.0.2.50/25, port: 81, real_servers: [web1]}\n"
        ),
        (
            "services:\n  a: {vip: 192.0.2.50, port: 80, real_servers: [web1]}\n"
            "  b: {vip: 192.0.2.50/25, port: 81, real_servers: [web1]}\n"
        ),
    ),
    "LVS204": (
        (
            "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 9}\n"
            "  lvs2: {address: 192.0.2.3, interface: eth0, priority: 9}\n"
        ),
        (
            "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 9}\n"
            "  lvs2: {address: 192.0.2.3, interface: eth0}\n"
        ),
    ),
    "LVS205": (
        "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 255}\n",
        "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 254}\n",
    ),
    "LVS206": ("vrrp: {preempt: false}\n", "vrrp: {preempt: true}\n"),
    "LVS207": (
        NAT + service("port: 80, mode: nat") + "vrrp: {virtual_router_id: 255}\n",
        NAT + service("port: 80, mode: nat") + "vrrp: {virtual_router_id: 254}\n",
    ),
    "LVS211": (
        (
            "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 1}\n"
            "  lvs2: {address: 192.0.2.3, interface: eth0}\n"
        ),
        (
            "directors:\n  lvs1: {address: 192.0.2.2, interface: eth0, priority: 2}\n"
            "  lvs2: {address: 192.0.2.3, interface: eth0}\n"
        ),
    ),
    "LVS212": (
        "services:\n  a: {vip: 192.0.2.0/24, port: 80, real_servers: [web1]}\n",
        "services:\n  a: {vip: 192.0.2.0/32, port: 80, real_servers: [web1]}\n",
    ),
    "LVS213": (
        "real_servers:\n  web1: {address: 127.0.0.1}\n  web2: {address: 192.0.2.12}\n",
        "real_servers:\n  web1: {address: 127.0.0.1, rip: 192.0.2.11}\n  web2: {address: 192.0.2.12}\n",
    ),
    "LVS214": (
        "vips: {spare: {address: 192.0.2.60}}\n",
        "vips: {used: {address: 192.0.2.50}}\n",
    ),
    "LVS215": (
        SIX + BOTH.replace(', dip6: "2001:db8::3"', ""),
        SIX + BOTH,
    ),
    "LVS216": (
        "vrrp: {advert_interval: 0.5, password: {env: VRRP_PASSWORD}}\n",
        "vrrp: {advert_interval: 2, password: {env: VRRP_PASSWORD}}\n",
    ),
    "LVS217": (
        NAT + GROUPS + "services:\n  a: {vip: blue, port: 80, mode: nat, real_servers: [web1]}\n",
        GROUPS + "services:\n  a: {vip: blue, port: 80, mode: dr, real_servers: [web1]}\n",
    ),
    "LVS218": (
        "vrrp: {virtual_router_id: 52, groups: {blue: {virtual_router_id: 53}}}\n" + NAT,
        "vrrp: {virtual_router_id: 52, groups: {blue: {virtual_router_id: 53}}}\n",
    ),
    "LVS219": (
        "vrrp: {preempt: false, preempt_delay: 60}\n",
        "vrrp: {preempt: false, preempt_delay: 0}\n",
    ),
    "LVS220": (
        "vrrp: {version: 2, advert_interval: 1.5}\n",
        "vrrp: {version: 3, advert_interval: 1.5}\n",
    ),
    "LVS240": (
        service("ports: [80, 443], fwmark: 7, persistence: 9")
        + "  b: {vip: 192.0.2.51, port: 80, fwmark: 7, real_servers: [web1]}\n",
        service("ports: [80, 443], fwmark: 7, persistence: 9")
        + "  b: {vip: 192.0.2.51, port: 80, fwmark: 8, real_servers: [web1]}\n",
    ),
    "LVS241": (
        service("ports: ['80-90'], fwmark: 7") + "  b: {vip: 192.0.2.50, port: 85, real_servers: [web1]}\n",
        service("ports: ['80-90'], fwmark: 7") + "  b: {vip: 192.0.2.50, port: 91, real_servers: [web1]}\n",
    ),
    "LVS244": (
        service("ports: [80, '81-90'], fwmark: 7, persistence: 9")
        + "  b: {vip: 192.0.2.50, port: 85, fwmark: 8, real_servers: [web1]}\n",
        service("ports: [80, '81-90'], fwmark: 7, persistence: 9")
        + "  b: {vip: 192.0.2.50, port: 85, protocol: udp, fwmark: 8, real_servers: [web1]}\n",
    ),
    "LVS242": (
        service("port: 53, protocols: [tcp, udp]"),
        service("port: 53, protocols: [tcp, udp], fwmark: 7, persistence: 9"),
    ),
    "LVS243": (
        service("ports: [80, 443], fwmark: 7"),
        service("ports: [80, 443], fwmark: 7, scheduler: sh"),
    ),
    "LVS221": (
        GROUPS,
        GROUPS + "services:\n  a: {vip: blue, port: 80, real_servers: [web1]}\n",
    ),
    "LVS222": (
        (
            "nat: {gateway: 10.2.0.1/24, interface: eth1, masquerade: true}\n"
            + INSIDE
            + service("port: 80, mode: nat")
            + "ipvs: {sysctls: {conntrack: false}}\n"
        ),
        NAT + service("port: 80, mode: nat") + "ipvs: {sysctls: {conntrack: false}}\n",
    ),
    "LVS223": (
        'ipvs: {sysctls: {sync_threshold: "50 50"}}\n',
        'ipvs: {sysctls: {sync_threshold: "50 51"}}\n',
    ),
    "LVS224": (
        LOCALNODE + "engine: ipvsadm\nvrrp: {sync_daemon: {interface: eth0}}\n",
        LOCALNODE + "vrrp: {sync_daemon: {interface: eth0}}\nipvs: {sysctls: {backup_only: 1}}\n",
    ),
    "LVS225": (
        "ipvs: {sysctls: {backup_only: true, sync_ports: 4}}\n",
        "ipvs: {sysctls: {backup_only: false, sloppy_tcp: 1}}\n",
    ),
    "LVS226": (
        "vrrp: {sync_daemon: {interface: eth0, syncid: 0}}\n",
        "vrrp: {sync_daemon: {interface: eth0, syncid: 1}}\n",
    ),
    "LVS227": (
        "vrrp: {track_interfaces: [eth1, {interface: eth0, weight: -60}]}\n",
        "vrrp: {track_interfaces: [eth0, {interface: eth1, weight: -60}]}\n",
    ),
    "LVS228": (
        WEIGHTS.format(-30),
        WEIGHTS.format(-31),
    ),
    "LVS229": (
        "vrrp: {track_scripts: {s: {path: /bin/s, interval: 2, timeout: 3}}}\n",
        "vrrp: {track_scripts: {s: {path: /bin/s, interval: 2, timeout: 2}}}\n",
    ),
    "LVS230": (
        "vrrp: {notify: {user: nobody}}\n",
        "vrrp: {notify: {user: nobody, stop: /bin/s}}\n",
    ),
    "LVS231": (
        "services:\n  a: {vip: 192.0.2.50/7, port: 80, real_servers: [web1]}\n",
        "services:\n  a: {vip: 192.0.2.50/8, port: 80, real_servers: [web1]}\n",
    ),
    "LVS232": (
        'ipvs: {sysctls: {est_cpulist: "0,8-3"}}\n',
        'ipvs: {sysctls: {est_cpulist: "0,3-8"}}\n',
    ),
    "LVS248": (
        service("port: 80").replace("vip: 192.0.2.50", 'vips: ["192.0.2.50-59", 192.0.2.55]'),
        service("port: 80").replace("vip: 192.0.2.50", 'vips: ["192.0.2.50-59", 192.0.2.60]'),
    ),
    "LVS301": (
        service("port: 80", "[{name: web1, weight: 0}]"),
        service("port: 80", "[{name: web1, weight: 0}, web2]"),
    ),
    "LVS302": (service("port: 80, quorum: 3"), service("port: 80, quorum: 2")),
    "LVS303": (
        service("port: 80, sorry_server: {address: 192.0.2.11}"),
        NAT + service("port: 80, mode: nat, sorry_server: {address: 10.2.0.11, port: 8080}", "[web1, web2]"),
    ),
    "LVS304": (
        service("port: 80", "[web1, {name: web1, weight: 2}]"),
        "groups: {web: [web1, web2]}\n" + service("port: 80", '[{name: web1, weight: 2}, "@web"]'),
    ),
    "LVS306": (
        service("port: 80, scheduler: sh, scheduler_flags: [mh-port]"),
        service("port: 80, scheduler: sh, scheduler_flags: [sh-port, flag-1]"),
    ),
    "LVS307": (
        service("port: 80, scheduler: dh", "[{name: web1, weight: 2}, web2]"),
        service("port: 80, scheduler: sh", "[{name: web1, weight: 2}, web2]"),
    ),
    "LVS308": (
        "groups: {web: [web1, web2]}\n",
        "groups: {web: [web1, web2]}\n" + service("port: 80", '["@web"]'),
    ),
    "LVS309": (
        service("port: 80, one_packet: true"),
        service("port: 80, one_packet: true, protocol: udp"),
    ),
    "LVS310": (
        service("port: 80, one_packet: true, protocol: udp, persistence: 60"),
        service("port: 80, protocol: udp, persistence: 60"),
    ),
    "LVS311": (service("port: 0"), service("port: 0, persistence: 60")),
    "LVS312": (
        service("port: 53, protocol: udp, health_check: smtp"),
        service("port: 53, protocol: udp, health_check: dns"),
    ),
    "LVS313": (
        service("port: 0, persistence: 60, health_check: tcp"),
        service("port: 0, persistence: 60, health_check: {type: tcp, port: 22}"),
    ),
    "LVS314": (
        service("port: 80, health_check: {type: tcp, port: 81}"),
        service("port: 80, health_check: {type: tcp, port: 80}"),
    ),
    "LVS315": (service("port: 53, protocol: udp"), service("port: 53")),
    "LVS316": (service("port: 80", "[web1]"), service("port: 80")),
    "LVS318": (
        service("port: 80, persistence_netmask: 255.255.255.0"),
        service("port: 80, persistence_netmask: 255.255.255.0, persistence: 60"),
    ),
    "LVS319": (
        service("port: 80, persistence: 60, persistence_netmask: 255.0.255.0"),
        service("port: 80, persistence: 60, persistence_netmask: 255.255.0.0"),
    ),
    "LVS320": (
        service("port: 80, scheduler: ovf"),
        service("port: 80, scheduler: ovf", "[{name: web1, weight: 9}, web2]"),
    ),
    "LVS321": (
        service("port: 80, scheduler: sh", "[{name: web1, weight: 256}, web2]"),
        service("port: 80, scheduler: sh", "[{name: web1, weight: 255}, web2]"),
    ),
    "LVS323": (
        service("port: 80, scheduler: ovf, protocol: udp", "[{name: web1, weight: 9}, web2]"),
        service("port: 80, scheduler: ovf", "[{name: web1, weight: 9}, web2]"),
    ),
    "LVS325": (
        service("port: 80, health_check: {type: tcp, interval: 2}"),
        service("port: 80, health_check: {type: tcp, interval: 2, timeout: 1}"),
    ),
    "LVS326": (service('ports: ["8010-8000"]'), service('ports: ["8000-8010"]')),
    "LVS330": (
        service("port: 80", "[{name: web1, upper: 100, lower: 101}, web2]"),
        service("port: 80", "[{name: web1, upper: 100, lower: 100}, web2]"),
    ),
    "LVS331": (
        service("port: 80", "[{name: web1, lower: 100}, web2]"),
        service("port: 80", "[{name: web1, lower: 100, upper: 200}, web2]"),
    ),
    "LVS332": (
        service("port: 80, scheduler: sh", "[{name: web1, upper: 100}, web2]"),
        service(
            "port: 80, scheduler: sh, scheduler_flags: [sh-fallback]", "[{name: web1, upper: 100}, web2]"
        ),
    ),
    "LVS333": (
        service("port: 5060, persistence_engine: sip, persistence: 60"),
        service("port: 5060, persistence_engine: sip, persistence: 60, protocol: udp"),
    ),
    "LVS334": (service("port: 80, quorum: 2, hysteresis: 2"), service("port: 80, quorum: 2, hysteresis: 1")),
    "LVS335": (
        service("port: 80, quorum: 2, hysteresis: 1"),
        service("port: 80, quorum: 2, hysteresis: 1, weight: 2"),
    ),
    "LVS336": (
        service("port: 80, omega: true, quorum_up: /usr/local/bin/up"),
        service("port: 80, omega: true, quorum_down: /usr/local/bin/down"),
    ),
    "LVS337": (
        service("port: 80, health_check: none, inhibit_on_failure: true"),
        service(
            "port: 80, health_check: none, inhibit_on_failure: true",
            "[{name: web1, health_check: tcp}, web2]",
        ),
    ),
    "LVS338": (
        service("port: 80, virtualhost: www.example.com"),
        service("port: 80, virtualhost: www.example.com, health_check: http"),
    ),
    "LVS339": (
        service("port: 80", "[{name: web1, health_check: none}, web2]"),
        service("port: 80, health_check: none", "[{name: web1, health_check: none}, web2]"),
    ),
    "LVS340": (
        SIX.replace("vip: six", "vip: six, persistence: 60, persistence_netmask: 255.255.0.0"),
        SIX.replace("vip: six", "vip: six, persistence: 60, persistence_netmask: 64"),
    ),
    "LVS341": (
        service("port: 80, scheduler: fo"),
        service("port: 80, scheduler: fo", "[{name: web1, weight: 2}, web2]"),
    ),
    "LVS342": (service("port: 80, scheduler: lblc"), service("port: 80, scheduler: lblc, fwmark: 7")),
    "LVS343": (
        SIX.replace("vip: six", "vips: [six, 192.0.2.50], sorry_server: {address: 192.0.2.99}"),
        SIX.replace("vip: six", 'vip: six, sorry_server: {address: "2001:db8::99"}'),
    ),
    "LVS344": (service('ports: ["8000-8010", 8010]'), service('ports: ["8000-8010", 8011]')),
    "LVS345": (
        "nat: {gateway: 10.2.0.1/24, interface: eth1, masquerade: true}\n",
        "nat: {gateway: 10.2.0.1/24, interface: eth1, masquerade: true}\n"
        + INSIDE
        + service("port: 80, mode: nat"),
    ),
    "LVS346": (
        NAT + service("port: 80, mode: nat, sorry_server: {address: 10.2.0.99, port: 8080, mode: dr}"),
        NAT + service("port: 80, mode: nat, sorry_server: {address: 10.2.0.99, port: 8080}"),
    ),
    "LVS370": (
        service("port: 53, protocol: udp, one_packet: true"),
        service("port: 53, protocol: udp, one_packet: true, scheduler: wrr"),
    ),
    "LVS371": (
        service("port: 53, protocol: udp, scheduler: sed"),
        service("port: 53, protocol: udp, scheduler: wlc"),
    ),
    "LVS372": (
        NAT + service("port: 53, protocol: udp, one_packet: true, mode: nat, scheduler: rr"),
        NAT
        + service(
            "port: 5060, protocol: udp, one_packet: true, mode: nat, scheduler: rr, persistence: 60, "
            "persistence_engine: sip"
        ),
    ),
    "LVS373": (
        service("port: 53, protocol: udp, one_packet: true, scheduler: rr", "[{name: web1, upper: 9}, web2]"),
        service("port: 53, protocol: udp, scheduler: rr", "[{name: web1, upper: 9}, web2]"),
    ),
    "LVS374": (
        service("port: 80, scheduler: sh, inhibit_on_failure: true", "[web1, {name: web2, weight: 0}]"),
        service("port: 80, scheduler: sh, scheduler_flags: [sh-fallback], inhibit_on_failure: true"),
    ),
    "LVS375": (
        service("port: 80, persistence: 60, inhibit_on_failure: true"),
        service("port: 80, persistence: 60, inhibit_on_failure: true")
        + "ipvs: {sysctls: {expire_quiescent_template: true}}\n",
    ),
    "LVS376": (
        service("port: 80, persistence: 60", "[{name: web1, upper: 9}, web2]"),
        service("port: 80, persistence: 60", "[{name: web1, weight: 9}, web2]"),
    ),
    "LVS377": (
        service("port: 80, persistence: 60, scheduler: mh, scheduler_flags: [mh-fallback, mh-port]"),
        service("port: 80, persistence: 60, scheduler: mh, scheduler_flags: [mh-fallback]"),
    ),
    "LVS378": (
        service("port: 80, persistence: 60, scheduler: sh"),
        service("port: 0, persistence: 60, scheduler: sh, health_check: none"),
    ),
    "LVS380": (
        service("port: 80, quorum: 2"),
        service("port: 80, quorum: 2, quorum_down: /usr/local/bin/down"),
    ),
    "LVS381": (
        service("port: 80, quorum: 2, weight: 2, sorry_server: {address: 192.0.2.99}"),
        service("port: 80, quorum: 2, weight: 1, sorry_server: {address: 192.0.2.99}"),
    ),
    "LVS382": (
        service("port: 80, quorum_down: /usr/local/bin/down"),
        service("port: 80, quorum_down: /usr/local/bin/down, quorum_up: /usr/local/bin/up"),
    ),
    "LVS383": (
        service("port: 80", "[{name: web1, health_check: none, notify_up: /usr/local/bin/up}, web2]"),
        service("port: 80", "[{name: web1, health_check: ping, notify_up: /usr/local/bin/up}, web2]"),
    ),
    "LVS384": (
        service("ports: [20, 21]"),
        service("ports: [20, 21], persistence: 60"),
    ),
    "LVS385": (
        service("ports: [80, 443], health_check: http"),
        service("ports: [80, 443], health_check: {type: http, port: 80}"),
    ),
    "LVS386": (
        service('ports: ["1-1000"]').replace("vip: 192.0.2.50", 'vips: ["10.9.0.1-251"]'),
        service('ports: ["1-1000"], fwmark: 7, persistence: 9').replace(
            "vip: 192.0.2.50", 'vips: ["10.9.0.1-251"]'
        ),
    ),
    "LVS360": (
        service('port: 80, health_check: {type: http, urls: [{status: 200}, {status: [204, "299-200"]}]}'),
        service('port: 80, health_check: {type: http, urls: [{status: 200}, {status: [204, "200-299"]}]}'),
    ),
    "LVS361": (
        service("port: 80, health_check: {type: tcp, interval: 30, retries: 7}"),
        service("port: 80, health_check: {type: tcp, interval: 30, retries: 6}"),
    ),
    "LVS362": (
        service("port: 80, health_check: {type: script, path: /usr/bin/true, timeout: 1.5}"),
        service("port: 80, health_check: {type: script, path: /usr/bin/true, timeout: 1}"),
    ),
    "LVS363": (
        service("port: 80, protocol: udp, health_check: {type: udp, require_reply: false, reply: '00'}"),
        service(
            "port: 80, protocol: udp, health_check: {type: udp, reply_min: 4, reply_max: 4, reply: '00'}"
        ),
    ),
    "LVS364": (
        service("port: 80, health_check: bfd", "[web1, {name: web2, health_check: {type: bfd, min_rx: 9}}]")
        + "  again: {vip: 192.0.2.50, port: 81, health_check: bfd, real_servers: [web2]}\n",
        service("port: 80, health_check: bfd", "[web1, {name: web2, health_check: {type: bfd, min_rx: 9}}]")
        + "  again: {vip: 192.0.2.50, port: 81, health_check: bfd, real_servers: [web1]}\n",
    ),
    "LVS365": (
        'directors: {lvs1: {address: "2001:db8::2", interface: eth0}}\n'
        + service("port: 80, health_check: bfd"),
        'directors: {lvs1: {address: "2001:db8::2", dip: 192.0.2.2, interface: eth0}}\n'
        + service("port: 80, health_check: bfd"),
    ),
    "LVS366": (
        service("port: 80, health_check: {type: http, regex_options: [utf]}"),
        service("port: 80, health_check: {type: http, regex_options: [utf], regex: ok}"),
    ),
    "LVS367": (service('ports: ["8000-8050"]'), service('ports: ["8000-8049"]')),
    "LVS368": (service("port: 80, health_check: ping"), service("port: 80, health_check: tcp")),
    "LVS369": (
        service("port: 80, health_check: {type: script, path: /usr/bin/true, arguments: ['{rip}', '{ip}']}"),
        service("port: 80, health_check: {type: script, path: /usr/bin/true, arguments: ['{rip}', '{}']}"),
    ),
    "LVS390": (
        service('port: 80, health_check: {type: http, urls: [{regex: "a++"}, {regex: "(ok"}]}'),
        service('port: 80, health_check: {type: http, urls: [{regex: "a++"}, {regex: "(ok)"}]}'),
    ),
    "LVS391": (
        service("port: 53, protocol: udp, mode: tun, tunnel: {type: gue, port: 53}"),
        service("port: 53, mode: tun, tunnel: {type: gue, port: 53}"),
    ),
    "LVS392": (
        BOTH_VIPS.format("persistence_netmask: 24"),
        BOTH_VIPS.format("persistence_netmask: {ipv4: 24, ipv6: 64}"),
    ),
    "LVS393": (
        service("port: 53, protocol: udp, mode: tun, tunnel: {clamp_mss: true}"),
        service("port: 53, protocols: [udp, tcp], fwmark: 9, mode: tun, tunnel: {clamp_mss: true}"),
    ),
    "LVS401": (
        "real_servers:\n  web1: {address: web1.example.com}\n  web2: {address: 192.0.2.12}\n",
        (
            "real_servers:\n  web1: {address: web1.example.org, rip: 192.0.2.11}\n"
            "  web2: {address: 192.0.2.12}\n"
        ),
    ),
    "LVS402": (
        "real_servers:\n  web1: {address: 192.0.2.11}\n  web2: {address: web2, rip: 192.0.2.11}\n",
        "real_servers:\n  web1: {address: 192.0.2.11}\n  web2: {address: web2, rip: 192.0.2.12}\n",
    ),
    "LVS403": (
        (
            "real_servers:\n  web1: {address: a.example, rip: 192.0.2.11}\n"
            "  web2: {address: A.example, rip: 192.0.2.12}\n"
        ),
        (
            "real_servers:\n  web1: {address: a.example, rip: 192.0.2.11}\n"
            "  web2: {address: a.example, rip: 192.0.2.12, ssh: {port: 2222}}\n"
        ),
    ),
    "LVS404": (
        'real_servers:\n  web1: {address: "::2", rip6: "2001:db8::12"}\n  web2: {address: 192.0.2.12}\n',
        'real_servers:\n  web1: {address: 192.0.2.11, rip6: "2001:db8::12"}\n  web2: {address: 192.0.2.12}\n',
    ),
    "LVS405": (service("port: 80", "[web1]"), service("port: 80")),
    "LVS406": ("directors: {lvs1: {address: 192.0.2.2, interface: eth0}}\n", ""),
    "LVS407": ("vrrp: {password: hunter2}\n", "vrrp: {password: {env: VRRP_PASSWORD}}\n"),
    "LVS408": ("vrrp: {password: {env: UNSET}}\n", "vrrp: {password: {env: VRRP_PASSWORD}}\n"),
    "LVS409": ("vrrp: {password: 'a b'}\n", "vrrp: {password: 'a-b'}\n"),
    "LVS410": ("vrrp: {password: {env: LONG_PASSWORD}}\n", "vrrp: {password: {env: VRRP_PASSWORD}}\n"),
    "LVS412": (
        "real_servers:\n  web1: {address: 192.0.2.11, managed: false}\n  web2: {address: 192.0.2.12}\n",
        "real_servers:\n  web1: {address: 192.0.2.11, managed: true}\n  web2: {address: 192.0.2.12}\n",
    ),
    "LVS415": (
        ONE.replace("eth0", "lo") + "  lvs2: {address: 192.0.2.3, interface: eth0}\n",
        ONE.replace("eth0", "lo0") + "  lvs2: {address: 192.0.2.3, interface: eth0}\n",
    ),
    "LVS416": (
        WEB1_AT.format("192.0.2.11, managed: false, ssh: {port: 2222}"),
        WEB1_AT.format("192.0.2.11, managed: false"),
    ),
    "LVS418": (
        LOCALNODE.replace("192.0.2.3}", "192.0.2.3, managed: false, ssh: {port: 99}}"),
        LOCALNODE.replace("192.0.2.3}", "192.0.2.3, managed: true}"),
    ),
    "LVS350": (
        BY_HAND + service("port: 80, health_check: {type: http, path: /}"),
        BY_HAND + service("port: 80, health_check: none"),
    ),
    "LVS351": (
        BY_HAND + service("port: 80, sorry_server: {address: 192.0.2.99}"),
        "engine: keepalived\n" + service("port: 80, sorry_server: {address: 192.0.2.99}"),
    ),
    "LVS352": (
        BY_HAND + service("port: 80", "[{name: web1, notify_up: /usr/local/bin/up}, web2]"),
        BY_HAND + service("port: 80", "[{name: web1, weight: 2}, web2]"),
    ),
    "LVS353": (BY_HAND + "vrrp: {advert_interval: 2}\n", BY_HAND + "vrrp: {}\n"),
    "LVS354": (
        "engine: ipvsadm\nvips: {public: {address: 192.0.2.50/32}}\n"
        + service("port: 80").replace("192.0.2.50", "public"),
        "engine: ipvsadm\nvips: {public: {address: 192.0.2.50/32, interface: lo}}\n"
        + service("port: 80").replace("192.0.2.50", "public"),
    ),
    "LVS355": (
        "engine: ipvsadm\n" + NAT + service("port: 80, mode: nat"),
        BY_HAND + NAT + service("port: 80, mode: nat"),
    ),
}
BETWEEN_CLUSTERS = {"LVS208", "LVS209", "LVS210", "LVS245", "LVS246", "LVS247"}
ELSEWHERE = {"LVS001", "LVS023", "LVS324"}  # tests of their own, or not reachable through the schema


def inventory(sections: str) -> str:
    """BASE with its sections replaced by those of a text."""
    given = set(re.findall(r"^([a-z_]+):", sections, re.MULTILINE))
    # The later of two equal sections counts, as it does in the table above.
    texts = {
        text.partition(":")[0]: text
        for text in re.split(r"^(?=[a-z_]+:)", sections, flags=re.MULTILINE)
        if text
    }
    base = "".join(f"{key}: {value}\n" for key, value in BASE.items() if key not in given)
    return base + "".join(text.strip("\n") + "\n" for text in texts.values())


def codes_in(tmp_path: Path, sections: str) -> set[str]:
    path = tmp_path / "inventory.yaml"
    path.write_text(inventory(sections), encoding="utf-8")
    return {finding.code for finding in findings_of(path)}


@pytest.mark.parametrize("code", RULES)
def test_breaks(code: str, tmp_path: Path) -> None:
    assert code in codes_in(tmp_path, RULES[code][0])


def test_each_says_what_it_always_says(tmp_path: Path) -> None:
    """Every rule's exact lines, with their places in the inventory that breaks it."""
    path = tmp_path / "inventory.yaml"
    said = []
    for code, (breaks, _) in sorted(RULES.items()):
        path.write_text(inventory(breaks), encoding="utf-8")
        lines = as_text(findings_of(path)).splitlines()
        said += [code, *(f"  {line}" for line in lines if f"[{code}]" in line)]
    compare(CASES / "rules.golden", "\n".join(said) + "\n")


@pytest.mark.parametrize("code", RULES)
def test_close_and_right(code: str, tmp_path: Path) -> None:
    found = codes_in(tmp_path, RULES[code][1])
    assert code not in found
    assert not {other for other in found if other.startswith("LVS0")}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("fe80::50", "a link-local"),
        ("fe80::50%eth0", "a link-local"),
        ("2001:db8::50%eth0", "a scoped"),
        ("::ffff:192.0.2.50", "an IPv4-mapped"),
        ("::192.0.2.50", "an IPv4-compatible"),
        ("ff02::1", "a multicast"),
        ("::1", "a loopback"),
        ("::", "the unspecified"),
    ],
)
def test_ipv6_addresses_that_mean_nothing_on_the_network(address: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(inventory(WEB1_AT.format(f'"{address}"')))
    assert [f.summary for f in findings_of(path) if f.code == "LVS213"] == [
        f"{ip_address(address)} is {kind} address"
    ]


def test_ssh_may_go_by_a_link_local_address(tmp_path: Path) -> None:
    servers = WEB1_AT.format('"fe80::11%eth0", rip: 192.0.2.11')
    assert not {code for code in codes_in(tmp_path, servers) if code < "LVS300"}


@pytest.mark.parametrize(
    ("gateway", "code"),
    [
        ("2001:db8:2::1", "LVS106"),
        ("2001:db8:2::/64", "LVS106"),
        ("2001:db8:2::1/0", "LVS106"),
        ("2001:db8:3::1/64", "LVS107"),
        ("2001:db8::3/32", "LVS108"),
        ("2001:db8:2::12/64", "LVS109"),
        ("2001:db8::50/32", "LVS109"),
        ("fe80::1/64", "LVS213"),
        ("2001:db8:2::ffff:ffff:ffff:ffff/64", None),
    ],
)
def test_the_gateway_of_ipv6_is_looked_at_as_that_of_ipv4(
    gateway: str, code: str | None, tmp_path: Path
) -> None:
    found = codes_in(tmp_path, NAT6.replace("2001:db8:2::1/64", gateway) + NAT_BOTH)
    assert code in found if code else not {c for c in found if c < "LVS300"}


@pytest.mark.parametrize(("host", "other"), [("dip6", "2001:db8::2"), ("rip6", "2001:db8:2::11")])
def test_one_ipv6_address_for_two_hosts(host: str, other: str, tmp_path: Path) -> None:
    second = {"dip6": "2001:db8::3", "rip6": "2001:db8:2::12"}[host]
    assert "LVS402" in codes_in(tmp_path, (NAT6 + NAT_BOTH).replace(second, other))


def test_every_code_is_tested() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in (CASES / "bad").glob("*.expected"))
    tested = {*RULES, *re.findall(r"\[(LVS[0-9]{3})\]", shown), *BETWEEN_CLUSTERS, *ELSEWHERE}
    own = {entry.code for entry in codes() if not entry.code.startswith("LVS5")}
    assert own - tested == set()


@pytest.mark.parametrize("entry", codes(), ids=lambda entry: entry.code)
def test_pages_are_whole(entry: object) -> None:
    from lvsdeploy.inventory.registry import Code  # noqa: PLC0415

    assert isinstance(entry, Code)
    page = entry.page()
    assert page.startswith(f"# {entry.code}: ")
    assert "## Why" in page
    assert "## What to do" in page
    assert entry.why.endswith((".", "-"))
    assert entry.statement.endswith(".")
