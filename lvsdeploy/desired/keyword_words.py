"""Words of keepalived.conf(5) that no parser installs as keywords, and what lvsdeploy makes of each.

They stand behind a keyword or as lines of its block; or in the manual alone; or in no release yet.
"""

from __future__ import annotations

from lvsdeploy.desired.keyword_table import Row


def _by(key: str, names: str) -> Row:
    return Row(names, key=key)


def _own(why: str, names: str) -> Row:
    return Row(names, own=why)


def _not(why: str, names: str) -> Row:
    return Row(names, refused=why)


_SIGN = "A weight with the other sign says the same."
_LABEL = "For programs that know addresses by labels alone."
_HOST = "VIPs are addresses of hosts that appear and go, with the kernel's own defaults."

WORDS: dict[str, tuple[Row, ...]] = {
    "virtual_server": (
        _by("services.NAME.vip, services.NAME.port", "IPADDR PORT"),
        _by("services.NAME.fwmark", "fwmark"),
        _by("services.NAME.vips", "group"),
    ),
    "virtual_server_group": (
        _by("services.NAME.vips, services.NAME.ports", "IPADDR PORT"),
        _not("A mark is a virtual server of its own, for all its VIPs.", "fwmark"),
    ),
    "virtual_server lvs_method, sorry_server_lvs_method": (
        _by("services.NAME.mode", "NAT DR TUN"),
        _by("services.NAME.tunnel.type", "type gre gue"),
        _own("the default of `type`, which older ones have no word for", "ipip"),
        _by("services.NAME.tunnel.port", "port"),
        _by("services.NAME.tunnel.checksum", "csum remcsum"),
        _own("the default of checksums", "nocsum"),
    ),
    "virtual_server persistence_engine": (_by("services.NAME.persistence_engine", "sip"),),
    "virtual_server quorum_up, quorum_down; real_server notify_up, notify_down": (
        _by("services.NAME.quorum_up.arguments", "ARGUMENTS"),
        _by("services.NAME.quorum_up.user", "USER"),
        _not("The user's own group.", "GROUP"),
    ),
    "vrrp_instance virtual_ipaddress, virtual_ipaddress_excluded": (
        _by("vips.NAME.address", "IPADDR"),
        _by("vips.NAME.interface", "dev"),
        _not("keepalived takes the prefix's own broadcast address: none.", "broadcast brd"),
        _not(_LABEL, "label"),
        _not(_HOST, "scope peer home mngtmpaddr noprefixroute autojoin preferred_lft"),
        _not(
            "A director without a VIP must not stay MASTER: it is checked, and comes back.", "-nodad no_track"
        ),
        _not("Written at the instance.", "use_vmac"),
        _not("For addresses that do not move, of which lvsdeploy writes none.", "track_group"),
    ),
    "vrrp_instance unicast_peer": (
        _by("directors.NAME.dip, directors.NAME.dip6", "IPADDR"),
        _not("Peers are checked by the password and by their addresses.", "min_ttl max_ttl"),
    ),
    "vrrp_instance track_interface": (
        _by("vrrp.track_interfaces", "weight"),
        _not(_SIGN, "reverse noreverse"),
    ),
    "vrrp_instance track_script": (
        _own("at the script itself", "weight"),
        _not(_SIGN, "reverse noreverse"),
    ),
    "vrrp_script weight": (_not(_SIGN, "reverse"),),
    "vrrp_script user; vrrp_instance notify, notify_master, notify_backup, notify_fault, notify_stop": (
        _by("vrrp.notify.user", "USER"),
        _not("The user's own group.", "GROUP"),
    ),
    "global_defs lvs_sync_daemon": (
        _by("vrrp.sync_daemon.interface", "INTERFACE"),
        _own("the VRRP instance that it follows, where there is one group of VIPs", "INSTANCE"),
        _by("vrrp.sync_daemon.syncid", "id"),
        _by("vrrp.sync_daemon.max_length", "maxlen"),
        _by("vrrp.sync_daemon.port", "port"),
        _by("vrrp.sync_daemon.ttl", "ttl"),
        _by("vrrp.sync_daemon.group", "group"),
        _not("The instance stands behind the interface.", "inst"),
    ),
    "global_defs lvs_timeouts": (
        _by("ipvs.timeouts.tcp", "tcp"),
        _by("ipvs.timeouts.tcp_fin", "tcpfin"),
        _by("ipvs.timeouts.udp", "udp"),
    ),
    "In the manual alone": (
        _not(
            "global_defs: its parser calls them state_dump_file, stats_dump_file and json_dump_file.",
            "state_file_location stats_file_location json_file_location",
        ),
    ),
    "In no release yet": (
        _not("HTTP_GET, SSL_GET: the virtual host is the name in the TLS handshake.", "sni_name"),
        _not("global_defs: a script's user has its own group.", "set_supplementary_groups"),
    ),
}
"""Where they stand -> the words. What is in capitals stands for a value."""
