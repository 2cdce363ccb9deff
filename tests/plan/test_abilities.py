"""What keepalived, the kernel or ipvsadm lack for what is declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lvsdeploy.desired import features
from lvsdeploy.desired.director import director_modules
from lvsdeploy.desired.keyword_versions import OLDEST
from lvsdeploy.inventory.model import Scheduler
from lvsdeploy.observe import facts as observed
from lvsdeploy.plan.change import Role
from lvsdeploy.plan.host import plan_host
from lvsdeploy.state.file import File
from lvsdeploy.state.ipvs import Checksum, Forwarding, TableDestination, Tunnel, TunnelKind
from lvsdeploy.state.sysctl import ipvs
from tests.desired import clusters
from tests.plan.hosts import CONF, FACTS, changed, codes, converged, declared

if TYPE_CHECKING:
    from lvsdeploy.plan.context import Context
    from lvsdeploy.state.facts import Facts

SHOP = clusters.smallest()
RECORDED = {
    path.stem.split("-")[0]: path.read_text().splitlines()
    for path in sorted((Path(__file__).parents[1] / "observe" / "recorded" / "keepalived").iterdir())
}


def with_keepalived(version: str) -> Facts:
    """Facts of a host with a keepalived whose `--version` was recorded."""
    said = [
        f"+keepalived{line.partition(':')[2]}" if ": " in line else f"keepalived {line}"
        for line in RECORDED[version]
        if line.startswith(("Keepalived v", "Config options:", "System options:"))
    ]
    found = observed.parse(["manager systemd"], said, [], {})
    return replace(FACTS, programs=found.programs, built_with=found.built_with)


def director(configuration: str, facts: Facts) -> Context:
    """A director whose keepalived.conf is to be this text."""
    context = converged(SHOP, "lvs1", facts)
    return declared(context, files={CONF: File(CONF, configuration.encode())})


def told(context: Context) -> list[str]:
    about = ("LVS507", "LVS551", "LVS552", "LVS553")
    return [
        f"{f.code} {f.severity.value}: {f.summary}"
        for f in plan_host(context, Role.DIRECTOR).findings
        if f.code in about
    ]


# --- keepalived ---------------------------------------------------------------------------------------------

CONFIGURATIONS = {
    "check": "virtual_server 192.0.2.50 80 {\n real_server 192.0.2.11 80 {\n  %s {\n  }\n }\n}\n",
    "service": "virtual_server 192.0.2.50 80 {\n %s\n}\n",
    "real server": "virtual_server 192.0.2.50 80 {\n real_server 192.0.2.11 80 {\n  %s\n }\n}\n",
    "instance": "vrrp_instance a {\n %s\n}\n",
    "file": "%s\n",
    "global": "global_defs {\n %s\n}\n",
    "url": "virtual_server 192.0.2.50 80 {\n real_server 192.0.2.11 80 {\n  HTTP_GET {\n"
    "   url {\n    path /\n    %s\n   }\n  }\n }\n}\n",
}
CHECK = "virtual_server real_server"
HEALTH = "services.NAME.health_check"
BFD = f"keepalived {{}} was built without BFD, needed by `bfd_instance` ({HEALTH} (bfd))"
REGEX = f"was built without REGEX, needed by `{CHECK} HTTP_GET url regex` ({HEALTH}.regex)"
GRE = "was built without IPVS_TUN_GRE, needed by tunnels of type gre (services.NAME.mode, "
SYNC = "lvs_sync_daemon eth0 id 51 maxlen 1400"


@pytest.mark.parametrize(
    ("version", "where", "text", "says"),
    [
        (
            "2.0.20",
            "check",
            "PING_CHECK",
            f"keepalived 2.0.20 has no `{CHECK} PING_CHECK` ({HEALTH} (ping)): it came with 2.1.0",
        ),
        ("2.0.20", "check", "UDP_CHECK", f"has no `{CHECK} UDP_CHECK` ({HEALTH} (udp)): it came with 2.1.0"),
        ("2.0.20", "file", "bfd_instance a {\n}", BFD.format("2.0.20")),
        ("2.0.20", "url", 'regex "ok"', f"keepalived 2.0.20 {REGEX}"),
        (
            "2.0.20",
            "service",
            "lvs_sched twos",
            "has no scheduler twos (services.NAME.scheduler): it came with 2.2.5",
        ),
        ("2.1.5", "service", "lvs_method TUN type gre", f"keepalived 2.1.5 {GRE}"),
        (
            "2.1.5",
            "real server",
            "lvs_method TUN type gre",
            "keepalived 2.1.5 was built without IPVS_TUN_GRE",
        ),
        ("2.1.5", "service", "sorry_server_lvs_method TUN type gue port 6080", "without IPVS_TUN_TYPE"),
        (
            "2.1.5",
            "instance",
            "use_vmac_addr",
            "`vrrp_instance use_vmac_addr` (vrrp.vmac): it came with 2.2.0",
        ),
        (
            "2.0.20",
            "global",
            SYNC,
            "was built without IPVS_SYNCD_ATTRIBUTES, needed by length, port, group or TTL",
        ),
        ("2.3.1", "file", "bfd_instance a {\n}", BFD.format("2.3.1")),
        ("2.3.4", "url", 'regex "ok"', f"keepalived 2.3.4 {REGEX}"),
    ],
)
def test_a_keepalived_that_lacks_something(version: str, where: str, text: str, says: str) -> None:
    context = director(CONFIGURATIONS[where] % text, with_keepalived(version))
    (line,) = told(context)
    assert line.startswith("LVS551 error: keepalived")
    assert says in line
    assert plan_host(context, Role.DIRECTOR).refused


@pytest.mark.parametrize(
    ("version", "where", "text"),
    [
        ("2.1.5", "check", "PING_CHECK"),
        ("2.2.4", "file", "bfd_instance a {\n}"),
        ("2.2.7", "url", 'regex "ok"'),
        ("2.2.7", "service", "lvs_sched twos"),
        ("2.0.20", "service", "lvs_sched mh"),
        ("2.0.20", "service", "lvs_method TUN"),
        ("2.2.4", "service", "lvs_method TUN type gue port 6080 csum"),
        ("2.3.4", "service", "lvs_method TUN type gre csum"),
        ("2.0.20", "real server", "lvs_method TUN"),
        ("2.3.4", "real server", "lvs_method TUN type gre csum"),
        ("2.0.20", "instance", "use_vmac"),  # at that time a system option
        ("2.3.4", "instance", "use_vmac"),
        ("2.1.5", "global", SYNC),
        ("2.0.20", "global", "lvs_sync_daemon eth0 id 51"),
        ("2.0.20", "url", "status_code 200-299"),
        ("2.0.20", "instance", "no_such_word 1"),  # keepalived itself says so, when it tests the file
    ],
)
def test_a_keepalived_that_has_it(version: str, where: str, text: str) -> None:
    assert told(director(CONFIGURATIONS[where] % text, with_keepalived(version))) == []


@pytest.mark.parametrize("version", sorted(RECORDED))
@pytest.mark.parametrize("case", ["smallest", "dr-two-directors", "nat-two-directors", "ipv6"])
def test_what_is_common_works_with_each_of_them(case: str, version: str) -> None:
    cluster = clusters.CASES[case]()
    context = converged(cluster, cluster.directors[0].name, with_keepalived(version))
    assert told(context) == []


def test_what_stands_in_a_block_is_not_told_again() -> None:
    """A block that is lacking; one of another name that begins like it is told for itself."""
    facts = replace(FACTS, programs={"keepalived": "1.3.5"}, built_with={"keepalived": frozenset({"VRRP"})})
    text = "virtual_server 192.0.2.50 80 {\n warmup 0\n real_server 192.0.2.11 80 {\n }\n}\n"
    assert [line.split(" needed by ")[1] for line in told(director(text, facts))] == [
        "`virtual_server` (services.NAME)"
    ]
    text += "virtual_server_group a {\n}\n"
    assert len(told(director(text, facts))) == 2


@pytest.mark.parametrize(("where", "text"), [("check", "PING_CHECK"), ("service", "lvs_sched twos")])
def test_each_lack_is_told_once(where: str, text: str) -> None:
    whole = CONFIGURATIONS[where] % text
    assert len(told(director(whole + whole, with_keepalived("2.0.20")))) == 1


def test_every_lack_is_told() -> None:
    text = CONFIGURATIONS["service"] % "lvs_method TUN type gue port 6080 csum\n lvs_sched twos"
    lines = told(director(text, with_keepalived("2.1.5")))
    assert [line.partition("2.1.5 ")[2].partition(" (")[0] for line in lines] == [
        "was built without IPVS_TUN_TYPE, needed by tunnels of type gue",
        "was built without IPVS_TUN_CSUM, needed by checksums of tunnels",
        "has no scheduler twos",
    ]


@pytest.mark.parametrize(
    ("programs", "built_with"),
    [
        ({}, {}),
        ({"keepalived": ""}, {}),
        ({"keepalived": "who knows"}, {}),
        ({"keepalived": "v2"}, {}),
    ],
    ids=["not installed yet", "silent", "odd", "no number"],
)
def test_a_keepalived_that_does_not_tell(programs: dict[str, str], built_with: dict[str, Any]) -> None:
    facts = replace(FACTS, programs=programs, built_with=built_with)
    assert told(director(CONFIGURATIONS["check"] % "PING_CHECK", facts)) == []


def test_a_keepalived_without_a_version_still_tells_its_options() -> None:
    facts = replace(FACTS, programs={"keepalived": ""}, built_with={"keepalived": frozenset({"LVS"})})
    assert told(director("bfd_instance a {\n}\n", facts)) == [
        f"LVS551 error: {BFD.format('')}".replace("  ", " ")
    ]


def test_the_oldest_that_the_table_knows_is_older_than_what_is_written_anyway() -> None:
    """RHEL 7's: `warmup` would be skipped there, and with it what the first check is to do."""
    facts = replace(FACTS, programs={"keepalived": OLDEST})
    (line,) = told(converged(SHOP, "lvs1", facts))
    assert line == (
        "LVS551 error: keepalived 1.3.5 has no `virtual_server warmup` "
        "(services.NAME.health_check.warmup): it came with 1.3.7"
    )


def test_a_real_server_has_no_keepalived() -> None:
    facts = replace(FACTS, programs={"keepalived": "1.0.0"}, kernel="2.6.18", modules=frozenset())
    assert codes(converged(SHOP, "web1", facts)) == []


# --- the kernel ---------------------------------------------------------------------------------------------


def table(facts: Facts = FACTS, **destination: Any) -> Context:
    """A director whose one service has one real server like this."""
    context = converged(SHOP, "lvs1", facts)
    services = context.desired.virtual_services or {}
    (service,) = services.values()
    server = TableDestination(
        **{"address": "192.0.2.11", "port": 80, "forwarding": Forwarding.TUN, "weight": 1, **destination}
    )
    return declared(context, virtual_services={service.key: replace(service, destinations=(server,))})


GUE = Tunnel(TunnelKind.GUE, 6080)
GUE_SUM = Tunnel(TunnelKind.GUE, 6080, Checksum.CSUM)


def on_kernel(kernel: str, os_id: str = "debian") -> Facts:
    return replace(FACTS, kernel=kernel, os_id=os_id)


GUES = "tunnels of type gue (services.NAME.tunnel.type): "
GRES = "tunnels of type gre (services.NAME.tunnel.type): "
SUMS = "checksums of tunnels (services.NAME.tunnel.checksum): "
FAMILIES = "real servers of another address family than the VIP (services.NAME.real_servers): "


@pytest.mark.parametrize(
    ("kernel", "destination", "says"),
    [
        ("4.19.0-26-amd64", {"tunnel": GUE}, [f"{GUES}it came with Linux 5.2"]),
        ("5.2.0", {"tunnel": GUE}, []),
        ("5.2.0", {"tunnel": GUE_SUM}, [f"{SUMS}it came with Linux 5.3"]),
        ("5.2.21", {"tunnel": Tunnel(TunnelKind.GRE)}, [f"{GRES}it came with Linux 5.3"]),
        ("6.1.0-18-amd64", {"tunnel": Tunnel(TunnelKind.GRE, 0, Checksum.CSUM)}, []),
        ("2.6.32", {"tunnel": Tunnel()}, []),
        ("3.16.0", {"address": "2001:db8::11"}, [f"{FAMILIES}it came with Linux 3.18"]),
        ("3.18.0", {"address": "2001:db8::11"}, []),
        ("", {"tunnel": GUE}, []),
        ("odd", {"tunnel": GUE}, []),
    ],
)
def test_what_only_the_kernel_s_version_tells(
    kernel: str, destination: dict[str, Any], says: list[str]
) -> None:
    context = table(on_kernel(kernel), **destination)
    assert told(context) == [f"LVS552 error: kernel {kernel} has no {line}" for line in says]
    assert plan_host(context, Role.DIRECTOR).refused == bool(says)


def test_a_kernel_too_old_for_options_of_the_sync_daemon() -> None:
    facts = replace(with_keepalived("2.2.7"), kernel="4.2.0")
    assert told(director(CONFIGURATIONS["global"] % "lvs_sync_daemon eth0 id 51", facts)) == []
    assert told(director(CONFIGURATIONS["global"] % SYNC, facts)) == [
        (
            "LVS552 error: kernel 4.2.0 has no length, port, group or TTL of the sync daemon "
            "(vrrp.sync_daemon): it came with Linux 4.3"
        )
    ]
    assert told(director(CONFIGURATIONS["global"] % SYNC, replace(facts, kernel="4.3.0"))) == []


@pytest.mark.parametrize("os_id", ["rhel", "rocky", "sles"])
def test_some_distributions_take_features_over(os_id: str) -> None:
    context = table(on_kernel("4.18.0-513.el8.x86_64", os_id), tunnel=GUE)
    assert told(context) == [
        (
            f"LVS552 warning: kernel 4.18.0-513.el8.x86_64 has no {GUES}it came with Linux 5.2, if the "
            "distribution has not taken it over"
        )
    ]
    assert not plan_host(context, Role.DIRECTOR).refused


def scheduled(scheduler: Scheduler, facts: Facts, **options: Any) -> Context:
    service = clusters.service("http", {clusters.WEB1: 1}, scheduler=scheduler, **options)
    return converged(clusters.cluster(service), "lvs1", facts)


def lacking(*modules: str, **parts: Any) -> Facts:
    return replace(FACTS, available_modules=FACTS.available_modules - set(modules), **parts)


def test_a_scheduler_is_a_module() -> None:
    """However old or new the kernel calls itself."""
    for kernel in ("4.9.0", "6.12.0", ""):
        facts = lacking("ip_vs_mh", kernel=kernel)
        assert told(scheduled(Scheduler.MH, facts)) == [
            (
                f"LVS507 error: kernel {kernel or 'of this host'} has no scheduler mh (ip_vs_mh) "
                "(services.NAME.scheduler): it came with Linux 4.18"
            )
        ]
    assert told(scheduled(Scheduler.MH, replace(FACTS, kernel="4.9.0"))) == []
    assert told(scheduled(Scheduler.LC, lacking("ip_vs_lc", kernel="6.1.0"))) == [
        "LVS507 error: kernel 6.1.0 has no scheduler lc (ip_vs_lc) (services.NAME.scheduler)"
    ]
    assert told(scheduled(Scheduler.MH, lacking("ip_vs_mh", modules_listed=False)))[0].startswith(
        "LVS507 warning"
    )
    assert codes(
        scheduled(Scheduler.MH, replace(FACTS, modules=frozenset(), available_modules=frozenset()))
    ) == ["LVS502"]


@pytest.mark.parametrize("scheduler", Scheduler)
def test_since_when_a_scheduler_is_known(scheduler: Scheduler) -> None:
    since = {"fo": "3.18", "ovf": "4.3", "mh": "4.18", "twos": "5.12"}.get(scheduler)
    (line,) = told(scheduled(scheduler, lacking(f"ip_vs_{scheduler}")))
    assert line.endswith(f": it came with Linux {since}" if since else "(services.NAME.scheduler)")


def test_a_persistence_engine_is_a_module() -> None:
    context = scheduled(Scheduler.WLC, lacking("ip_vs_pe_sip"), persistence=60, persistence_engine="sip")
    assert told(context) == [
        (
            "LVS552 error: kernel of this host has no persistence engine sip (ip_vs_pe_sip) "
            "(services.NAME.persistence_engine)"
        )
    ]
    assert told(scheduled(Scheduler.WLC, FACTS, persistence=60, persistence_engine="sip")) == []


def test_interfaces_with_vrrp_s_mac_address_are_a_module() -> None:
    cluster = clusters.active_active()
    line = "LVS552 error: kernel of this host has no interfaces with VRRP's MAC address (macvlan) (vrrp.vmac)"
    assert told(converged(cluster, "lvs1", lacking("macvlan"))) == [line]
    assert "macvlan" in director_modules(cluster)
    assert told(converged(cluster, "lvs1")) == []
    assert "macvlan" not in director_modules(SHOP)


def sysctls(key: str, *there: str, kernel: str = "5.10.0", os_id: str = "debian") -> Context:
    """A director that is to have a sysctl of ip_vs, and has those in `there`."""
    context = converged(SHOP, "lvs1", on_kernel(kernel, os_id))
    rest = {k: v for k, v in context.actual.sysctls.items() if not k.startswith("net.ipv4.vs.")}
    wanted = {k: v for k, v in context.desired.sysctls.items() if not k.startswith("net.ipv4.vs.")}
    context = changed(context, sysctls={**rest, **{ipvs(name): 0 for name in there}})
    return declared(context, sysctls={**wanted, ipvs(key): 1})


def test_a_sysctl_that_a_loaded_ip_vs_has_not() -> None:
    line = "kernel {} has no sysctl net.ipv4.vs.{} ({}): it came with Linux {}".format
    estimation = "run_estimation", "ipvs.sysctls.run_estimation", "5.16"
    assert told(sysctls("run_estimation", "expire_nodest_conn", kernel="5.10.0")) == [
        f"LVS552 error: {line('5.10.0', *estimation)}"
    ]
    # RHEL 9 has it in 5.14, and another may lack it in 6.1: what is there is what counts.
    assert told(sysctls("run_estimation", "run_estimation", kernel="5.14.0-427.el9", os_id="rocky")) == []
    assert told(sysctls("run_estimation", "expire_nodest_conn", kernel="6.1.0")) == [
        f"LVS552 error: {line('6.1.0', *estimation)}"
    ]
    assert told(sysctls("backup_only", "expire_nodest_conn", kernel="3.8.0")) == [
        f"LVS552 error: {line('3.8.0', 'backup_only', 'ipvs.sysctls.backup_only', '3.9')}"
    ]
    # One that lvsdeploy sets by itself makes a director better, but is not needed.
    assert told(sysctls("conn_reuse_mode", "expire_nodest_conn", kernel="3.10.0")) == [
        f"LVS552 warning: {line('3.10.0', 'conn_reuse_mode', 'ipvs.sysctls.conn_reuse_mode', '4.1')}"
    ]


def test_a_sysctl_of_an_ip_vs_that_is_not_loaded_goes_by_the_kernel_s_version() -> None:
    assert told(sysctls("run_estimation", kernel="5.10.0"))[0].startswith("LVS552 error: kernel 5.10.0")
    assert told(sysctls("run_estimation", kernel="5.16.0")) == []
    assert told(sysctls("conn_reuse_mode", kernel="3.10.0"))[0].startswith("LVS552 warning"), "not asked for"
    assert told(sysctls("conntrack", kernel="3.2.0")) == [], "as old as IPVS"
    assert told(sysctls("run_estimation", kernel="5.14.0-427.el9", os_id="rhel"))[0].startswith(
        "LVS552 warning"
    )


# --- ipvsadm ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "destination", "says"),
    [
        ("1.29", {"tunnel": GUE}, [f"{GUES}that came with 1.30"]),
        ("1.30", {"tunnel": GUE}, []),
        ("1.30", {"tunnel": GUE_SUM}, [f"{SUMS}that came with 1.31"]),
        ("1.30", {"tunnel": Tunnel(TunnelKind.GRE)}, [f"{GRES}that came with 1.31"]),
        ("1.31", {"tunnel": Tunnel(TunnelKind.GRE, 0, Checksum.CSUM)}, []),
        ("1.27", {"tunnel": Tunnel()}, []),
        ("1.27", {"address": "2001:db8::11"}, [f"{FAMILIES}that came with 1.28"]),
        ("", {"tunnel": GUE}, []),
    ],
)
def test_an_ipvsadm_that_is_too_old(version: str, destination: dict[str, Any], says: list[str]) -> None:
    context = table(replace(FACTS, programs={"ipvsadm": version}), **destination)
    assert told(context) == [f"LVS553 error: ipvsadm {version} knows nothing of {line}" for line in says]


def test_flags_and_engines_of_ipvsadm() -> None:
    def lines(version: str, scheduler: Scheduler, **options: Any) -> list[str]:
        facts = replace(FACTS, programs={"ipvsadm": version})
        return [line.rpartition(" ")[2] for line in told(scheduled(scheduler, facts, **options))]

    assert lines("1.26", Scheduler.SH, scheduler_flags=("sh-port",)) == ["1.27"]
    assert lines("1.27", Scheduler.SH, scheduler_flags=("sh-port",)) == []
    assert lines("1.29", Scheduler.MH, scheduler_flags=("mh-port",)) == ["1.30"]
    assert lines("1.25", Scheduler.WLC, persistence=60, persistence_engine="sip") == ["1.26"]
    assert lines("1.26", Scheduler.WLC, persistence=60, persistence_engine="sip") == []


# --- versions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2.2.7", (2, 2, 7)),
        ("5.14.0-427.el9.x86_64", (5, 14, 0)),
        ("1.31", (1, 31)),
        ("", None),
        ("unknown", None),
        ("v2.2", None),
        ("7", None),
        ("9" * 5000 + ".1", None),
    ],
)
def test_versions(text: str, numbers: tuple[int, ...] | None) -> None:
    assert features.version(text) == numbers
