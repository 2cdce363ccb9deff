"""Words of keepalived.conf(5) that no parser installs as keywords, and what lvsdeploy makes of each.

They stand behind a keyword or as lines of its block; or in the manual alone; or in no release yet.
"""

from __future__ import annotations

from lvsdeploy.desired.keyword_table import Row, by, declined, own

_SIGN = "A weight with the other sign says the same."
_LABEL = "For programs that know addresses by labels alone."
_HOST = "VIPs are addresses of hosts that appear and go, with the kernel's own defaults."

WORDS: dict[str, tuple[Row, ...]] = {
    "virtual_server": (
        by("services.NAME.vip, services.NAME.port", "IPADDR PORT"),
        by("services.NAME.fwmark", "fwmark"),
        by("services.NAME.vips", "group"),
    ),
    "virtual_server_group": (
        by("services.NAME.vips, services.NAME.ports", "IPADDR PORT"),
        declined("A mark is a virtual server of its own, for all its VIPs.", "fwmark"),
    ),
    "virtual_server lvs_method, sorry_server_lvs_method": (
        by("services.NAME.mode", "NAT DR TUN"),
        by("services.NAME.tunnel.type", "type gre gue"),
        own("the default of `type`, which older ones have no word for", "ipip"),
        by("services.NAME.tunnel.port", "port"),
        by("services.NAME.tunnel.checksum", "csum remcsum"),
        own("the default of checksums", "nocsum"),
    ),
    "virtual_server persistence_engine": (by("services.NAME.persistence_engine", "sip"),),
    "virtual_server quorum_up, quorum_down; real_server notify_up, notify_down": (
        by("services.NAME.quorum_up.arguments", "ARGUMENTS"),
        by("services.NAME.quorum_up.user", "USER"),
        declined("The user's own group.", "GROUP"),
    ),
    "vrrp_instance virtual_ipaddress, virtual_ipaddress_excluded": (
        by("vips.NAME.address", "IPADDR"),
        by("vips.NAME.interface", "dev"),
        declined("keepalived takes the prefix's own broadcast address: none.", "broadcast brd"),
        declined(_LABEL, "label"),
        declined(_HOST, "scope peer home mngtmpaddr noprefixroute autojoin preferred_lft"),
        declined(
            "A director without a VIP must not stay MASTER: it is checked, and comes back.", "-nodad no_track"
        ),
        declined("Written at the instance.", "use_vmac"),
        declined("For addresses that do not move, of which lvsdeploy writes none.", "track_group"),
    ),
    "vrrp_instance unicast_peer": (
        by("directors.NAME.dip, directors.NAME.dip6", "IPADDR"),
        declined("Peers are checked by the password and by their addresses.", "min_ttl max_ttl"),
    ),
    "vrrp_instance track_interface": (
        by("vrrp.track_interfaces", "weight"),
        declined(_SIGN, "reverse noreverse"),
    ),
    "vrrp_instance track_script": (
        own("at the script itself", "weight"),
        declined(_SIGN, "reverse noreverse"),
    ),
    "vrrp_script weight": (declined(_SIGN, "reverse"),),
    "vrrp_script user; vrrp_instance notify, notify_master, notify_backup, notify_fault, notify_stop": (
        by("vrrp.notify.user", "USER"),
        declined("The user's own group.", "GROUP"),
    ),
    "global_defs lvs_sync_daemon": (
        by("vrrp.sync_daemon.interface", "INTERFACE"),
        own("the VRRP instance that it follows, where there is one group of VIPs", "INSTANCE"),
        by("vrrp.sync_daemon.syncid", "id"),
        by("vrrp.sync_daemon.max_length", "maxlen"),
        by("vrrp.sync_daemon.port", "port"),
        by("vrrp.sync_daemon.ttl", "ttl"),
        by("vrrp.sync_daemon.group", "group"),
        declined("The instance stands behind the interface.", "inst"),
    ),
    "global_defs lvs_timeouts": (
        by("ipvs.timeouts.tcp", "tcp"),
        by("ipvs.timeouts.tcp_fin", "tcpfin"),
        by("ipvs.timeouts.udp", "udp"),
    ),
    "In the manual alone": (
        declined(
            "global_defs: its parser calls them state_dump_file, stats_dump_file and json_dump_file.",
            "state_file_location stats_file_location json_file_location",
        ),
    ),
    "In no release yet": (
        declined("HTTP_GET, SSL_GET: the virtual host is the name in the TLS handshake.", "sni_name"),
        declined("global_defs: a script's user has its own group.", "set_supplementary_groups"),
    ),
}
"""Where they stand -> the words. What is in capitals stands for a value."""
