"""What lvsdeploy makes of each keyword of keepalived.conf, block by block: see keywords.py.

`*` stands for every check that goes over the network, and for scripts.
"""

from __future__ import annotations

from dataclasses import dataclass

CHECKS = (
    "HTTP_GET",
    "SSL_GET",
    "TCP_CHECK",
    "SMTP_CHECK",
    "DNS_CHECK",
    "MISC_CHECK",
    "PING_CHECK",
    "UDP_CHECK",
)
"""The checks that `*` stands for."""


@dataclass(frozen=True)
class Row:
    """Keywords of one block, separated by blanks, of which the same is to be said: one of the three."""

    names: str
    key: str = ""
    own: str = ""
    refused: str = ""


def _by(key: str, names: str) -> Row:
    return Row(names, key=key)


def _own(why: str, names: str) -> Row:
    return Row(names, own=why)


def _not(why: str, names: str) -> Row:
    return Row(names, refused=why)


_MAIL = "lvsdeploy sends no mail: notify scripts may, and a monitor should."
_SNMP = "SNMP is for monitors; lvsdeploy reads hosts itself."
_AT_SERVICE = "Written at the virtual server, for all."
_AT_CHECK = "Written at each check."
_TLS = "Servers that break a TLS connection without a word are common, and alive."
_PROCESS = "A script tells more than the list of processes: vrrp.track_scripts."
_OLD_FILE = "The old name of track_file."
_STATIC = "Addresses, routes and rules that do not move belong to the machine's own network configuration."
_GARP_GROUP = "Groups of interfaces with a pace of their own: vrrp.garp.interval is for all."
_SSL = "Checks ask with no certificate of their own, and any that the real server shows is taken."
_ADVERTS = "Three adverts, as the RFC has it."
_EXTRA = "Other interfaces than the VIP's own need no word of it."
_TWO_MASTERS = "Two MASTERs that settle it by priority, as the RFC has it."
_BUFFERS = "Sizes of buffers are keepalived's defaults."
_STRICT = "It blocks the VIP for the very clients that it is for."
_TRACK = "Scripts and interfaces tell enough."
_DEBUG = "For debugging."
_ONE_RIP = "One address each: the RIP."
_PRIORITIES = "Priorities change with every tracked script: a notify script would hear too much."
_LINKBEAT = "The kernel tells of links by itself; polling is for drivers that are long gone."
_LOG_ALL = "Every failure that changes something is logged; to log the others too is for debugging."
_TOO_NEW = "Too new: keepalived 2.4 alone has it."
_PEERS = "Peers are checked by the password and by their unicast addresses."

BLOCKS: dict[str, tuple[Row, ...]] = {
    "": (
        _own("router_id, and the pace of gratuitous ARP", "global_defs"),
        _by("services.NAME.vips", "virtual_server_group"),
        _by("services.NAME", "virtual_server"),
        _own(
            "one for each VIP's interface and family, where there are two directors or more",
            "vrrp_instance",
        ),
        _own("what must be MASTER together: both sides of NAT, both families", "vrrp_sync_group"),
        _by("vrrp.track_scripts", "vrrp_script"),
        _by("services.NAME.health_check (bfd)", "bfd_instance"),
        _by("services.NAME.health_check (file)", "track_file"),
        _not(_OLD_FILE, "vrrp_track_file"),
        _not(_PROCESS, "vrrp_track_process"),
        _not(_LINKBEAT, "linkbeat_use_polling linkbeat_interfaces"),
        _not(
            "lvsdeploy manages the machine that it logs in to, and keepalived where its unit starts it.",
            "net_namespace net_namespace_ipvs namespace_with_ipsets instance",
        ),
        _not("Where pid files stand is the distribution's business.", "use_pid_dir"),
        _not("How long children may take to end is keepalived's default.", "child_wait_time"),
        _not(_SSL, "SSL"),
        _not(_STATIC, "static_ipaddress static_routes static_rules track_group"),
        _not(_GARP_GROUP, "garp_group"),
        _not("A link that flaps is damped by vrrp.preempt_delay.", "interface_up_down_delays"),
    ),
    "global_defs": (
        _own("the director's name in the inventory", "router_id"),
        _by("vrrp.garp.delay", "vrrp_garp_master_delay"),
        _by("vrrp.garp.repeat", "vrrp_garp_master_repeat"),
        _by("vrrp.garp.refresh", "vrrp_garp_master_refresh"),
        _by("vrrp.garp.refresh_repeat", "vrrp_garp_master_refresh_repeat"),
        _by("vrrp.garp.lower_prio_delay", "vrrp_garp_lower_prio_delay"),
        _by("vrrp.garp.lower_prio_repeat", "vrrp_garp_lower_prio_repeat"),
        _by("vrrp.garp.interval", "vrrp_garp_interval vrrp_gna_interval"),
        _by("ipvs.timeouts", "lvs_timeouts"),
        _by("vrrp.sync_daemon", "lvs_sync_daemon"),
        _own("root, for scripts whose entry has no `user`", "script_user"),
        _own("scripts run as root only where nobody else may write them", "enable_script_security"),
        _not("Written for each instance: vrrp.version.", "vrrp_version"),
        _not(
            "Names of processes are keepalived's own: what watches them finds them by these.",
            "process_names process_name vrrp_process_name checker_process_name lvs_process_name "
            "bfd_process_name",
        ),
        _not(
            _MAIL,
            "notification_email notification_email_from smtp_server smtp_helo_name "
            "smtp_connect_timeout smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults "
            "no_checker_emails",
        ),
        _not(
            "What else runs when keepalived starts or stops belongs to its unit.",
            "startup_script startup_script_timeout shutdown_script shutdown_script_timeout",
        ),
        _not(
            "Priorities and memory of processes are the machine's own business; the unit can set them.",
            "max_auto_priority min_auto_priority_delay vrrp_priority vrrp_no_swap vrrp_rt_priority "
            "vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime checker_priority "
            "checker_no_swap checker_rt_priority checker_cpu_affinity checker_rlimit_rttime "
            "checker_rlimit_rtime bfd_priority bfd_no_swap bfd_rt_priority bfd_cpu_affinity "
            "bfd_rlimit_rttime bfd_rlimit_rtime",
        ),
        _not(_LOG_ALL, "checker_log_all_failures"),
        _not(
            "The inventory names every interface, and the plan tells of one that is missing.",
            "dynamic_interfaces default_interface",
        ),
        _not(
            "A table without keepalived still balances; what keepalived left behind is found and "
            "mended by a plan.",
            "lvs_flush lvs_flush_on_stop lvs_flush_onstop",
        ),
        _not(
            "The multicast groups are those of the RFCs; unicast is the default.",
            "vrrp_mcast_group4 vrrp_mcast_group6 disable_local_igmp",
        ),
        _not(_ADVERTS, "vrrp_down_timer_adverts"),
        _not("One burst of gratuitous ARP is not enough on real switches.", "vrrp_min_garp"),
        _not(_EXTRA, "vrrp_garp_extra_if vrrp_vmac_garp_intvl"),
        _not(
            _TWO_MASTERS,
            "vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_owner_ignore_adverts",
        ),
        _not(
            "Firewall rules are not keepalived's here: VIPs are to be reached.",
            "vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_ifindex nftables_counters",
        ),
        _not(
            "Marks of fwmark services are set by lvsdeploy's own rules, on every director, and read back.",
            "nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark",
        ),
        _not(_PEERS, "vrrp_check_unicast_src vrrp_skip_check_adv_addr"),
        _not(_STRICT, "vrrp_strict"),
        _not(
            "Notify scripts tell what happens: vrrp.notify, notify_up, notify_down, quorum_up, quorum_down.",
            "notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script "
            "vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload lvs_notify_fifo "
            "lvs_notify_fifo_script rs_init_notifies",
        ),
        _not(
            "SNMP and D-Bus are for monitors; lvsdeploy reads hosts itself.",
            "snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc "
            "enable_snmp_rfcv2 enable_snmp_rfcv3 enable_snmp_checker snmp_vs_stats_update_interval "
            "snmp_rs_stats_update_interval enable_dbus dbus_service_name dbus_no_interface_name",
        ),
        _not(
            _BUFFERS,
            "vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force "
            "vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force "
            "process_monitor_rcv_bufs process_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs "
            "lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs "
            "lvs_netlink_monitor_rcv_bufs_force vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier",
        ),
        _not(
            "After a start keepalived waits for three adverts anyway; vrrp.preempt_delay adds to that.",
            "vrrp_startup_delay vrrp_delay_after_boot",
        ),
        _not(_DEBUG, "log_unknown_vrids random_seed umask"),
        _not("The MAC addresses of VRRP are those of the RFC.", "vmac_prefix vmac_addr_prefix"),
        _not(
            "The transaction stages, tests and reloads the configuration, and undoes what fails.",
            "reload_check_config reload_time_file reload_repeat reload_file include_check "
            "config_save_dir tmp_config_directory use_symlink_paths",
        ),
        _not(
            "Where keepalived's dumps go: lvsdeploy reads them where keepalived puts them by itself.",
            "data_use_instance json_version state_dump_file stats_dump_file json_dump_file",
        ),
        _not("It is for peers older than keepalived 2.2.", "v3_checksum_as_v2"),
        _not(
            "No routes of keepalived's: names of routing tables are not needed.",
            "iproute_usr_dir iproute_etc_dir",
        ),
    ),
    "SSL": (_not(_SSL, "password ca certificate key"),),
    "track_group": (_not(_STATIC, "group"),),
    "garp_group": (_not(_GARP_GROUP, "garp_interval gna_interval interface interfaces"),),
    "virtual_server": (
        _by("services.NAME.fwmark", "ip_family"),
        _by("services.NAME.protocol", "protocol"),
        _by("services.NAME.scheduler", "lvs_sched"),
        _not("The old name of lvs_sched.", "lb_algo"),
        _by("services.NAME.scheduler_flags", "flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback"),
        _not("The old name of a flag.", "hashed"),
        _by("services.NAME.one_packet", "ops"),
        _by("services.NAME.mode, services.NAME.tunnel", "lvs_method"),
        _not("The old name of lvs_method.", "lb_kind"),
        _by("services.NAME.persistence_engine", "persistence_engine"),
        _by("services.NAME.persistence", "persistence_timeout"),
        _by("services.NAME.persistence_netmask", "persistence_granularity"),
        _by("services.NAME.health_check.interval", "delay_loop"),
        _by("services.NAME.health_check.warmup", "warmup"),
        _by("services.NAME.alpha", "alpha"),
        _by("services.NAME.omega", "omega"),
        _by("services.NAME.quorum", "quorum"),
        _by("services.NAME.hysteresis", "hysteresis"),
        _by("services.NAME.quorum_up", "quorum_up"),
        _by("services.NAME.quorum_down", "quorum_down"),
        _by("services.NAME.sorry_server", "sorry_server"),
        _by("services.NAME.sorry_server.inhibit", "sorry_server_inhibit"),
        _by("services.NAME.sorry_server.mode, services.NAME.sorry_server.tunnel", "sorry_server_lvs_method"),
        _not("Written at each real server.", "inhibit_on_failure"),
        _by("services.NAME.virtualhost", "virtualhost"),
        _by("services.NAME.real_servers", "real_server"),
        _not(_AT_CHECK, "retry delay_before_retry connect_timeout"),
        _not("Written at each real server.", "weight"),
        _not("Checks go on on the BACKUP, so that its table is right when it becomes MASTER.", "ha_suspend"),
        _not(_MAIL, "smtp_alert"),
        _not(_SNMP, "snmp_name"),
    ),
    "virtual_server real_server": (
        _by("services.NAME.real_servers[].weight", "weight"),
        _by("services.NAME.real_servers[].upper", "uthreshold"),
        _by("services.NAME.real_servers[].lower", "lthreshold"),
        _by(
            "services.NAME.inhibit_on_failure, services.NAME.real_servers[].inhibit_on_failure",
            "inhibit_on_failure",
        ),
        _by("services.NAME.real_servers[].notify_up", "notify_up"),
        _by("services.NAME.real_servers[].notify_down", "notify_down"),
        _by("services.NAME.health_check (http)", "HTTP_GET"),
        _by("services.NAME.health_check (https or ssl)", "SSL_GET"),
        _by("services.NAME.health_check (tcp)", "TCP_CHECK"),
        _by("services.NAME.health_check (smtp)", "SMTP_CHECK"),
        _by("services.NAME.health_check (dns)", "DNS_CHECK"),
        _by("services.NAME.health_check (script)", "MISC_CHECK"),
        _by("services.NAME.health_check (ping)", "PING_CHECK"),
        _by("services.NAME.health_check (udp)", "UDP_CHECK"),
        _by("services.NAME.health_check (file)", "FILE_CHECK"),
        _by("services.NAME.health_check (bfd)", "BFD_CHECK"),
        _by("services.NAME.real_servers[].mode, services.NAME.real_servers[].tunnel", "lvs_method"),
        _not(_AT_SERVICE, "alpha warmup virtualhost"),
        _not(_AT_CHECK, "retry delay_before_retry connect_timeout delay_loop"),
        _not(_MAIL, "smtp_alert"),
        _not(_SNMP, "snmp_name"),
    ),
    "virtual_server real_server *": (
        _by("services.NAME.health_check.port", "connect_port"),
        _by("services.NAME.health_check.timeout", "connect_timeout"),
        _by("services.NAME.health_check.retries", "retry"),
        _by("services.NAME.health_check.retry_delay", "delay_before_retry"),
        _by("services.NAME.health_check.interval", "delay_loop"),
        _by("services.NAME.health_check.warmup", "warmup"),
        _not("The address that serves is the one to check; a script can ask others.", "connect_ip"),
        _not(
            "Checks leave the director as everything else does; policy routing is the machine's "
            "own business.",
            "bindto bind_port bind_if fwmark",
        ),
        _not(_AT_SERVICE, "alpha"),
        _not(_LOG_ALL, "log_all_failures"),
    ),
    "virtual_server real_server HTTP_GET": (
        _by("services.NAME.health_check.urls", "url"),
        _by("services.NAME.health_check.http_version", "http_protocol"),
        _not("Written at each URL.", "virtualhost"),
        _not("There is no TLS in it.", "enable_sni"),
        _not(
            "A real server that fails one URL fails: it is asked again after the usual delay.",
            "fast_recovery",
        ),
        _not("The old name of retry.", "nb_get_retry"),
        _not(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server HTTP_GET url": (
        _by("services.NAME.health_check.path", "path"),
        _by("services.NAME.health_check.status", "status_code"),
        _by("services.NAME.health_check.digest", "digest"),
        _by("services.NAME.health_check.regex", "regex"),
        _by("services.NAME.health_check.regex_no_match", "regex_no_match"),
        _by("services.NAME.health_check.regex_options", "regex_options"),
        _by("services.NAME.health_check.host", "virtualhost"),
        _not("The whole answer is searched.", "regex_min_offset regex_max_offset regex_stack"),
        _not(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server SSL_GET": (
        _by("services.NAME.health_check.urls", "url"),
        _by("services.NAME.health_check.http_version", "http_protocol"),
        _not("Written at each URL.", "virtualhost"),
        _by("services.NAME.health_check.sni", "enable_sni"),
        _not(
            "A real server that fails one URL fails: it is asked again after the usual delay.",
            "fast_recovery",
        ),
        _not("The old name of retry.", "nb_get_retry"),
        _not(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server SSL_GET url": (
        _by("services.NAME.health_check.path", "path"),
        _by("services.NAME.health_check.status", "status_code"),
        _by("services.NAME.health_check.digest", "digest"),
        _by("services.NAME.health_check.regex", "regex"),
        _by("services.NAME.health_check.regex_no_match", "regex_no_match"),
        _by("services.NAME.health_check.regex_options", "regex_options"),
        _by("services.NAME.health_check.host", "virtualhost"),
        _not("The whole answer is searched.", "regex_min_offset regex_max_offset regex_stack"),
        _not(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server SMTP_CHECK": (
        _by("services.NAME.health_check.host", "helo_name"),
        _not(_ONE_RIP, "host"),
    ),
    "virtual_server real_server SMTP_CHECK host": (
        _not(
            _ONE_RIP,
            "connect_ip connect_port bindto bind_port bind_if connect_timeout fwmark retry "
            "delay_before_retry warmup delay_loop alpha log_all_failures",
        ),
    ),
    "virtual_server real_server DNS_CHECK": (
        _by("services.NAME.health_check.name", "name"),
        _by("services.NAME.health_check.record", "type"),
    ),
    "virtual_server real_server MISC_CHECK": (
        _by("services.NAME.health_check.path, services.NAME.health_check.arguments", "misc_path"),
        _by("services.NAME.health_check.timeout", "misc_timeout"),
        _by("services.NAME.health_check.user", "user"),
        _by("services.NAME.health_check.dynamic", "misc_dynamic"),
        _not("A script asks where it wants to: see `arguments`.", "connect_port connect_timeout"),
    ),
    "virtual_server real_server PING_CHECK": (_not("A ping has no port.", "connect_port"),),
    "virtual_server real_server UDP_CHECK": (
        _by("services.NAME.health_check.payload", "payload"),
        _by(
            "services.NAME.health_check.require_reply, services.NAME.health_check.reply",
            "require_reply",
        ),
        _by("services.NAME.health_check.reply_min", "min_reply_length"),
        _by("services.NAME.health_check.reply_max", "max_reply_length"),
    ),
    "virtual_server real_server FILE_CHECK": (
        _by("services.NAME.health_check.path", "track_file"),
        _by("services.NAME.health_check.weight", "weight"),
    ),
    "virtual_server real_server BFD_CHECK": (
        _own("the real server's name: one session each, whatever services it is in", "name"),
        _not(_AT_SERVICE, "alpha"),
    ),
    "vrrp_sync_group": (
        _own("the instances that belong together", "group"),
        _by("vrrp.notify.master", "notify_master"),
        _by("vrrp.notify.backup", "notify_backup"),
        _by("vrrp.notify.fault", "notify_fault"),
        _by("vrrp.notify.stop", "notify_stop"),
        _by("vrrp.notify.any", "notify"),
        _by("vrrp.track_interfaces", "track_interface"),
        _by("vrrp.track_scripts", "track_script"),
        _not(_TRACK, "track_file track_process track_bfd"),
        _not(
            "Each instance has the same trackers, so the group needs no word of it.",
            "global_tracking sync_group_tracking_weight",
        ),
        _not(_PRIORITIES, "notify_priority_changes"),
        _not(_MAIL, "smtp_alert"),
    ),
    "vrrp_instance": (
        _own("MASTER for the director with the highest priority, unless nothing preempts", "state"),
        _by("directors.NAME.interface, vips.NAME.interface", "interface"),
        _by("vrrp.virtual_router_id", "virtual_router_id"),
        _by("directors.NAME.priority", "priority"),
        _by("vrrp.advert_interval", "advert_int"),
        _by("vrrp.version", "version"),
        _by("vrrp.unicast", "unicast_src_ip unicast_peer"),
        _by("vrrp.preempt", "nopreempt"),
        _by("vrrp.preempt_delay", "preempt_delay"),
        _by("vrrp.password", "authentication"),
        _by("vrrp.track_interfaces", "track_interface"),
        _by("vrrp.track_scripts", "track_script"),
        _by("vips, services.NAME.vip", "virtual_ipaddress virtual_ipaddress_excluded"),
        _by("vrrp.vmac", "use_vmac vmac_xmit_base use_vmac_addr"),
        _by("vrrp.notify.master", "notify_master"),
        _by("vrrp.notify.backup", "notify_backup"),
        _by("vrrp.notify.fault", "notify_fault"),
        _by("vrrp.notify.stop", "notify_stop"),
        _by("vrrp.notify.any", "notify"),
        _not(
            "Written in global_defs, for all: vrrp.garp.",
            "garp_master_delay garp_master_refresh garp_master_repeat garp_master_refresh_repeat "
            "garp_lower_prio_delay garp_lower_prio_repeat",
        ),
        _not(_EXTRA, "garp_extra_if vmac_garp_intvl"),
        _not(
            "The interface of the VIPs is always watched: a director that cannot be reached must "
            "not hold them.",
            "dont_track_primary",
        ),
        _not(_TRACK, "track_file track_process track_bfd track_src_ip"),
        _not("VIPs on interfaces of their own for each VRRP group: vrrp.vmac.", "use_ipvlan"),
        _not(
            "The multicast groups and addresses are those of the RFCs; unicast is the default.",
            "mcast_src_ip mcast_dst_ip unicast_ttl",
        ),
        _not(_PEERS, "check_unicast_src skip_check_adv_addr unicast_fault_no_peer"),
        _not(
            "For peers of another make, or older than keepalived 2.",
            "old_unicast_checksum v3_checksum_as_v2",
        ),
        _not("keepalived sees the family by the VIPs.", "native_ipv6"),
        _not("Interfaces of a VRF are the machine's own business.", "vrf"),
        _not(
            "Removing one VIP must not take others of its subnet: they are all /32, or the first "
            "one's network.",
            "promote_secondaries",
        ),
        _not(_LINKBEAT, "linkbeat_use_polling"),
        _not(
            "Routes and rules that move with VIPs: a director answers as its own network configuration says.",
            "virtual_routes virtual_rules",
        ),
        _not("VIPs are to be reached; it is the default.", "accept no_accept"),
        _not(_STRICT, "strict_mode"),
        _not("The default, which needs no word.", "preempt"),
        _not(_DEBUG, "debug"),
        _not("A group's last word comes by notify_stop.", "notify_deleted"),
        _not(_PRIORITIES, "notify_priority_changes notify_master_rx_lower_pri"),
        _not(_MAIL, "smtp_alert"),
        _not("The old form of lvs_sync_daemon.", "lvs_sync_daemon_interface"),
        _not(_ADVERTS, "down_timer_adverts timer_expired_backup thread_timer_expired"),
        _not(_TWO_MASTERS, "lower_prio_no_advert higher_prio_send_advert owner_ignore_adverts"),
        _not(_BUFFERS, "kernel_rx_buf_size"),
        _not("Every instance has a VIP.", "no_virtual_ipaddress"),
        _not(_TOO_NEW, "auth_hmac"),
    ),
    "vrrp_instance authentication": (
        _own("PASS: a password of eight characters is all that VRRP version 2 has", "auth_type"),
        _by("vrrp.password", "auth_pass"),
    ),
    "vrrp_script": (
        _by("vrrp.track_scripts.NAME.path", "script"),
        _by("vrrp.track_scripts.NAME.interval", "interval"),
        _by("vrrp.track_scripts.NAME.timeout", "timeout"),
        _by("vrrp.track_scripts.NAME.weight", "weight"),
        _by("vrrp.track_scripts.NAME.rise", "rise"),
        _by("vrrp.track_scripts.NAME.fall", "fall"),
        _by("vrrp.track_scripts.NAME.user", "user"),
        _not("A script counts as succeeding until it fails, as keepalived has it.", "init_fail"),
    ),
    "vrrp_track_process": (
        _not(
            _PROCESS,
            "process param_match weight quorum quorum_max delay terminate_delay fork_delay full_command",
        ),
    ),
    "bfd_instance": (
        _by("directors.NAME.dip, directors.NAME.dip6", "source_ip"),
        _by("real_servers.NAME.rip, real_servers.NAME.rip6", "neighbor_ip"),
        _by("services.NAME.health_check.min_rx", "min_rx"),
        _by("services.NAME.health_check.min_tx", "min_tx"),
        _by("services.NAME.health_check.idle_tx", "idle_tx"),
        _by("services.NAME.health_check.multiplier", "multiplier"),
        _by("services.NAME.health_check.max_hops", "max_hops"),
        _own("sessions are for health checks", "checker"),
        _not("The other spelling of neighbor_ip.", "neighbour_ip"),
        _not("Defaults of keepalived, which suit one hop.", "passive ttl hoplimit multihop"),
        _not("Sessions are for health checks, not for VRRP.", "weight vrrp"),
    ),
    "track_file": (
        _by("services.NAME.health_check.path", "file"),
        _not("The health check says how the file counts.", "weight"),
        _not("The file is somebody else's to write: a missing one counts as 0.", "init_file"),
    ),
    "vrrp_track_file": (_not(_OLD_FILE, "file weight init_file"),),
    "vrrp_instance auth_hmac": (_not(_TOO_NEW, "key active_key time_window anti_replay mode"),),
}
