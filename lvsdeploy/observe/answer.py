"""The probe's answer, read into an Observation."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.inventory.model import IPV4, IPV6
from lvsdeploy.observe import (
    checkers,
    connections,
    facts,
    files,
    ipvs_settings,
    ipvs_table,
    netfilter,
    network,
    recorded,
    scripts,
    surroundings,
    units,
)
from lvsdeploy.observe.frames import Section, sections
from lvsdeploy.observe.observation import TABLE, Observation
from lvsdeploy.printable import host_word, printable
from lvsdeploy.state.facts import ServiceManager
from lvsdeploy.state.host import HostState
from lvsdeploy.state.sysctl import conf, ipvs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lvsdeploy.observe.recorded import Recorded
    from lvsdeploy.observe.request import Request
    from lvsdeploy.state.file import File
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService
    from lvsdeploy.state.netfilter import Firewall, Ruleset
    from lvsdeploy.state.sysctl import Value
    from lvsdeploy.state.unit import Unit

_SYSCTLS = ("arp_ignore", "arp_announce", "rp_filter", "send_redirects")  # in the probe's order
_SIXTH = ("forwarding", "accept_ra", "disable_ipv6")
_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")
_NO_TABLE = {
    "refused": "only root may read the IPVS table",
    "lacking": "the kernel has IPVS, and ipvsadm is not installed",
    "failed": "`ipvsadm -Sn` failed",
}


def parse(host: str, answer: bytes, request: Request) -> Observation:
    """What the answer to `request` says. AnswerInvalid (one clear line) if it makes no sense."""
    reader = _Reader(host, request, sections(host, answer, request.token))
    with reader.reading("host"):
        lacking = facts.lacking(reader.lines("host"))
    if lacking:
        raise AnswerInvalid(
            host,
            f"the host has no {' and no '.join(lacking)}",
            hint="Install coreutils, or a busybox that has these applets.",
        )
    with reader.reading("network"):
        seen = network.parse(reader.lines("network"))
        sixth = network.rules(reader.lines("policy"))
        routing = {version: rules for version, rules in ((IPV4, seen.rules), (IPV6, sixth)) if rules}
        asked = set(request.ways)
        ways = {ip: way for ip, way in network.ways(reader.lines("ways")).items() if ip in asked}
    with reader.reading("host"):
        about = facts.parse(
            reader.lines("host"), reader.lines("programs"), reader.lines("modules"), seen.links
        )
    with reader.reading("files"):
        there, unread, named = reader.files()
    with reader.reading("table"):
        table, why = reader.table()
    if why:
        unread[TABLE] = why
    with reader.reading("netfilter rules"):
        firewall, ruleset = reader.netfilter()
    with reader.reading("IPVS's timeouts and sync daemons"):
        settings = reader.lines("settings")
        timeouts = ipvs_settings.timeouts(settings)
        daemons = ipvs_settings.daemons(settings) if request.daemons else None
    with reader.reading("scripts"):
        programs = scripts.parse(reader.lines("scripts"), request.scripts)
    about = replace(about, firewall=firewall, scripts=programs)
    with reader.reading("units"):
        services = reader.units(about.service_manager, named)
    with reader.reading("sysctls"):
        sysctls = reader.sysctls()
    state = HostState(
        programs=frozenset(about.programs),
        files=there,
        sysctls=sysctls,
        addresses=seen.addresses,
        routes=seen.routes,
        units=services,
        virtual_services=table,
        timeouts=timeouts,
        sync_daemons=daemons,
        netfilter=ruleset,
        tunnels=seen.tunnels,
        gue_ports=seen.gue_ports,
        mtus=seen.mtus,
        rules=routing,
        tables=seen.tables,
        ways=ways,
    )
    with reader.reading("checkers"):
        view = reader.checkers()
    with reader.reading("counters"):
        counted = connections.parse(reader.text("counters")) if request.counters else {}
    with reader.reading("transactions"):
        busy, unfinished = reader.transaction()
    around = reader.surroundings()
    return Observation(
        about,
        state,
        view,
        counted,
        seen.tentative,
        unread,
        busy,
        unfinished,
        around,
        seen.duplicate,
    )


def _number_or_text(text: str) -> Value:
    """A sysctl's value; several numbers with single spaces between them."""
    value = " ".join(host_word(text).split())
    return int(value) if _NUMBER.match(value) else value


@dataclass(frozen=True)
class _Reader:
    """The sections of an answer. Its methods raise ValueError or LookupError for what makes no sense."""

    host: str
    request: Request
    found: Mapping[str, Section]

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Turns what goes wrong within into AnswerInvalid."""
        try:
            yield
        except (ValueError, LookupError) as error:
            raise AnswerInvalid(
                self.host,
                f"the answer about {name} cannot be read: {printable(str(error))}",
                hint="Run it again. If that does not help, please report it with the host's system.",
            ) from error

    def section(self, name: str) -> Section:
        return self.found.get(name, Section("", b""))

    def lines(self, name: str) -> list[str]:
        return self.section(name).lines()

    def text(self, name: str) -> str:
        return self.section(name).body.decode("utf-8", "replace")

    def files(self) -> tuple[dict[str, File], dict[str, str], Recorded]:
        """(files by path, why a file could not be read by path, what the own manifest names)."""
        there, reasons = files.parse(
            self.lines("stat"),
            self.lines("unread"),
            self.lines("sums"),
            self.lines("sent"),
            self.section("contents").body,
            self.request.known(),
        )
        request = self.request
        named = recorded.read(there.get(request.record))
        unasked = there.keys() - request.files.keys() - {request.record}
        strange = named.strange(unasked) if request.record else unasked
        if strange and named.whole:
            raise ValueError(f"{min(strange)} was not asked for")
        for path in strange:
            del there[path]
            reasons.pop(path, None)
        return there, reasons, named

    def units(self, manager: ServiceManager, named: Recorded) -> dict[str, Unit]:
        asked = dict.fromkeys(self.request.units)
        names = {**asked, **dict.fromkeys(self.lines("recorded") if self.request.record else ())}
        if not names:
            return {}
        if manager is ServiceManager.SYSTEMD:
            found = units.from_systemd(names, self.text("units"), self.lines("links"))
        else:
            found = units.from_scripts(names, self.lines("units"))
        strange = names.keys() - asked.keys() - named.units
        if strange and named.whole:
            raise ValueError(f"{min(strange)} was not asked for")
        return {name: unit for name, unit in found.items() if name not in strange}

    def surroundings(self) -> surroundings.Surroundings:
        firewall = self.section("firewall")
        return surroundings.parse(
            self.lines("listeners") if "listeners" in self.found else None,
            self.lines("network"),
            self.lines("offloads"),
            firewall.word,
            firewall.lines(),
        )

    def transaction(self) -> tuple[str, str]:
        """(who applies now, whose apply broke off), "" for nobody."""
        lines = self.lines("transaction")
        word, _, rest = lines[0].partition(" ") if lines else ("", "", "")
        if word not in ("", "busy", "unfinished"):
            raise ValueError(f"a transaction that is {word!r}")
        who = host_word(rest) or "somebody"
        return who if word == "busy" else "", who if word == "unfinished" else ""

    def sysctls(self) -> dict[str, Value]:
        """Raw values by dotted key; an interface that went away meanwhile has none."""
        values: dict[str, Value] = {}
        for line in self.lines("sysctls"):
            words = line.split(" ")
            if words[0] == "ip_forward":
                values["net.ipv4.ip_forward"] = int(words[1])
                continue
            if words[0] == "vs":
                values[ipvs(host_word(words[1]))] = _number_or_text(" ".join(words[2:]))
                continue
            version, names = (IPV6, _SIXTH) if words[0] == "six" else (IPV4, _SYSCTLS)
            *numbers, interface = words[1:] if version == IPV6 else words
            for name, number in zip(names, numbers, strict=True):
                if number:  # of a negative one, the sign may be all there is to see
                    values[conf(interface, name, version)] = -1 if number == "-" else int(number)
        return values

    def table(self) -> tuple[dict[ServiceKey, VirtualService] | None, str]:
        """(the table, "") or (None, why it is not known); a kernel without IPVS has an empty one."""
        if self.request.table is None:
            return None, ""
        state = self.section("table").word
        if state in _NO_TABLE:
            return None, _NO_TABLE[state]
        if state == "same":
            return {service.key: service for service in self.request.table}, ""
        if state == "absent":
            return {}, ""
        if state == "differs":
            return ipvs_table.parse(self.text("table"), self.text("counters")), ""
        raise ValueError(f"the table is {state!r}")

    def netfilter(self) -> tuple[Firewall | None, Ruleset | None]:
        """(what loads rules here, the cluster's rules); (None, None) when nobody asked."""
        if not self.request.rules_of:
            return None, None
        texts = {name: self.text(name) for name in ("nft", "iptables", "ip6tables")}
        return netfilter.parse(self.request.rules_of, self.section("netfilter").word, texts)

    def checkers(self) -> checkers.CheckerView | None:
        view = checkers.parse(self.text("checkers"))
        return view if view.services else None
