"""Inventories as they come."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from lvsdeploy.inventory import load

if TYPE_CHECKING:
    from lvsdeploy.inventory.model import Cluster


@st.composite
def inventories(draw: st.DrawFn, *, tunnelled: bool = True) -> dict[str, Any]:
    """Inventories that are valid: of one or two directors, with DR, NAT and TUN as they come.

    web1 is a director in some and a real server in others. A real server, and a sorry server, may have a
    mode and a tunnel of its own. Without `tunnelled` nothing is wrapped.
    """
    modes = ["dr", "nat", *(["tun"] if tunnelled else [])]
    servers = [f"web{n}" for n in range(1, draw(st.integers(2, 4)) + 1)]
    inside = ["db1", "db2"]
    document: dict[str, Any] = {
        "version": 1,
        "cluster": draw(st.sampled_from(["shop", "a", "api-2"])),
        "directors": {
            f"lvs{n}": {
                "address": f"192.0.2.{n + 1}",
                "interface": draw(st.sampled_from(["eth0", "eth0.100"])),
            }
            for n in range(1, draw(st.integers(1, 2)) + 1)
        },
        "real_servers": {
            **{
                name: {"address": f"192.0.2.{number}", **({"interface": "eth0"} if number % 2 else {})}
                for number, name in enumerate(servers, 11)
            },
            **{name: {"address": f"10.2.0.{number}"} for number, name in enumerate(inside, 21)},
        },
        "services": {},
    }
    if draw(st.integers(0, 3)) == 0:
        del document["directors"]["lvs1"]
        document["directors"]["web1"] = {"address": "192.0.2.11", "interface": "eth0"}
        del document["real_servers"]["web1"]
        servers.remove("web1")
    for number in range(draw(st.integers(1, 3))):
        mode = draw(st.sampled_from(modes))
        service: dict[str, Any] = {
            "vip": f"192.0.2.{draw(st.integers(100, 103))}",
            "ports": [8000 + number, 9000 + number][: draw(st.integers(1, 2))],
            "mode": mode,
            "scheduler": draw(st.sampled_from(["rr", "wrr", "wlc", "sh"])),
            "protocol": draw(st.sampled_from(["tcp", "udp"])),
            "health_check": "none",
            "real_servers": draw(
                st.lists(st.sampled_from(inside if mode == "nat" else servers), min_size=1, unique=True)
            ),
        }
        if mode == "tun":
            service["tunnel"] = draw(tunnels())
        others = [name for name in (*servers, *inside) if name not in service["real_servers"]]
        further = draw(st.lists(st.sampled_from(others), max_size=2, unique=True)) if others else []
        service["real_servers"] += [{"name": name, **draw(ways(name, modes))} for name in further]
        left = [name for name in others if name not in further]
        if left and draw(st.integers(0, 2)) == 0:
            name = draw(st.sampled_from(left))
            address = document["real_servers"][name]["address"]
            service["sorry_server"] = {
                "address": address,
                **draw(ways(name, modes)),
                "inhibit": draw(st.booleans()),
            }
        if draw(st.booleans()):
            service["persistence"] = draw(st.integers(1, 600))
        if draw(st.integers(0, 2)) == 0:
            service["fwmark"] = draw(st.integers(5, 6)) + 2 * number
        document["services"][f"s{number}"] = service
        if "'nat'" in str(service):
            document["nat"] = {
                "gateway": "10.2.0.1/24",
                "interface": "eth1",
                "configure_gateway": draw(st.booleans()),
                "masquerade": draw(st.booleans()),
            }
    if len(document["directors"]) == 1 and draw(st.integers(0, 2)) == 0:
        document["engine"] = "ipvsadm"
        for service in document["services"].values():
            service.pop("sorry_server", None)
    return document


@st.composite
def tunnels(draw: st.DrawFn) -> dict[str, Any]:
    """A `tunnel` of any type."""
    kind = draw(st.sampled_from(["ipip", "gre", "gue"]))
    return {"type": kind, **({"port": draw(st.sampled_from([6080, 6081]))} if kind == "gue" else {})}


@st.composite
def ways(draw: st.DrawFn, name: str, modes: list[str]) -> dict[str, Any]:
    """What a real server, or a sorry server, says of its own way; NAT is for those inside."""
    other = "dr" if name.startswith("db") else "nat"
    mode = draw(st.sampled_from([mode for mode in modes if mode != other]))
    return {"mode": mode, **({"tunnel": draw(tunnels())} if mode == "tun" else {})}


def cluster_of(document: dict[str, Any]) -> Cluster:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.yaml"
        path.write_text(json.dumps(document))
        return load(path).cluster
