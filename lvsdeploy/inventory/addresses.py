"""Texts to addresses. Every function returns None, or raises NotAnAddress with one line that says why."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, ip_address, ip_interface
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import IPAddress, IPInterface

_NUMBERS = re.compile(r"[0-9.]+")
_DNS_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?"
)


_RANGE = re.compile(
    r"(?P<net>(?:[0-9]{1,3}\.){3})(?P<first>[0-9]{1,3})-(?P<last>[0-9]{1,3})(?P<prefix>/[0-9]{1,2})?"
)
_RANGE6 = re.compile(
    r"(?P<net>[0-9A-Fa-f:]*:)(?P<first>[0-9A-Fa-f]{1,4})-(?P<last>[0-9A-Fa-f]{1,4})(?P<prefix>/[0-9]{1,3})?"
)
_LAST_OF_A_RANGE = 255
_MOST_OF_A_RANGE = 256


class NotAnAddress(ValueError):
    """`str()` says what is wrong with the text."""


def expanded(text: str) -> tuple[str, ...]:
    """The addresses of a range in the last number (`192.0.2.50-59/24`, `2001:db8::50-5f`); else the text.

    Each keeps the range's prefix. They are not looked at, but for the number that counts.
    """
    fours, sixes = _RANGE.fullmatch(text), _RANGE6.fullmatch(text)
    match = fours or sixes
    if match is None:
        return (text,)
    base, shown = (10, "{}") if fours else (16, "{:x}")
    first, last = int(match["first"], base), int(match["last"], base)
    if not first <= last <= (_LAST_OF_A_RANGE if fours else first + _MOST_OF_A_RANGE - 1):
        most = f"to {_LAST_OF_A_RANGE}" if fours else f"{_MOST_OF_A_RANGE} addresses"
        raise NotAnAddress(f"'{text}' is no range: it goes up, {most} at most")
    prefix = match["prefix"] or ""
    return tuple(match["net"] + shown.format(number) + prefix for number in range(first, last + 1))


def parse_ip(text: str) -> IPAddress:
    """An IPv4 or IPv6 address."""
    try:
        return ip_address(text)
    except ValueError:
        raise NotAnAddress(_reason(text)) from None


def parse_interface(text: str) -> IPInterface:
    """An address with its prefix; /32 or /128 without one."""
    bare, slash, prefix = text.partition("/")
    parse_ip(bare)
    if slash and "%" in bare:
        raise NotAnAddress(f"'{text}' has both a scope and a prefix")
    try:
        return ip_interface(text)
    except ValueError:
        raise NotAnAddress(f"'/{prefix}' is no prefix length for '{bare}'") from None


def parse_host(text: str) -> IPAddress | None:
    """The address of a host that is given by one; None for a DNS name."""
    if looks_like_address(text):
        return parse_ip(text)
    if not _DNS_NAME.fullmatch(text):
        raise NotAnAddress(f"'{text}' is neither an IP address nor a DNS name")
    return None


def looks_like_address(text: str) -> bool:
    """Whether a text can only be meant as an address: digits and dots alone, or a colon in it."""
    return ":" in text or bool(_NUMBERS.fullmatch(text.partition("/")[0]))


def parse_netmask(value: str | int) -> IPv4Address:
    """An IPv4 netmask, dotted or as a prefix length."""
    if isinstance(value, int):
        if not 1 <= value <= 32:  # noqa: PLR2004 - bits of an IPv4 address
            raise NotAnAddress(f"{value} is no prefix length of IPv4, which has 32 bits")
        return IPv4Interface(f"0.0.0.0/{value}").netmask
    mask = parse_ip(value)
    bits = f"{int(mask):032b}"
    if not isinstance(mask, IPv4Address) or "01" in bits or "1" not in bits:
        raise NotAnAddress(f"'{value}' is not a netmask: ones first, then zeros")
    return mask


def _reason(text: str) -> str:
    parts = text.split(".")
    if _NUMBERS.fullmatch(text):
        if len(parts) != 4:  # noqa: PLR2004 - bytes of an IPv4 address
            return f"'{text}' has {len(parts)} numbers; an IPv4 address has four"
        for part in parts:
            if len(part) > 1 and part.startswith("0"):
                return f"'{text}' has a leading zero, which some programs read as octal"
            if part and int(part) > 255:  # noqa: PLR2004 - a byte
                return f"'{text}' is not an IPv4 address: {part} is above 255"
    if ":" in text:
        return f"'{text}' is not an IPv6 address"
    return f"'{text}' is not an IP address"
