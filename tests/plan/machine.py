"""A machine that carries out a plan's steps, in as far as they change its HostState. No shell, no network."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING

from lvsdeploy.observe.ipvs_table import parse, render
from lvsdeploy.state.file import File
from lvsdeploy.state.network import Address, Route
from lvsdeploy.state.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lvsdeploy.plan.change import Step
    from lvsdeploy.state.host import HostState
    from lvsdeploy.state.ipvs import ServiceKey, VirtualService


class Machine:
    """Starts as `state`. `made` is the table that keepalived makes when it is started or reloaded."""

    def __init__(self, state: HostState, made: Mapping[ServiceKey, VirtualService] | None) -> None:
        self.state = state
        self._made = made
        self._staged: dict[str, File] = {}

    def run(self, steps: Iterable[Step]) -> HostState:
        """The state after `steps`. AssertionError for a step that could not work at this point."""
        for step in steps:
            function, *words = step.words
            getattr(self, f"_{function}")(*words, *([step.content] if step.content is not None else []))
        assert not self._staged
        return self.state

    def _install_package(self, _manager: str, package: str) -> None:
        program = {"iproute2": "ip", "iproute": "ip"}.get(package, package)
        self._change(programs=self.state.programs | {program})

    def _on_undo(self, *words: str) -> None:
        assert hasattr(self, f"_{words[0]}")

    def _stage(self, path: str, mode: str, owner: str, content: bytes) -> None:
        self._staged[path] = File(path, content, int(mode, 8), owner)

    def _test_keepalived(self, path: str) -> None:
        assert path in self._staged
        assert "keepalived" in self.state.programs

    def _place(self, path: str) -> None:
        file = self._staged.pop(path)
        self._change(files={**self.state.files, path: file})

    def _keep_copy(self, path: str) -> None:
        copy = replace(self.state.files[path], path=f"{path}.before-lvsdeploy")
        self._change(files={**self.state.files, copy.path: copy})

    def _remove(self, path: str) -> None:
        self._change(files={p: file for p, file in self.state.files.items() if p != path})

    def _manager_reload(self) -> None: ...

    def _sysctl_set(self, path: str, value: str) -> None:
        interfaces = "/proc/sys/net/ipv4/conf/"
        if path.startswith(interfaces):
            interface, _, name = path.removeprefix(interfaces).partition("/")
            key = f"net.ipv4.conf.{interface}.{name}"
        else:
            key = path.removeprefix("/proc/sys/").replace("/", ".")
        assert key in self.state.sysctls
        self._change(sysctls={**self.state.sysctls, key: int(value)})

    def _address_add(self, interface: str, address: str) -> None:
        new = Address(interface, ip_interface(address))
        if interface == "lo" and new.address.version == 4:
            # An address that comes before the sysctls leaks an ARP answer.
            assert self.state.sysctls["net.ipv4.conf.all.arp_ignore"] == 1
        self._change(addresses=self.state.addresses | {new})

    def _address_del(self, interface: str, address: str) -> None:
        self._change(addresses=self.state.addresses - {Address(interface, ip_interface(address))})

    def _route_default(self, via: str) -> None:
        others = [route for route in self.state.routes if route.metric]
        self._change(routes=(Route(ip_address(via), "eth0"), *others))

    def _unit_enable(self, name: str) -> None:
        self._unit(name, enabled=True)

    def _unit_start(self, name: str) -> None:
        assert any(name in path for path in self.state.files)
        self._unit(name, active=True)
        self._reloaded(name)

    def _unit_reload(self, name: str) -> None:
        assert self.state.units[name].active
        self._reloaded(name)

    def _unit_remove(self, name: str) -> None:
        self._unit(name, enabled=False, active=False)

    def _await_table(self) -> None: ...

    def _table(self, count: str, *words: str) -> None:
        """Runs ipvsadm on the lines of the table."""
        command, flag, name, *options = words[int(count) :]
        lines = [f"{line} " for line in render((self.state.virtual_services or {}).values()).splitlines()]
        service, destination = f"{flag} {name} ", ""
        if command in ("-a", "-e", "-d"):
            destination = f"-r {options[options.index('-r') + 1]} "
        same = [line for line in lines if line[3:].startswith(service + destination)]
        head = "-a" if destination else "-A"
        there = [line for line in same if line.startswith(head)]
        assert bool(there) == (command not in ("-A", "-a")), words
        assert not (command == "-a" and not any(x.startswith(f"-A {service}") for x in lines)), words
        if command == "-D":
            lines = [line for line in lines if not line[3:].startswith(service)]
        else:
            lines = [line for line in lines if line not in there]
        if command not in ("-D", "-d"):
            lines.append(f"{head} {service}{' '.join(options)}")
        self._change(virtual_services=parse("\n".join(lines)))

    def _unit(self, name: str, **parts: bool) -> None:
        unit = self.state.units.get(name, Unit(name, enabled=False, active=False))
        changed = replace(unit, **parts)  # type: ignore[arg-type]
        self._change(units={**self.state.units, name: changed})

    def _reloaded(self, name: str) -> None:
        if name == "keepalived":
            self._change(virtual_services=self._made)

    def _change(self, **parts: object) -> None:
        self.state = replace(self.state, **parts)  # type: ignore[arg-type]
