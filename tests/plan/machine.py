"""A machine that carries out a plan's steps, in as far as they change its HostState. No shell, no network."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lvsdeploy.observe import network
from lvsdeploy.state import nft
from lvsdeploy.state.file import File, FileKind
from lvsdeploy.state.ipvs import TIMEOUTS
from lvsdeploy.state.network import Address
from lvsdeploy.state.sync import SyncDaemon, SyncRole
from lvsdeploy.state.sysctl import IPVS, conf, ipvs
from lvsdeploy.state.tunnel import OURS, GuePort, LinkKind, TunnelLink
from lvsdeploy.state.unit import Unit
from tests.plan import ipvsadm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lvsdeploy.plan.change import Step
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService
    from lvsdeploy.state.netfilter import Ruleset

    Table = Mapping[ServiceKey, VirtualService]

CONF = "/etc/keepalived/keepalived.conf"
_SCRIPT = re.compile(r"/etc/lvsdeploy/[^/]+/(?:real-server|director)")
_ASSIGNED = re.compile(rb"^(vips|gateways|tunnels|gue_ports|tunnel_vips)='([^']*)'$", re.MULTILINE)
_ADDED = re.compile(r"\|\| ip link add name (.*)$", re.MULTILINE)


def made_by(*states: HostState) -> dict[bytes, Table]:
    """What keepalived makes of the configurations that these states have."""
    return {
        state.files[CONF].content: state.virtual_services
        for state in states
        if CONF in state.files and state.virtual_services is not None
    }


class Machine:
    """Starts as `state`. `tables`: the table that keepalived makes of a configuration.

    `patient`: no destination may go from the table before it was quiesced.
    """

    def __init__(self, state: HostState, tables: Mapping[bytes, Table], *, patient: bool = False) -> None:
        self.state = state
        self._tables = tables
        self._patient = patient
        self._staged: dict[str, File] = {}
        self._at_the_end: list[tuple[str, ...]] = []
        self._quiet = False
        self._shows_vips = False

    def run(self, steps: Iterable[Step]) -> HostState:
        """The state after `steps`. AssertionError for a step that could not work at this point."""
        for step in steps:
            function, *words = step.words
            getattr(self, f"_{function}")(*words, *([step.content] if step.content is not None else []))
        assert not self._staged
        for function, *words in self._at_the_end:
            getattr(self, f"_{function}")(*words)
        self._at_the_end.clear()
        return self.state

    def _install_package(self, _manager: str, package: str) -> None:
        program = {"iproute2": "ip", "iproute": "ip", "nftables": "nft"}.get(package, package)
        self._change(programs=self.state.programs | {program})

    def _on_undo(self, *words: str) -> None:
        assert hasattr(self, f"_{words[0]}")

    def _on_commit(self, *words: str) -> None:
        self._at_the_end.append(words)

    # --- files ----------------------------------------------------------------------------------------------

    def _stage(self, path: str, mode: str, owner: str, content: bytes) -> None:
        for parent in PurePosixPath(path).parents:
            if str(parent) != "/" and str(parent) not in self.state.files:
                folder = File(str(parent), b"", 0o755, kind=FileKind.DIRECTORY)
                self._change(files={**self.state.files, folder.path: folder})
        self._staged[path] = File(path, content, int(mode, 8), owner)

    def _test_keepalived(self, path: str) -> None:
        assert path in self._staged
        assert "keepalived" in self.state.programs

    def _place(self, path: str) -> None:
        file = self._staged.pop(path)
        there = self.state.files.get(path)
        assert there is None or there.kind is FileKind.REGULAR
        if path == CONF and self._patient and self._runs("keepalived"):
            self._assert_quiet(self._tables[file.content])
        self._change(files={**self.state.files, path: file})

    def _copies(self, path: str) -> list[str]:
        """Where copies of a file stand or would stand, in the order in which they are looked at."""
        return [f"{path}.before-lvsdeploy", *(f"{path}.before-lvsdeploy.{n}" for n in range(2, 9))]

    def _keep_copy(self, path: str) -> None:
        now = self.state.files[path]
        for copy in self._copies(path):
            there = self.state.files.get(copy)
            if there is None:
                self._change(files={**self.state.files, copy: replace(now, path=copy)})
            if there is None or there.content == now.content:
                return
        raise AssertionError(path)

    def _give_back(self, path: str, sha256: str) -> None:
        files = dict(self.state.files)
        copy = next(c for c in self._copies(path) if c in files and files[c].digest == sha256)
        files[path] = replace(files.pop(copy), path=path)
        self._change(files=files)

    def _remove(self, path: str) -> None:
        assert path not in self.state.files or self.state.files[path].kind is FileKind.REGULAR
        self._change(files={p: file for p, file in self.state.files.items() if p != path})

    def _rmdir_if_empty(self, path: str) -> None:
        if not any(other.startswith(f"{path}/") for other in self.state.files):
            self._change(files={p: file for p, file in self.state.files.items() if p != path})

    # --- the live kernel ------------------------------------------------------------------------------------

    def _sysctl_set(self, path: str, value: str) -> None:
        if "/conf/" in path:
            family, _, key = path.removeprefix("/proc/sys/net/").partition("/conf/")
            interface, _, name = key.partition("/")
            key = f"net.{family}.conf.{interface}.{name}"
        else:
            key = path.removeprefix("/proc/sys/").replace("/", ".")
        assert key in self.state.sysctls
        wanted = int(value) if value.isdigit() else value
        self._change(sysctls={**self.state.sysctls, key: wanted})
        self._shows_vips |= key == "net.ipv4.conf.all.arp_ignore" and not wanted

    def _sysctl_of_module(self, module: str, path: str, value: str) -> None:
        assert module == "ip_vs"
        loaded = {ipvs(name): default for name, default in IPVS.items()}
        self._change(sysctls={**loaded, **self.state.sysctls})
        self._sysctl_set(path, value)

    def _address_add(self, interface: str, address: str) -> None:
        new = Address(interface, ip_interface(address))
        tunnelled = OURS.fullmatch(interface) is not None
        assert not tunnelled or self.state.tunnels[interface].up
        if (interface == "lo" or tunnelled) and new.address.version == 4:
            # An address that comes before the sysctls leaks an ARP answer.
            assert self.state.sysctls["net.ipv4.conf.all.arp_ignore"] == 1
        self._change(addresses=self.state.addresses | {new})

    def _address_del(self, interface: str, address: str) -> None:
        assert not self._shows_vips  # it would have answered ARP for this one in between
        self._change(addresses=self.state.addresses - {Address(interface, ip_interface(address))})

    def _route_default(self, via: str) -> None:
        """With the most preferred metric, which is 1 for IPv6."""
        metric = " metric 1" if ":" in via else ""
        self._put_route(f"default via {via} dev eth0{metric}")

    def _route_back(self, via: str, *words: str) -> None:
        gone = ip_address(via)
        metric = int(gone.version == 6)
        if words:
            self._put_route(" ".join(words))
        others = [
            r for r in self.state.routes if r.via != gone or r.metric != metric or r.words == words != ()
        ]
        self._change(routes=tuple(others))

    def _put_route(self, line: str) -> None:
        """In the place of one with its metric."""
        (new,) = network.parse([line]).routes
        others = [r for r in self.state.routes if (r.version, r.metric) != (new.version, new.metric)]
        self._change(routes=tuple(sorted((new, *others), key=lambda route: (route.version, route.metric))))

    # --- netfilter rules ------------------------------------------------------------------------------------

    def _netfilter_load(self, program: str, name: str, content: bytes) -> None:
        assert program in self.state.programs
        assert name.startswith("lvsdeploy-")
        self._rules(nft.parse(name, content.decode()))

    def _netfilter_remove(self, program: str, name: str) -> None:
        assert program == "nft"
        assert name.startswith("lvsdeploy-")
        self._rules(None)

    def _rules(self, rules: Ruleset | None) -> None:
        self._change(netfilter=rules)
        self._assert_marked()

    def _assert_marked(self) -> None:
        """What is balanced by a mark gets it, or its clients are refused."""
        rules = self.state.netfilter
        marks = {mark.mark for mark in rules.marks} if rules is not None else set()
        declared = {key for table in self._tables.values() for key in table}
        balanced = {key.fwmark for key in self.state.virtual_services or {} if key.fwmark and key in declared}
        assert balanced <= marks, balanced - marks

    # --- tunnels --------------------------------------------------------------------------------------------

    def _module_load(self, module: str) -> None:
        if module == "ipip" and "tunl0" not in self.state.tunnels:
            self._link(TunnelLink("tunl0", LinkKind.IPIP, up=False))

    def _tunnel_add(self, name: str, *words: str) -> None:
        """Makes the interface that `ip link add` makes of these words."""
        if name in self.state.tunnels:
            return
        told = dict(pairwise(words))
        options = frozenset(words) & {"icsum"} | ({"any"} if told.get("mode") == "any" else set())
        link = TunnelLink(
            name,
            LinkKind(told["type"]),
            ip_address(told["local"]) if "local" in told else None,
            up=False,
            options=options,
        )
        twins = [x for x in self.state.tunnels.values() if (x.kind, x.local) == (link.kind, link.local)]
        assert not twins, "RTNETLINK answers: File exists"
        self._link(link)

    def _link(self, link: TunnelLink) -> None:
        keys = {conf(link.name, name): 0 for name in ("arp_ignore", "arp_announce", "send_redirects")}
        keys[conf(link.name, "rp_filter")] = 2  # as some distributions have it
        self._change(tunnels={**self.state.tunnels, link.name: link}, sysctls={**self.state.sysctls, **keys})

    def _tunnel_del(self, name: str, *_words: str) -> None:
        assert name != "tunl0"
        self._change(
            tunnels={n: link for n, link in self.state.tunnels.items() if n != name},
            addresses=frozenset(a for a in self.state.addresses if a.interface != name),
            sysctls={k: v for k, v in self.state.sysctls.items() if not k.startswith(conf(name, ""))},
        )

    def _tunnel_up(self, name: str) -> None:
        self._set(name, up=True)

    def _tunnel_down(self, name: str) -> None:
        self._set(name, up=False)
        lost = {a for a in self.state.addresses if a.interface == name and a.address.version == 6}
        self._change(addresses=self.state.addresses - lost)

    def _set(self, name: str, *, up: bool) -> None:
        link = self.state.tunnels[name]
        self._change(tunnels={**self.state.tunnels, name: replace(link, up=up)})

    def _gue_add(self, family: str, port: str) -> None:
        self._change(gue_ports=self.state.gue_ports | {GuePort(int(port), -int(family))})

    def _gue_del(self, family: str, port: str) -> None:
        self._change(gue_ports=self.state.gue_ports - {GuePort(int(port), -int(family))})

    def _start_tunnels(self, script: str) -> None:
        """What start_tunnels of a script does."""
        text = self.state.files[script].content.decode()
        for line in _ADDED.findall(text):
            name, *words = line.split()
            if name == "tunl0":
                self._module_load("ipip")
            self._tunnel_add(name, *words)
        for name in self._assigned(script).get("tunnels", "").split():
            self._tunnel_up(name)
            self._change(sysctls={**self.state.sysctls, conf(name, "rp_filter"): 0})
        for port in self._assigned(script).get("gue_ports", "").split():
            number, version = port.split("/")
            self._gue_add(f"-{version}", number)

    def _stop_tunnels(self, script: str, others: list[str]) -> None:
        def only_here(variable: str) -> set[str]:
            theirs = {word for other in others for word in self._assigned(other).get(variable, "").split()}
            return set(self._assigned(script).get(variable, "").split()) - theirs

        for name in only_here("tunnels") & self.state.tunnels.keys():
            if name == "tunl0":
                self._tunnel_down(name)
            else:
                self._tunnel_del(name)
        for port in only_here("gue_ports"):
            number, version = port.split("/")
            self._gue_del(f"-{version}", number)

    # --- services -------------------------------------------------------------------------------------------

    def _manager_reload(self) -> None: ...

    def _unit_enable(self, name: str) -> None:
        self._unit(name, enabled=True)

    def _unit_disable(self, name: str) -> None:
        self._unit(name, enabled=False)

    def _unit_start(self, name: str) -> None:
        assert any(name in path for path in self.state.files)
        self._unit(name, active=True)
        if name == "keepalived":
            self._change(virtual_services=self._added(self._tables[self.state.files[CONF].content]))
        for script in self._scripts_of(name):
            if "tunnels" in self._assigned(script):
                self._start_tunnels(script)
            self._change(addresses=self.state.addresses | self._vips_of(script))
            for gateway in self._assigned(script).get("gateways", "").split():
                if not any(str(r.via) == gateway and r.metric <= 1 for r in self.state.routes):
                    self._route_default(gateway)

    def _unit_stop(self, name: str) -> None:
        assert self._runs(name)
        self._unit(name, active=False)
        if name == "keepalived" and self.state.virtual_services is not None:
            self._change(virtual_services={})
        for script in self._scripts_of(name):
            others = [path for path in self._scripts() if path != script]
            assert not self._shows_vips
            self._change(addresses=self.state.addresses - (self._vips_of(script) - self._vips_of(*others)))
            self._stop_tunnels(script, others)

    def _keepalived_leaves_table(self) -> None:
        assert self._runs("keepalived")
        self._unit("keepalived", active=False)

    def _scripts_of(self, name: str) -> list[str]:
        """The scripts that a unit of ours runs."""
        folder = f"/etc/lvsdeploy/{name.removeprefix('lvsdeploy-')}/"
        return [path for path in self._scripts() if path.startswith(folder)]

    def _unit_restart(self, name: str) -> None:
        self._unit_reload(name)

    def _unit_reload(self, name: str) -> None:
        assert self._runs(name)
        self._reloaded(name)

    def _runs(self, name: str) -> bool:
        return self.state.runs(name)

    def _unit(self, name: str, **parts: bool) -> None:
        unit = self.state.units.get(name, Unit(name, enabled=False, active=False))
        changed = replace(unit, **parts)  # type: ignore[arg-type]
        self._change(units={**self.state.units, name: changed})

    def _scripts(self) -> list[str]:
        return [path for path in self.state.files if _SCRIPT.fullmatch(path)]

    def _assigned(self, script: str) -> dict[str, str]:
        """What a script of ours sets in its first lines."""
        found = _ASSIGNED.findall(self.state.files[script].content)
        return {name.decode(): value.decode() for name, value in found}

    def _vips_of(self, *scripts: str) -> frozenset[Address]:
        words = [
            word
            for script in scripts
            for variable in ("vips", "tunnel_vips")
            for word in self._assigned(script).get(variable, "").split()
        ]
        parts = [word.partition("@") for word in words]
        return frozenset(Address(interface or "lo", ip_interface(word)) for word, _, interface in parts)

    # --- the table ------------------------------------------------------------------------------------------

    def _await_table(self) -> None: ...

    def _table_back(self) -> None: ...

    def _ipvs_timeouts(self, *words: str) -> None:
        now = {**TIMEOUTS, **self.state.timeouts}
        assert [int(word) for word in words[3:]] == [
            now[n] if int(w) else 0 for n, w in zip(now, words[:3], strict=True)
        ]
        given = {name: int(word) for name, word in zip(TIMEOUTS, words[:3], strict=True) if int(word)}
        self._change(timeouts={**now, **given})

    def _sync_start(self, role: str, *words: str) -> None:
        values = dict(zip(words[::2], words[1::2], strict=True))
        daemon = SyncDaemon(
            values.pop("--mcast-interface"),
            int(values.pop("--syncid")),
            SyncRole(role),
            max_length=int(values.pop("--sync-maxlen", 0)) or None,
            group=ip_address(values.pop("--mcast-group")) if "--mcast-group" in values else None,
            port=int(values.pop("--mcast-port", 0)) or None,
            ttl=int(values.pop("--mcast-ttl", 0)) or None,
        )
        assert not values
        running = self.state.sync_daemons or frozenset()
        assert role not in {there.role for there in running}
        self._change(sync_daemons=running | {daemon})

    def _sync_stop(self, role: str, *words: str) -> None:
        (there,) = (daemon for daemon in self.state.sync_daemons or () if daemon.role == role)
        assert there.options() == words
        self._change(sync_daemons=(self.state.sync_daemons or frozenset()) - {there})

    def _await_sync(self, _role: str, _interface: str, _syncid: str) -> None:
        """It does not come: then it is started when the host was read again."""

    def _quiesce(self, service: str, destination: str, *words: str) -> None:
        assert not self._quiet
        assert f" -e {service} -r {destination} " in " ".join(words)
        self._table(*words)

    def _await_quiet(self, seconds: str) -> None:
        assert int(seconds) > 0
        self._quiet = True

    def _assert_quiet(self, to_be: Table) -> None:
        """Whatever keepalived is going to take out gets nothing new any more, and had time to end."""
        for key, service in (self.state.virtual_services or {}).items():
            stays = {d.key for d in to_be[key].destinations} if key in to_be else set()
            for destination in service.destinations:
                assert destination.key in stays or (self._quiet and not destination.weight), destination

    def _table(self, count: str, *words: str) -> None:
        """Runs ipvsadm; the first words would undo it."""
        table = self.state.virtual_services or {}
        self._change(virtual_services=ipvsadm.run(table, words[int(count) :]))

    def _added(self, wanted: Table) -> Table:
        """What a keepalived that starts makes of the table: it adds what is missing, and no more."""
        table = dict(self.state.virtual_services or {})
        for key, service in wanted.items():
            there = table.setdefault(key, service)
            known = {d.key for d in there.destinations}
            new = [d for d in service.destinations if d.key not in known]
            table[key] = replace(there, destinations=tuple(sorted((*there.destinations, *new))))
        return table

    def _reloaded(self, name: str) -> None:
        if name == "keepalived":
            self._change(virtual_services=self._tables[self.state.files[CONF].content])
            self._assert_marked()

    def _change(self, **parts: object) -> None:
        self.state = replace(self.state, **parts)  # type: ignore[arg-type]
