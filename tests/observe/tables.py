"""Random IPVS tables with every option: such as can be written down, and such as a kernel takes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from lvsdeploy.inventory.model import Protocol, Scheduler
from lvsdeploy.state.ipvs import (
    Checksum,
    Forwarding,
    ServiceKey,
    TableDestination,
    Tunnel,
    TunnelKind,
    VirtualService,
)

_FLAGS = {
    "sh": ("sh-fallback", "sh-port"),
    "mh": ("mh-fallback", "mh-port"),
}
_OTHER_FLAGS = ("flag-1", "flag-2", "flag-3")
_MONTH = 31 * 86400

ports = st.integers(1, 65535)
ipv4 = st.integers(int(IPv4Address("10.0.0.1")), int(IPv4Address("10.255.255.254")))
ipv6 = st.integers(int(IPv6Address("2001:db8::1")), int(IPv6Address("2001:db8::ffff:ffff:ffff")))
addresses4 = ipv4.map(lambda number: str(IPv4Address(number)))
addresses6 = ipv6.map(lambda number: str(IPv6Address(number)))
ADDRESSES = {4: addresses4, 6: addresses6}
MASKS = {4: ["", "255.255.255.0", "255.0.0.0"], 6: ["", "64", "127", "1"]}

tunnels = st.one_of(
    st.just(Tunnel()),
    st.builds(Tunnel, st.just(TunnelKind.GRE), st.just(0), st.sampled_from([Checksum.NONE, Checksum.CSUM])),
    st.builds(Tunnel, st.just(TunnelKind.GUE), ports, st.sampled_from(Checksum)),
)


@st.composite
def keys(draw: st.DrawFn) -> ServiceKey:
    family = draw(st.sampled_from([4, 6]))
    if draw(st.booleans()):
        mark = draw(st.sampled_from([1, 7, 2**31 - 1, 2**31, 2**32 - 1]) | st.integers(1, 2**32 - 1))
        return ServiceKey(None, "", 0, mark, family)
    return ServiceKey(draw(st.sampled_from(Protocol)), draw(ADDRESSES[family]), draw(ports | st.just(0)))


@st.composite
def destinations(draw: st.DrawFn, key: ServiceKey) -> TableDestination:
    """No port mapping but with NAT, and no other family but with TUN, as ipvsadm and the kernel want it."""
    forwarding = draw(st.sampled_from(Forwarding))
    tun = forwarding is Forwarding.TUN
    family = draw(st.sampled_from([4, 6])) if tun else key.family
    free = bool(key.fwmark) or forwarding is Forwarding.NAT
    upper = draw(st.just(0) | st.integers(1, 2**31 - 1))
    return TableDestination(
        draw(ADDRESSES[family]),
        draw(ports | st.just(0)) if free else key.port,
        forwarding,
        draw(st.integers(0, 65535)),
        upper,
        draw(st.integers(0, upper)),
        draw(tunnels) if tun else None,
    )


@st.composite
def services(draw: st.DrawFn, *, schedulers: tuple[Scheduler, ...] = tuple(Scheduler)) -> VirtualService:
    key = draw(keys())
    scheduler = draw(st.sampled_from(schedulers)).value
    flags = draw(st.sets(st.sampled_from(_FLAGS.get(scheduler, _OTHER_FLAGS))))
    sticky = draw(st.booleans()) or (not key.fwmark and not key.port)
    several = draw(st.lists(destinations(key), max_size=5, unique_by=lambda d: d.key))
    return VirtualService(
        key=key,
        scheduler=scheduler,
        scheduler_flags=tuple(f for f in _FLAGS.get(scheduler, _OTHER_FLAGS) if f in flags),
        persistence=draw(st.integers(1, _MONTH)) if sticky else None,
        netmask=draw(st.sampled_from(MASKS[key.family])) if sticky else "",
        engine=draw(st.sampled_from(["", "sip"])) if sticky else "",
        one_packet=draw(st.booleans()) if key.fwmark or key.protocol is Protocol.UDP else False,
        destinations=tuple(sorted(several)),
    )


def tables(
    *, schedulers: tuple[Scheduler, ...] = tuple(Scheduler)
) -> st.SearchStrategy[list[VirtualService]]:
    return st.lists(services(schedulers=schedulers), max_size=6, unique_by=lambda service: service.key)
