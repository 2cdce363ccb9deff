"""What a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvsdeploy.diagnostics import Finding
    from lvsdeploy.state.ipvs import VirtualService


class Phase(IntEnum):
    """When a step runs within its host's transaction; within a phase, steps keep their order.

    Sysctls come before addresses: a VIP that is on lo before `arp_ignore` is set leaks an ARP answer. A VIP
    that goes is taken away before anything else for the same reason.
    """

    INSTALL = 1
    STAGE = 2
    TEST = 3
    PREPARE = 4  # what is to be done last if what follows has to be undone: nothing has changed so far
    QUIESCE = 5  # destinations that will go get nothing new,
    QUIET = 6  # and their connections get time to end
    WITHDRAW = 7
    PLACE = 8
    MANAGER = 9
    LINK = 10  # interfaces come before what is set on them
    SYSCTL = 11
    ADDRESS = 12
    ROUTE = 13
    NETFILTER = 14  # before keepalived gets to know a service by a mark
    UNIT = 15
    TABLE = 16
    SETTLE = 17
    RELEASE = 18  # rules that go: until then packets were what the table knew
    RECORD = 19  # what was done is written down last, and takes effect with the rest or not at all


@dataclass(frozen=True)
class Step:
    """One call of a function of `execute/transaction.sh`. `content` is a file's, sent beside the script."""

    phase: Phase
    words: tuple[str, ...]
    content: bytes | None = None

    @property
    def title(self) -> str:
        """What the step does, in words that follow "could not"."""
        function, *words = self.words
        match function:
            case "table":
                title = "run `ipvsadm " + " ".join(words[1 + int(words[0]) :]) + "`"
            case "stage" | "place":
                title = f"write {words[0]}"
            case "sysctl_set":
                title = f"set {words[0]} to {words[1]}"
            case "install_package":
                title = f"install {words[1]} with {words[0]}"
            case "sysctl_of_module":
                title = f"load {words[0]} and set {words[1]} to {words[2]}"
            case "netfilter_load" | "netfilter_remove":
                title = f"{_TITLES[function]} {words[1]} with {words[0]}"
            case "quiesce":
                title = f"take new connections away from {words[1]} of {words[0].partition(' ')[2]}"
            case "tunnel_add" | "tunnel_del" | "give_back" | "route_back":
                title = f"{_TITLES[function]} {words[0]}"
            case "address_add" | "address_del":
                title = f"{'add' if function == 'address_add' else 'remove'} {words[1]} on {words[0]}"
            case _:
                title = " ".join((_TITLES.get(function, function), *words))
        return title


_TITLES = {
    "test_keepalived": "have keepalived accept",
    "keep_copy": "keep a copy of",
    "remove": "remove",
    "manager_reload": "run systemctl daemon-reload",
    "route_default": "set the default route via",
    "unit_enable": "have started at boot",
    "unit_start": "start",
    "unit_reload": "reload",
    "unit_restart": "restart",
    "unit_stop": "stop",
    "keepalived_leaves_table": "end keepalived, and leave the IPVS table as it is",
    "unit_disable": "keep from being started at boot",
    "netfilter_load": "load the netfilter rules",
    "netfilter_remove": "remove the netfilter rules",
    "ipvs_timeouts": "set IPVS's timeouts (tcp, tcp_fin, udp, and those before; 0: no change)",
    "sync_stop": "stop the sync daemon",
    "sync_start": "start the sync daemon",
    "await_sync": "wait for the sync daemon",
    "give_back": "put back what stood at",
    "tunnel_add": "make the interface",
    "tunnel_del": "remove the interface",
    "gue_add": "unwrap GUE on UDP, IP version and port",
    "gue_del": "stop unwrapping GUE on UDP, IP version and port",
    "module_load": "load the kernel module",
    "tunnel_up": "set up the interface",
    "tunnel_down": "set down the interface",
    "route_back": "put back the default route that led elsewhere than to",
}


class Kind(StrEnum):
    """What kind of thing changes."""

    PACKAGE = "package"
    FILE = "file"
    SYSCTL = "sysctl"
    ADDRESS = "address"
    ROUTE = "route"
    TUNNEL = "tunnel interface"
    GUE_PORT = "GUE port"
    UNIT = "service"
    NETFILTER = "netfilter rules"
    VIRTUAL_SERVICE = "virtual service"
    DESTINATION = "destination"
    TIMEOUT = "IPVS timeout"
    SYNC_DAEMON = "sync daemon"
    RECORD = "record"


class Action(StrEnum):
    """What happens to it."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Reason(StrEnum):
    """Why host and declaration differ."""

    NEW = "not there yet"
    DECLARED = "changed in the inventory"
    DRIFT = "changed on the host"
    LEFT_OVER = "no longer declared"
    FOREIGN = "written by somebody else"


@dataclass(frozen=True)
class Change:
    """One difference and how it is mended.

    `detail` says in one line what is and what should be. `diff` is a unified diff for a file, with secrets
    masked. No steps: another change's steps mend it too (a reload of keepalived rebuilds its table).
    """

    kind: Kind
    name: str
    action: Action
    reason: Reason
    detail: str = ""
    diff: str = ""
    steps: tuple[Step, ...] = ()


class Role(StrEnum):
    """What a host is in the cluster."""

    DIRECTOR = "director"
    REAL_SERVER = "real server"


@dataclass(frozen=True)
class HostPlan:
    """What has to change on one host, and what was found on it.

    A finding that is an error refuses the change.
    """

    host: str
    role: Role
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    bookkeeping: tuple[Step, ...] = ()  # writes down what the changes did; nothing an operator decides on
    table: tuple[VirtualService, ...] = ()  # what a director's table is to hold, as far as it can be
    replaced: tuple[str, ...] = ()  # virtual services of whose destinations none would stay

    @property
    def refused(self) -> bool:
        return any(finding.is_error for finding in self.findings)

    @property
    def as_declared(self) -> bool:
        """Nothing to change, and nothing that would have to be."""
        return not self.changes and not any(f.is_error or f.drift for f in self.findings)

    def steps(self) -> tuple[Step, ...]:
        """Every step of the host's transaction, each once, in the order of phases."""
        steps = dict.fromkeys(step for change in self.changes for step in change.steps)
        steps.update(dict.fromkeys(self.bookkeeping))
        return tuple(sorted(steps, key=lambda step: step.phase))


@dataclass(frozen=True)
class Failure:
    """A host that could not be read or changed: one line, what to do, and what its programs said."""

    host: str
    message: str
    hint: str = ""
    detail: str = ""
    exit_code: int = 1


@dataclass(frozen=True)
class Plan:
    """All hosts' plans, in inventory order (real servers first), and the hosts that could not be read.

    `findings` are about the cluster as a whole.
    """

    cluster: str
    hosts: tuple[HostPlan, ...]
    failures: tuple[Failure, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def changes(self) -> int:
        return sum(len(host.changes) for host in self.hosts)

    @property
    def refused(self) -> frozenset[str]:
        """Hosts that an error of theirs keeps from being changed."""
        return frozenset(f.host for f in self.all_findings() if f.is_error and f.host is not None)

    @property
    def as_declared(self) -> bool:
        """Every host that was read is as declared, and so is the cluster as a whole."""
        return all(host.as_declared for host in self.hosts) and not any(
            f.is_error or f.drift for f in self.findings
        )

    def all_findings(self) -> tuple[Finding, ...]:
        return (*(f for host in self.hosts for f in host.findings), *self.findings)
