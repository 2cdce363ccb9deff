"""Values out of JSON that came from a host: each is what it must be, or ValueError or TypeError."""

from __future__ import annotations

import re
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory.model import IPV4, IPV6
from lvsdeploy.state.network import LOOPBACK, Address
from lvsdeploy.state.tunnel import GuePort

if TYPE_CHECKING:
    from collections.abc import Container

    from lvsdeploy.state.sysctl import Value

_LARGEST = 2**63 - 1
_INTERFACE = re.compile(r"[\w.@:-]{1,15}", re.ASCII)
_NUMBERS = re.compile(r"[0-9][0-9 ,-]{0,400}")
_PORTS = range(1, 65536)


def integer(value: Any) -> int:
    """A whole number of a sensible size; JSON's Infinity, 1.5 and true are none."""
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError("not a whole number")
    return value


def sysctl(value: Any) -> Value:
    """A number, or several."""
    return matching(_NUMBERS, value) if isinstance(value, str) else integer(value)


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def matching(pattern: re.Pattern[str], value: Any) -> str:
    """A text that `pattern` describes from its first character to its last."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("not what lvsdeploy writes there")
    return value


def one_of(known: Container[str], value: Any) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError("not what lvsdeploy writes there")
    return value


def vip(value: Any) -> Address:
    """`192.0.2.50/32 lo`, `192.0.2.50/24 eth0`: on lo alone, the prefix is always the whole address.

    That no address is removed by which the host is reached, the plan sees to.
    """
    address, interface = text(value).split()
    found = Address(matching(_INTERFACE, interface), ip_interface(address))
    ip = found.address
    on_lo = interface == LOOPBACK and ip.network.num_addresses != 1
    if on_lo or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise ValueError("lvsdeploy puts no such address anywhere")
    return found


def gue_port(value: Any) -> GuePort:
    """`6080/4`: a UDP port and the version of IP."""
    port, _, version = text(value).partition("/")
    found = GuePort(int(port), int(version))
    if found.port not in _PORTS or found.version not in (IPV4, IPV6) or str(found) != value:
        raise ValueError("not what lvsdeploy writes there")
    return found
