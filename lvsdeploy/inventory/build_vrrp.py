"""The sections `vrrp` and `ipvs` of an inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory import text_codes
from lvsdeploy.inventory.model import (
    Garp,
    IPAddress,
    Ipvs,
    IpvsTimeouts,
    SyncDaemonOptions,
    TrackedInterface,
    TrackScript,
    Vrrp,
    VrrpGroup,
    VrrpNotify,
)
from lvsdeploy.inventory.secrets import read_secret, vrrp_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lvsdeploy.inventory.draft import Draft
    from lvsdeploy.inventory.model import Secret
    from lvsdeploy.inventory.registry import Code

_ROUTER_ID = 51


def build_vrrp(draft: Draft) -> Vrrp:
    """How the directors agree; defaults when the section is absent or broken."""
    given = draft.section("vrrp")
    groups = tuple(
        VrrpGroup(name, entry["virtual_router_id"], entry.get("master"), ("vrrp", "groups", name))
        for name, entry in given.get("groups", {}).items()
    )
    _known_names(draft, groups)
    _interfaces_once(draft, given)
    router_id = given.get("virtual_router_id", _ROUTER_ID)
    return Vrrp(
        virtual_router_id=router_id,
        advert_interval=float(given.get("advert_interval", 1)),
        preempt=given.get("preempt", True),
        unicast=given.get("unicast", True),
        password=_password(draft, given),
        version=given.get("version"),
        preempt_delay=float(given.get("preempt_delay", 0)),
        track_interfaces=tuple(
            TrackedInterface(entry) if isinstance(entry, str) else TrackedInterface(**entry)
            for entry in given.get("track_interfaces", ())
        ),
        track_scripts=tuple(
            TrackScript(name, **{**entry, "arguments": tuple(entry.get("arguments", ()))})
            for name, entry in given.get("track_scripts", {}).items()
        ),
        garp=Garp(**given.get("garp", {})),
        notify=VrrpNotify(**given.get("notify", {})),
        vmac=given.get("vmac", False),
        groups=groups,
        sync_daemon=_sync_daemon(draft, given.get("sync_daemon"), router_id),
    )


def _known_names(draft: Draft, groups: tuple[VrrpGroup, ...]) -> None:
    """A group's master is a director, a VIP's group is declared."""
    for group in groups:
        master = group.master
        if master is not None and master not in draft.directors and master not in draft.lost["directors"]:
            draft.unknown("director", master, (*group.path, "master"), draft.directors)
    names = [group.name for group in groups]
    if "vrrp" in draft.incomplete:
        return
    for vip in draft.vips.values():
        if vip.group and vip.group not in names:
            draft.unknown("VRRP group", vip.group, (*vip.path, "group"), names)


def _interfaces_once(draft: Draft, given: Mapping[str, Any]) -> None:
    """No interface is tracked twice: keepalived refuses that, whatever the weights."""
    seen: set[str] = set()
    for index, entry in enumerate(given.get("track_interfaces", ())):
        name = entry if isinstance(entry, str) else entry["interface"]
        if name in seen:
            path = ("vrrp", "track_interfaces", str(index))
            draft.tell(text_codes.REPEATED_ITEM, path, f"'track_interfaces' holds {name} twice")
        seen.add(name)


def _password(draft: Draft, given: Mapping[str, Any]) -> Secret | None:
    if "password" not in given:
        return None
    path = ("vrrp", "password")

    def tell(code: Code, summary: str) -> None:
        draft.tell(code, path, summary)

    value = read_secret(
        given["password"],
        environ=draft.environ,
        resolve=lambda text: draft.file(text, (*path, "file")),
        tell=tell,
    )
    return vrrp_password(value, tell) if value is not None else None


def _sync_daemon(draft: Draft, given: Mapping[str, Any] | None, router_id: int) -> SyncDaemonOptions | None:
    if given is None:
        return None
    group: IPAddress | None = None
    if "group" in given:
        path = ("vrrp", "sync_daemon", "group")
        group = draft.ip(given["group"], path)
        if group is not None and not group.is_multicast:
            draft.tell(
                text_codes.NOT_AN_ADDRESS,
                path,
                f"'{group}' is not a multicast group",
                why="The sync daemon sends to all directors at once, by multicast.",
                fix="Write an address of 224.0.0.0/4 or ff00::/8, or leave it out: then it is 224.0.0.81.",
            )
            group = None
    return SyncDaemonOptions(
        given["interface"],
        given.get("syncid", router_id),
        given.get("max_length"),
        given.get("port"),
        group,
        given.get("ttl"),
    )


def build_ipvs(draft: Draft) -> Ipvs:
    """The directors' IPVS itself."""
    given = draft.section("ipvs")
    values = {name: _value(name, value) for name, value in given.get("sysctls", {}).items()}
    return Ipvs(IpvsTimeouts(**given.get("timeouts", {})), tuple(sorted(values.items())))


def _value(name: str, value: bool | int | str) -> int | str:  # noqa: FBT001 — it is what YAML gave
    """As the kernel shows it: switches are 0 and 1, lists of CPUs are sorted and without gaps."""
    if name == "est_cpulist":
        cpus = _cpu_list(str(value))
        return int(cpus) if cpus.isdigit() else cpus  # a single one is read as a number
    return value if isinstance(value, str) else int(value)


def _cpu_list(text: str) -> str:
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    ordered = sorted(cpus)
    firsts = [cpu for cpu in ordered if cpu - 1 not in cpus]
    lasts = [cpu for cpu in ordered if cpu + 1 not in cpus]
    ranges = zip(firsts, lasts, strict=True)
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
