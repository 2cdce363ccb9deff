"""The services of a Cluster: names looked up, `defaults` merged, ports and checks filled in."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory import build_codes, text_codes
from lvsdeploy.inventory.addresses import (
    NotAnAddress,
    looks_like_address,
    parse_interface,
    parse_netmask,
)
from lvsdeploy.inventory.model import (
    CheckTiming,
    Destination,
    ForwardingMethod,
    HealthCheck,
    HttpCheck,
    IPAddress,
    NoCheck,
    Protocol,
    Scheduler,
    Service,
    SorryServer,
    TcpCheck,
    Vip,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.document import KeyPath
    from lvsdeploy.inventory.draft import Draft


class _Lost(Exception):
    """The service cannot be built."""


def build_services(draft: Draft) -> tuple[Service, ...]:
    """Every service that can be built; the others are in `draft.lost`."""
    defaults = draft.section("defaults")
    entries = dict(draft.entries("services"))
    if "defaults" in draft.incomplete:
        for name in entries:
            draft.lose("services", name)
        return ()
    vips = _Vips(draft)
    services = []
    for name, entry in entries.items():
        path = ("services", name)
        if "fwmark" in entry:  # not built yet, and told so by its rule
            draft.lose("services", name)
            continue
        try:
            services.append(_service(draft, vips, {**defaults, **entry}, path))
        except _Lost:
            draft.lose("services", name)
    return tuple(services)


class _Vips:
    """Finds the one Vip that a service's `vip` stands for, however it is written."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.by_ip: dict[IPAddress, Vip] = {}
        for vip in draft.vips.values():
            self.by_ip.setdefault(vip.ip, vip)

    def find(self, text: str, path: KeyPath) -> Vip:
        draft = self.draft
        if text in draft.vips:
            vip = draft.vips[text]
            return self.by_ip[vip.ip]
        if text in draft.lost["vips"]:
            raise _Lost
        if not looks_like_address(text):
            if "vips" not in draft.incomplete or draft.vips:
                draft.unknown("VIP", text, path, draft.vips)
            raise _Lost
        address = draft.interface(text, path)
        if address is None:
            raise _Lost
        known = self.by_ip.get(address.ip)
        if known is None:
            vip = Vip(address, path=path)
            if "/" not in text:  # a later service may give the prefix
                vip = self._with_prefix(vip)
            self.by_ip[address.ip] = vip
            return vip
        if "/" in text and address != known.address:
            summary = f"'{text}' is {known.address} elsewhere"
            draft.tell(build_codes.TWO_PREFIXES, path, summary)
        return known

    def _with_prefix(self, vip: Vip) -> Vip:
        """The VIP with the prefix that another service gives for the same address."""
        services = self.draft.document.data["services"]
        for name, entry in services.items():
            text = entry.get("vip") if isinstance(entry, dict) else None
            if isinstance(text, str) and "/" in text and text.startswith(f"{vip.ip}/"):
                try:
                    return Vip(parse_interface(text), path=("services", name, "vip"))
                except NotAnAddress:
                    continue  # told where that service is built
        return vip


def _service(draft: Draft, vips: _Vips, given: Mapping[str, Any], path: KeyPath) -> Service:
    vip = vips.find(given["vip"], (*path, "vip"))
    ports = tuple(given["ports"]) if "ports" in given else (given["port"],)
    protocol = Protocol(given.get("protocol", Protocol.TCP))
    rows = _destinations(draft, given["real_servers"], ports, (*path, "real_servers"))
    return Service(
        name=path[-1],
        vip=vip,
        ports=ports,
        protocol=protocol,
        mode=ForwardingMethod(given.get("mode", ForwardingMethod.DR)),
        scheduler=Scheduler(given.get("scheduler", Scheduler.WLC)),
        destinations=rows,
        scheduler_flags=tuple(given.get("scheduler_flags", ())),
        persistence=given.get("persistence"),
        persistence_netmask=_netmask(draft, given, path, vip),
        one_packet=given.get("one_packet", False),
        health_check=_health_check(given.get("health_check"), protocol, ports),
        quorum=given.get("quorum", 1),
        sorry_server=_sorry_server(draft, given, path),
        path=path,
    )


def _where(draft: Draft, path: KeyPath, key: str) -> KeyPath:
    """Where a key of a service stands: in the service itself or in `defaults`."""
    own = draft.document.data["services"][path[-1]]
    return (*path, key) if key in own else ("defaults", key)


def _netmask(draft: Draft, given: Mapping[str, Any], path: KeyPath, vip: Vip) -> IPv4Address | None:
    value = given.get("persistence_netmask")
    if value is None or not isinstance(vip.ip, IPv4Address):
        return None
    try:
        return parse_netmask(value)
    except NotAnAddress as error:
        draft.tell(build_codes.NETMASK, _where(draft, path, "persistence_netmask"), str(error))
        raise _Lost from None


def _sorry_server(draft: Draft, given: Mapping[str, Any], path: KeyPath) -> SorryServer | None:
    entry = given.get("sorry_server")
    if entry is None:
        return None
    where = (*_where(draft, path, "sorry_server"), "address")
    address = draft.ip(entry["address"], where)
    if address is None:
        raise _Lost
    return SorryServer(address, entry.get("port"))


def _destinations(
    draft: Draft, items: list[Any], ports: tuple[int, ...], path: KeyPath
) -> tuple[tuple[Destination, ...], ...]:
    """One row a port. A group adds only those real servers that are not named by themselves."""
    lost = False
    chosen: list[tuple[str, Mapping[str, Any], KeyPath]] = []
    named = {_name(item) for item in items}
    from_groups: set[str] = set()
    for index, item in enumerate(items):
        options = item if isinstance(item, dict) else {}
        name, where = _name(item), (*path, str(index))
        at = (*where, "name") if options else where
        if name.startswith("@"):
            members = draft.groups.get(name[1:])
            if members is None:
                lost = True
                if name[1:] not in draft.lost["groups"]:
                    draft.unknown("group", name[1:], at, draft.groups)
                continue
            fresh = [m for m in members if m not in named and m not in from_groups]
            from_groups.update(fresh)
            chosen.extend((member, options, where) for member in fresh)
        elif name in draft.real_servers:
            chosen.append((name, options, where))
        else:
            lost = True
            if name not in draft.lost["real_servers"]:
                _unknown_real_server(draft, name, at)
    if lost:
        raise _Lost
    return tuple(
        tuple(
            Destination(
                name,
                draft.real_servers[name].rip,
                options.get("port", port),
                options.get("weight", 1),
                where,
            )
            for name, options, where in chosen
        )
        for port in ports
    )


def _name(item: Any) -> str:
    return str(item["name"]) if isinstance(item, dict) else str(item)


def _unknown_real_server(draft: Draft, name: str, path: KeyPath) -> None:
    if name in draft.groups:
        summary = f"'{name}' is a group: did you mean '@{name}'?"
        draft.tell(text_codes.UNKNOWN_NAME, path, summary, fix=f'Write "@{name}", in quotes.')
    elif draft.real_servers or "real_servers" not in draft.incomplete:
        known = {*draft.real_servers, *draft.lost["real_servers"]}
        draft.unknown("real server", name, path, sorted(known))


def _health_check(given: Any, protocol: Protocol, ports: tuple[int, ...]) -> HealthCheck:
    """The check as declared; by default a connection, where there is something to connect to."""
    if given is None:
        return TcpCheck() if protocol is Protocol.TCP and 0 not in ports else NoCheck()
    options: dict[str, Any] = {"type": given} if isinstance(given, str) else given
    kind = options["type"]
    usual = CheckTiming()
    timing = CheckTiming(
        interval=float(options.get("interval", usual.interval)),
        timeout=float(options.get("timeout", usual.timeout)),
        retries=options.get("retries", usual.retries),
        retry_delay=float(options.get("retry_delay", usual.retry_delay)),
    )
    port = options.get("port")
    if kind == "tcp":
        return TcpCheck(port, timing)
    if kind in {"http", "https", "ssl"}:
        status = options.get("status", 200)
        return HttpCheck(
            path=options.get("path", "/"),
            status=tuple(status) if isinstance(status, list) else (status,),
            host=options.get("host"),
            tls=kind != "http",
            port=port,
            timing=timing,
        )
    return NoCheck()  # `none`, or a type that is not built yet: its rule says so
