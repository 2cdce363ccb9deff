"""The services of a Cluster: names looked up, `defaults` merged, ports and checks filled in."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory import build_codes, text_codes
from lvsdeploy.inventory.addresses import (
    NotAnAddress,
    expanded,
    looks_like_address,
    parse_interface,
    parse_netmask,
)
from lvsdeploy.inventory.build_checks import health_check
from lvsdeploy.inventory.model import (
    IPV4,
    IPV6,
    Destination,
    Engine,
    ForwardingMethod,
    IPAddress,
    Pool,
    Program,
    Protocol,
    Scheduler,
    Service,
    SorryServer,
    Tunnel,
    TunnelType,
    Vip,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address

    from lvsdeploy.inventory.document import KeyPath
    from lvsdeploy.inventory.draft import Draft


_LAST_PORT = 65535
_MOST_PORTS = 1024
_MOST_ENTRIES = 500_000
_BITS_OF_IPV4 = 32
_USUAL_MSS = 1360
"""Bytes of a TCP segment that fits any of the tunnels, of both families, into 1500 bytes."""


class _Lost(Exception):
    """The service cannot be built."""


def build_services(draft: Draft) -> tuple[Service, ...]:
    """Every service that can be built; the others are in `draft.lost`."""
    defaults = draft.section("defaults")
    entries = dict(draft.entries("services"))
    vips = _Vips(draft)
    for name in [*draft.lost["services"], *(entries if "defaults" in draft.incomplete else ())]:
        _names_in(draft, vips, draft.document.data["services"][name], ("services", name))
    if "defaults" in draft.incomplete:
        for name in entries:
            draft.lose("services", name)
        return ()
    services = []
    for name, entry in entries.items():
        path = ("services", name)
        try:
            services.append(_service(draft, vips, {**defaults, **entry}, path))
        except _Lost:
            draft.lose("services", name)
    return tuple(services)


def _names_in(draft: Draft, vips: _Vips, entry: Any, path: KeyPath) -> None:
    """Look up the names in a service that cannot be built: what refers to nothing is told all the same."""
    if not isinstance(entry, dict):
        return

    def whole(*keys: str) -> bool:
        return (*path, *keys) not in draft.broken

    listed = entry.get("real_servers")
    for index, item in enumerate(listed if isinstance(listed, list) and whole("real_servers") else ()):
        where = ("real_servers", str(index))
        named = isinstance(item, dict) and isinstance(item.get("name"), str) and whole(*where, "name")
        if named or (isinstance(item, str) and whole(*where)):
            _find_real_servers(draft, item, (*path, *where))
    several = entry.get("vips")
    texts: dict[tuple[str, ...], Any] = {("vip",): entry.get("vip")}
    for index, text in enumerate(several if isinstance(several, list) else ()):
        texts["vips", str(index)] = text
    for keys, text in texts.items():
        if isinstance(text, str) and whole(keys[0]) and whole(*keys):
            with suppress(_Lost):
                vips.one_or_more(text, (*path, *keys), several=len(keys) > 1)


class _Vips:
    """Finds the one Vip that a service's `vip` stands for, however it is written."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.by_ip: dict[IPAddress, Vip] = {}
        self.prefixes: dict[str, list[tuple[str, str]]] = {}  # an address: services that give it a prefix
        services = draft.document.data.get("services")
        for name, entry in services.items() if isinstance(services, dict) else ():
            text = entry.get("vip") if isinstance(entry, dict) else None
            if isinstance(text, str) and "/" in text:
                self.prefixes.setdefault(text.partition("/")[0], []).append((name, text))
        for vip in draft.vips.values():
            self.by_ip.setdefault(vip.ip, vip)

    def all(self, given: Mapping[str, Any], path: KeyPath) -> tuple[Vip, ...]:
        """The VIPs of a service, each once: `vip`, or the names, addresses and ranges of `vips`."""
        if "vip" in given:
            return (self.find(given["vip"], (*path, "vip")),)
        found: dict[IPAddress, Vip] = {}
        for index, text in enumerate(given["vips"]):
            where = (*path, "vips", str(index))
            for vip in self._range(text, where):
                found.setdefault(vip.ip, vip)
        return tuple(found.values())

    def one_or_more(self, text: str, path: KeyPath, *, several: bool) -> tuple[Vip, ...]:
        """What an entry of `vips`, or `vip`, stands for."""
        return self._range(text, path) if several else (self.find(text, path),)

    def _range(self, text: str, path: KeyPath) -> tuple[Vip, ...]:
        """`192.0.2.50-59`, `2001:db8::50-5f`, with a prefix or without: the VIPs from one to the other."""
        try:
            return tuple(self.find(address, path) for address in expanded(text))
        except NotAnAddress as error:
            self.draft.tell(text_codes.NOT_AN_ADDRESS, path, str(error))
            raise _Lost from None

    def find(self, text: str, path: KeyPath) -> Vip:
        draft = self.draft
        if text in draft.vips:
            vip = draft.vips[text]
            return self.by_ip[vip.ip]
        if text in draft.lost["vips"]:
            raise _Lost
        if "-" in text and looks_like_address(text.partition("-")[0]):
            how = 'A range stands in `vips` and counts its last number: "192.0.2.50-59", "2001:db8::50-5f".'
            draft.tell(
                text_codes.NOT_AN_ADDRESS, path, f"'{text}' is not an IP address, nor a range", fix=how
            )
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
        for name, text in self.prefixes.get(str(vip.ip), ()):
            try:
                return Vip(parse_interface(text), path=("services", name, "vip"))
            except NotAnAddress:
                continue  # told where that service is built
        return vip


def _service(draft: Draft, vips: _Vips, given: Mapping[str, Any], path: KeyPath) -> Service:
    try:
        found = vips.all(given, path)
    except _Lost:
        with suppress(_Lost):  # all errors come at once
            _chosen(draft, given["real_servers"], (*path, "real_servers"))
        raise
    ranges = _port_ranges(draft, given, path)
    own = draft.document.data["services"][path[-1]]
    if "protocol" in own and "protocols" in own:
        summary = f"'{path[-1]}' has 'protocol' and 'protocols': one of them"
        draft.tell(text_codes.EITHER_OR, (*path, "protocols"), summary)
    fwmark = given.get("fwmark", 0)
    protocols = _protocols(given)
    mode = ForwardingMethod(given.get("mode", ForwardingMethod.DR))
    ports = (0,) if fwmark else tuple(port for first, last in ranges for port in range(first, last + 1))
    families = {version: tuple(vip for vip in found if vip.ip.version == version) for version in (IPV4, IPV6)}
    chosen = _chosen(draft, given["real_servers"], (*path, "real_servers"))
    _count(draft, len(ports) * (1 if fwmark else len(found)) * len(chosen), path)
    weight = given.get("weight", 1)
    pools = tuple(
        Pool(port, family, _destinations(draft, chosen, port, version, weight))
        for port in ports
        for version, family in families.items()
        if family
    )
    return Service(
        name=path[-1],
        protocol=protocols[0],
        mode=mode,
        scheduler=Scheduler(given.get("scheduler", Scheduler.WLC)),
        pools=pools,
        port_ranges=ranges,
        fwmark=fwmark,
        protocols=protocols,
        tunnel=_tunnel(given.get("tunnel", {})),
        scheduler_flags=tuple(given.get("scheduler_flags", ())),
        persistence=given.get("persistence"),
        persistence_netmask=_netmask(draft, given, path) if families[IPV4] else None,
        persistence_prefix=_prefix(given) if families[IPV6] else None,
        persistence_engine=given.get("persistence_engine", ""),
        one_packet=given.get("one_packet", False),
        health_check=health_check(
            given.get("health_check", _unasked(draft)), protocols[0], ports if not fwmark else ()
        ),
        alpha=given.get("alpha", True),
        omega=given.get("omega", False),
        quorum=given.get("quorum", 1),
        hysteresis=given.get("hysteresis", 0),
        quorum_up=_program(given.get("quorum_up")),
        quorum_down=_program(given.get("quorum_down")),
        sorry_server=_sorry_server(draft, given, path),
        inhibit_on_failure=given.get("inhibit_on_failure", False),
        virtualhost=given.get("virtualhost"),
        path=path,
    )


def _protocols(given: Mapping[str, Any]) -> tuple[Protocol, ...]:
    """`protocols` of what is marked, or the one `protocol`."""
    names = given.get("protocols", (given.get("protocol", Protocol.TCP),))
    return tuple(Protocol(name) for name in names)


def _count(draft: Draft, entries: int, path: KeyPath) -> None:
    """Refuse what would exhaust the reader, and every director. Told once, of the first that is too much."""
    before = draft.entries_of_table
    draft.entries_of_table += entries
    if draft.entries_of_table > _MOST_ENTRIES:
        if before <= _MOST_ENTRIES:
            summary = (
                f"with '{path[-1]}' the table has {draft.entries_of_table} entries, {_MOST_ENTRIES} at most"
            )
            draft.tell(build_codes.TABLE_TOO_LARGE, path, summary)
        raise _Lost


def _port_ranges(draft: Draft, given: Mapping[str, Any], path: KeyPath) -> tuple[tuple[int, int], ...]:
    """The ports as they are written; a range is `8000-8010`."""
    if "port" in given:
        return ((given["port"], given["port"]),)
    ranges = []
    for index, port in enumerate(given["ports"]):
        first, _, last = port.partition("-") if isinstance(port, str) else (port, "", port)
        ranges.append((int(first), int(last)))
        if not int(first) < int(last) <= _LAST_PORT and isinstance(port, str):
            where = (*path, "ports", str(index))
            draft.tell(
                build_codes.PORT_RANGE, where, f"'{port}' is no range of ports: it goes up, to 65535 at most"
            )
            raise _Lost
    if "fwmark" not in given and sum(last - first + 1 for first, last in ranges) > _MOST_PORTS:
        summary = f"'{path[-1]}' has more than {_MOST_PORTS} ports, a virtual service each"
        draft.tell(build_codes.PORT_RANGE, (*path, "ports"), summary)
        raise _Lost
    return tuple(ranges)


def _tunnel(given: Mapping[str, Any]) -> Tunnel:
    usual = Tunnel()
    clamp = given.get("clamp_mss")
    return Tunnel(
        type=TunnelType(given.get("type", usual.type)),
        port=given.get("port", usual.port),
        checksum=given.get("checksum", usual.checksum),
        clamp_mss=_USUAL_MSS if clamp is True else clamp or None,
    )


def _where(draft: Draft, path: KeyPath, key: str) -> KeyPath:
    """Where a key of a service stands: in the service itself or in `defaults`."""
    own = draft.document.data["services"][path[-1]]
    return (*path, key) if key in own else ("defaults", key)


def _prefix(given: Mapping[str, Any]) -> int | None:
    value = given.get("persistence_netmask")
    if isinstance(value, dict):
        value = value.get("ipv6")
    return value if isinstance(value, int) else None


def _netmask(draft: Draft, given: Mapping[str, Any], path: KeyPath) -> IPv4Address | None:
    value = given.get("persistence_netmask")
    below: KeyPath = ()
    if isinstance(value, dict):
        value, below = value.get("ipv4"), ("ipv4",)
    if value is None or (isinstance(value, int) and value > _BITS_OF_IPV4 and "vips" in given):
        return None  # meant for the IPv6 VIPs among them
    try:
        return parse_netmask(value)
    except NotAnAddress as error:
        where = (*_where(draft, path, "persistence_netmask"), *below)
        draft.tell(build_codes.NETMASK, where, str(error))
        raise _Lost from None


def _program(given: Any) -> Program | None:
    """A program, by its path alone or as a mapping."""
    if given is None:
        return None
    entry = {"path": given} if isinstance(given, str) else given
    return Program(entry["path"], tuple(entry.get("arguments", ())), entry.get("user", "root"))


def _sorry_server(draft: Draft, given: Mapping[str, Any], path: KeyPath) -> SorryServer | None:
    entry = given.get("sorry_server")
    if entry is None:
        return None
    where = (*_where(draft, path, "sorry_server"), "address")
    address = draft.ip(entry["address"], where)
    if address is None:
        raise _Lost
    inhibit = entry.get("inhibit", False)
    return SorryServer(address, entry.get("port"), _mode(entry), inhibit, _own_tunnel(entry))


def _mode(entry: Mapping[str, Any]) -> ForwardingMethod | None:
    return ForwardingMethod(entry["mode"]) if "mode" in entry else None


def _own_tunnel(entry: Mapping[str, Any]) -> Tunnel | None:
    return _tunnel(entry["tunnel"]) if "tunnel" in entry else None


_Chosen = tuple[str, "Mapping[str, Any]", "KeyPath"]


def _chosen(draft: Draft, items: list[Any], path: KeyPath) -> list[_Chosen]:
    """Real servers with their options and places.

    A group adds only those that are not named by themselves.
    """
    lost = False
    chosen: list[_Chosen] = []
    named = {_name(item) for item in items}
    from_groups: set[str] = set()
    for index, item in enumerate(items):
        options = item if isinstance(item, dict) else {}
        name, where = _name(item), (*path, str(index))
        members = _find_real_servers(draft, item, where)
        if members is None:
            lost = True
        elif name.startswith("@"):
            fresh = [m for m in members if m not in named and m not in from_groups]
            from_groups.update(fresh)
            chosen.extend((member, options, where) for member in fresh)
        else:
            chosen.append((name, options, where))
    if lost:
        raise _Lost
    return chosen


def _find_real_servers(draft: Draft, item: Any, where: KeyPath) -> tuple[str, ...] | None:
    """The real servers of one item of `real_servers`; None, and told, when there are none by that name."""
    name = _name(item)
    at = (*where, "name") if isinstance(item, dict) else where
    if name.startswith("@"):
        members = draft.groups.get(name[1:])
        if members is None and name[1:] not in draft.lost["groups"]:
            draft.unknown("group", name[1:], at, draft.groups)
        return members
    if name in draft.real_servers:
        return (name,)
    if name not in draft.lost["real_servers"]:
        _unknown_real_server(draft, name, at)
    return None


def _destinations(
    draft: Draft, chosen: list[_Chosen], port: int, version: int, weight: int
) -> tuple[Destination, ...]:
    """Real servers by their RIPs of the VIPs' family; a tunnel carries one family in the other."""
    found = []
    for name, options, where in chosen:
        server = draft.real_servers[name]
        check = options.get("health_check")
        found.append(
            Destination(
                name,
                server.rip_of(version) or server.rip,
                options.get("port", port),
                options.get("weight", weight),
                where,
                upper=options.get("upper", 0),
                lower=options.get("lower", 0),
                health_check=None if check is None else health_check(check, Protocol.TCP, ()),
                inhibit_on_failure=options.get("inhibit_on_failure"),
                notify_up=_program(options.get("notify_up")),
                notify_down=_program(options.get("notify_down")),
                mode=_mode(options),
                tunnel=_own_tunnel(options),
            )
        )
    return tuple(found)


def _name(item: Any) -> str:
    return str(item["name"]) if isinstance(item, dict) else str(item)


def _unknown_real_server(draft: Draft, name: str, path: KeyPath) -> None:
    if name in draft.groups:
        summary = f"'{name}' is a group: did you mean '@{name}'?"
        draft.tell(text_codes.UNKNOWN_NAME, path, summary, fix=f'Write "@{name}", in quotes.')
    elif draft.real_servers or "real_servers" not in draft.incomplete:
        known = {*draft.real_servers, *draft.lost["real_servers"]}
        draft.unknown("real server", name, path, sorted(known))


def _unasked(draft: Draft) -> str | None:
    """The health check where the inventory names none: nobody checks with the engine ipvsadm."""
    return "none" if draft.document.data.get("engine") == Engine.IPVSADM else None
