"""What somebody meant who wrote a key or a value that is not an inventory's: one line, how to write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lvsdeploy.inventory.document import KeyPath

_OURS = {
    "uthreshold": "upper",
    "lthreshold": "lower",
    "lb_algo": "scheduler",
    "lvs_sched": "scheduler",
    "lb_kind": "mode",
    "lvs_method": "mode",
    "forward": "mode",
    "forwarding": "mode",
    "persistence_timeout": "persistence",
    "persistent": "persistence",
    "persistence_granularity": "persistence_netmask",
    "netmask": "persistence_netmask",
    "ops": "one_packet",
    "delay_loop": "interval",
    "connect_timeout": "timeout",
    "misc_timeout": "timeout",
    "retry": "retries",
    "nb_get_retry": "retries",
    "delay_before_retry": "retry_delay",
    "status_code": "status",
    "url": "urls",
    "misc_path": "path",
    "enable_sni": "sni",
    "http_protocol": "http_version",
    "connect_port": "port",
    "virtual_servers": "services",
    "real_server": "real_servers",
    "servers": "real_servers",
    "backends": "real_servers",
    "members": "real_servers",
    "nodes": "real_servers",
    "virtual_ipaddress": "vips",
    "virtual_address": "vip",
    "checker": "health_check",
    "check": "health_check",
    "advert_int": "advert_interval",
    "auth_pass": "password",
    "lvs_sync_daemon": "sync_daemon",
    "track_interface": "track_interfaces",
    "track_script": "track_scripts",
    "use_vmac": "vmac",
}
"""Words of keepalived and of other load balancers, and the inventory's own."""
_PROGRAMS = frozenset({"quorum_up", "quorum_down", "notify_up", "notify_down"})
_TIMES = frozenset(
    {"interval", "timeout", "retry_delay", "warmup", "advert_interval", "preempt_delay", "persistence"}
)
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600}
_OF_CHECKS = frozenset({"interval", "timeout", "retries", "retry_delay", "warmup"})
_OF_REAL_SERVERS = frozenset({"upper", "lower", "notify_up", "notify_down"})


def other_word(word: str, known: Sequence[str]) -> str:
    """The key that is called so elsewhere, where it is one of those known."""
    ours = _OURS.get(word, "")
    return ours if ours in known else ""


def other_place(word: str, known: Sequence[str]) -> str:
    """How to write a key of a service that stands one level too high; "" when it does not."""
    key = _OURS.get(word, word)
    if "health_check" in known and key in _OF_CHECKS:
        return f"It belongs to the health check: `health_check: {{type: tcp, {key}: ...}}`."
    if "real_servers" in known and "quorum" in known and key in _OF_REAL_SERVERS:
        return f"It belongs to a real server: `real_servers: [{{name: ..., {key}: ...}}]`."
    return ""


def form(path: KeyPath, value: Any) -> str:  # noqa: PLR0911 - a table of slips
    """How to write a value that is of the wrong kind for its key."""
    key = path[-1] if path else ""
    text = value if isinstance(value, str) else ""
    if key == "port" and re.fullmatch(r"[0-9]+-[0-9]+", text) and path[0] == "services":
        return f'Write `ports: ["{text}"]`.'
    if key in {"port", "vip"} and isinstance(value, list):
        return f"Several are written as `{key}s: [...]`."
    if key in {"ports", "vips"} and isinstance(value, int | str) and not isinstance(value, bool):
        return f"One is written as `{key[:-1]}: {_shown(value)}`."
    if key in {"tunnel", "health_check", "sorry_server"} and text:
        word = {"tunnel": "type", "health_check": "type", "sorry_server": "address"}[key]
        return f"Write `{key}: {{{word}: {_shown(text)}}}`."
    if key == "health_check" and isinstance(value, list):
        return "A real server has one check; `{type: script, path: ...}` may ask several things."
    if key in {"real_servers", "scheduler_flags", "protocols"} and text:
        return f'Write a list: `{key}: ["{_shown(text)}"]`.'
    time = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?(ms|s|m|min|h)", text)
    if time and key in _TIMES:
        return f"Write a number of seconds: `{key}: {float(time[1]) * _UNITS[time[2]]:g}`."
    if key == "http_version" and isinstance(value, float):
        return f'Put it in quotes: `http_version: "{value}"`.'
    return ""


def spelling(path: KeyPath, text: str) -> str:
    """How to write a text that is not of the form that its key has."""
    key = path[-1] if path else ""
    if text[:2].lower() == "0x":
        return "Leave out the 0x."
    if key in _PROGRAMS and re.fullmatch(r"/\S+( .*)", text):
        return f"With arguments it is `{key}: {{path: {_shown(text.partition(' ')[0])}, arguments: [...]}}`."
    if key == "path" and "health_check" in path and re.fullmatch(r"/\S+( .*)", text):
        return "The arguments of a script have a key of their own: `arguments: [...]`."
    if "status" in path and re.fullmatch(r"[1-5]xx", text.lower()):
        return f'Write "{text[0]}00-{text[0]}99".'
    return ""


def _shown(value: str | int) -> str:
    """A value that may be printed on one line."""
    text = str(value)
    return text if text.isprintable() and len(text) <= 40 else "..."  # noqa: PLR2004 - a line's worth
