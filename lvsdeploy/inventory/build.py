"""Document -> Cluster: defaults filled in, references followed, addresses parsed, secrets read.

What has an error of its own is left out, and remembered as lost, so that the rest can still be built and
looked at: all errors of a file come at once.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory import build_codes, text_codes
from lvsdeploy.inventory.addresses import NotAnAddress, parse_host
from lvsdeploy.inventory.build_services import build_services
from lvsdeploy.inventory.build_vrrp import build_ipvs, build_vrrp
from lvsdeploy.inventory.draft import Draft
from lvsdeploy.inventory.model import (
    IPV6,
    Cluster,
    Director,
    Engine,
    IPAddress,
    Nat,
    RealServer,
    Service,
    SshSettings,
    Vip,
)
from lvsdeploy.inventory.registry import Context

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.inventory.document import Document, KeyPath

_FIRST_PRIORITIES = (150, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10)


def build(
    document: Document, broken: Iterable[KeyPath], *, folder: Path, environ: Mapping[str, str]
) -> tuple[Context, list[Finding]]:
    """The cluster, as far as it can be built, and the findings on the way.

    `broken` are the paths that the schema refused. The cluster is whole when no finding of the schema or
    of this function is an error.
    """
    draft = Draft(document, folder, environ, frozenset(broken))
    _directors(draft)
    _real_servers(draft)
    _groups(draft)
    _vips(draft)
    services = build_services(draft)
    data = document.data
    engine = data.get("engine")
    name = data.get("cluster")
    cluster = Cluster(
        name=name if isinstance(name, str) else "",
        directors=tuple(draft.directors.values()),
        real_servers=tuple(draft.real_servers.values()),
        services=services,
        vips=_used(services),
        engine=Engine(engine) if engine in tuple(Engine) else Engine.KEEPALIVED,
        vrrp=build_vrrp(draft),
        nat=_nat(draft),
        ipvs=build_ipvs(draft),
        groups=tuple(draft.groups.items()),
        source=document.file,
        ssh=_ssh(draft, {}, ()) or SshSettings(),
    )
    return Context(cluster, data, frozenset(draft.incomplete)), draft.findings


def _used(services: Iterable[Service]) -> tuple[Vip, ...]:
    return tuple({vip.ip: vip for service in services for vip in service.vips}.values())


def _ssh(draft: Draft, own: Mapping[str, Any], path: KeyPath) -> SshSettings | None:
    """The cluster's settings with a host's own on top. None when told that a path cannot be resolved."""
    common = draft.section("ssh")
    merged = {**common, **own}
    files: dict[str, Path] = {}
    for key in ("identity_file", "known_hosts"):
        if key in merged:
            where = (*path, "ssh", key) if key in own else ("ssh", key)
            found = draft.file(merged[key], where)
            if found is None:
                return None
            files[key] = found
    return SshSettings(
        user=merged.get("user"),
        port=merged.get("port"),
        become=merged.get("become", False),
        identity_file=files.get("identity_file"),
        known_hosts=files.get("known_hosts"),
        proxy_jump=merged.get("proxy_jump"),
        connect_timeout=float(merged["connect_timeout"]) if "connect_timeout" in merged else None,
    )


def _host(
    draft: Draft, entry: Mapping[str, Any], key: str, path: KeyPath
) -> tuple[IPAddress, SshSettings] | None:
    """A host's RIP or DIP (`key`) and how it is reached; None when told what is wrong."""
    ssh = _ssh(draft, entry.get("ssh", {}), path)
    try:
        address = parse_host(entry["address"])
    except NotAnAddress as error:
        draft.tell(text_codes.NOT_AN_ADDRESS, (*path, "address"), str(error))
        return None
    if key in entry:
        address = draft.ip(entry[key], (*path, key))
    elif address is None:
        summary = f"'{path[-1]}' is reached by a name and has no '{key}'"
        fix = f"Give `{key}:`, its IP address, beside `address`."
        draft.tell(build_codes.NAME_NEEDS_ADDRESS, (*path, "address"), summary, fix=fix)
    if address is None or ssh is None:
        return None
    return address, ssh


def _directors(draft: Draft) -> None:
    entries = dict(draft.entries("directors"))
    priorities = default_priorities({name: e.get("priority") for name, e in entries.items()})
    for name, entry in entries.items():
        path = ("directors", name)
        host = _host(draft, entry, "dip", path)
        if host is None:
            draft.lose("directors", name)
            continue
        dip, ssh = host
        dip6 = _sixth(draft, entry, "dip6", dip, path)
        draft.directors[name] = Director(
            name, entry["address"], dip, entry["interface"], priorities[name], ssh=ssh, dip6=dip6, path=path
        )


def default_priorities(given: Mapping[str, int | None]) -> dict[str, int]:
    """A VRRP priority for each director: as given, else below every one that is declared above it.

    150, 100, 90, 80 ... are taken first, those that some director has are left out.
    """
    taken = {priority for priority in given.values() if priority is not None}
    result: dict[str, int] = {}
    lowest = 255
    for name, priority in given.items():
        if priority is None:
            steps = (*_FIRST_PRIORITIES, *range(lowest - 1, 0, -1))
            priority = next((p for p in steps if p < lowest and p not in taken), 1)  # noqa: PLW2901
            taken.add(priority)
        result[name] = priority
        lowest = min(lowest, priority)
    return result


def _real_servers(draft: Draft) -> None:
    for name, entry in draft.entries("real_servers"):
        path = ("real_servers", name)
        host = _host(draft, entry, "rip", path)
        if host is None:
            draft.lose("real_servers", name)
            continue
        rip, ssh = host
        draft.real_servers[name] = RealServer(
            name,
            entry["address"],
            rip,
            interface=entry.get("interface"),
            tags=tuple(entry.get("tags", ())),
            managed=entry.get("managed", True),
            ssh=ssh,
            rip6=_sixth(draft, entry, "rip6", rip, path),
            path=path,
        )


def _sixth(
    draft: Draft, entry: Mapping[str, Any], key: str, first: IPAddress, path: KeyPath
) -> IPv6Address | None:
    """The IPv6 address beside an IPv4 one; None when there is none, or when told what is wrong."""
    if key not in entry:
        return None
    address = draft.ip(entry[key], (*path, key))
    if address is None:
        return None
    if not isinstance(address, IPv6Address):
        draft.tell(text_codes.NOT_AN_ADDRESS, (*path, key), f"'{address}' is not IPv6, and {key} is")
        return None
    if first.version == IPV6:
        summary = f"'{key}' stands beside an IPv4 address, and {first} is IPv6"
        draft.tell(build_codes.SECOND_SIXTH, (*path, key), summary)
    return address


def _groups(draft: Draft) -> None:
    for name, members in draft.entries("groups"):
        known = True
        for index, member in enumerate(members):
            if member in draft.lost["real_servers"]:
                known = False
            elif member not in draft.real_servers:
                path = ("groups", name, str(index))
                if "real_servers" not in draft.incomplete or draft.real_servers:
                    draft.unknown("real server", member, path, draft.real_servers)
                known = False
        if known:
            draft.groups[name] = tuple(members)
        else:
            draft.lose("groups", name)


def _vips(draft: Draft) -> None:
    seen: dict[IPAddress, str] = {}
    for name, entry in draft.entries("vips"):
        path = ("vips", name)
        address = draft.interface(entry["address"], (*path, "address"))
        if address is None:
            draft.lose("vips", name)
            continue
        if address.ip in seen:
            summary = f"'{name}' has the address of '{seen[address.ip]}', {address.ip}"
            draft.tell(build_codes.TWO_PREFIXES, (*path, "address"), summary)
        seen.setdefault(address.ip, name)
        group = entry.get("group", "")
        draft.vips[name] = Vip(address, entry.get("interface"), name, path, group)


def _nat(draft: Draft) -> Nat | None:
    given = draft.section("nat")
    if not given:
        return None
    gateway = draft.interface(given["gateway"], ("nat", "gateway"))
    if gateway is None:
        draft.incomplete.add("nat")
        return None
    sixth = None
    if "gateway6" in given:
        sixth = draft.interface(given["gateway6"], ("nat", "gateway6"))
        if sixth is not None and (not isinstance(sixth, IPv6Interface) or gateway.version == IPV6):
            summary = f"gateway6 is an IPv6 gateway beside an IPv4 one: {gateway} and {sixth} are not"
            draft.tell(build_codes.SECOND_SIXTH, ("nat", "gateway6"), summary)
            sixth = None
    return Nat(
        gateway,
        given["interface"],
        given.get("configure_gateway", False),
        given.get("masquerade", False),
        sixth if isinstance(sixth, IPv6Interface) else None,
    )
