"""Values out of JSON that came from a host: each is what it must be, or ValueError or TypeError."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.state.network import Address

if TYPE_CHECKING:
    import re
    from collections.abc import Container

_LARGEST = 2**63 - 1
_INTERFACE = "lo"  # lvsdeploy puts addresses nowhere else


def integer(value: Any) -> int:
    """A whole number of a sensible size; JSON's Infinity, 1.5 and true are none."""
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError("not a whole number")
    return value


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
    """`192.0.2.50/32 lo`: to remove any other address could cut the host off."""
    address, interface = text(value).split()
    found = Address(interface, ip_interface(address))
    if interface != _INTERFACE or found.address.network.num_addresses != 1 or found.address.is_loopback:
        raise ValueError("lvsdeploy puts no such address anywhere")
    return found
