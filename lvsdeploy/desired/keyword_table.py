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


def by(key: str, names: str) -> Row:
    """What the inventory key `key` stands for."""
    return Row(names, key=key)


def own(why: str, names: str) -> Row:
    """What lvsdeploy writes by itself."""
    return Row(names, own=why)


def declined(why: str, names: str) -> Row:
    """What is deliberately not supported."""
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
        own("router_id, and the pace of gratuitous ARP", "global_defs"),
        by("services.NAME.vips", "virtual_server_group"),
        by("services.NAME", "virtual_server"),
        own(
            "one for each VIP's interface and family, where there are two directors or more",
            "vrrp_instance",
        ),
        own("what must be MASTER together: both sides of NAT, both families", "vrrp_sync_group"),
        by("vrrp.track_scripts", "vrrp_script"),
        by("services.NAME.health_check (bfd)", "bfd_instance"),
        by("services.NAME.health_check (file)", "track_file"),
        declined(_OLD_FILE, "vrrp_track_file"),
        declined(_PROCESS, "vrrp_track_process"),
        declined(_LINKBEAT, "linkbeat_use_polling linkbeat_interfaces"),
        declined(
            "lvsdeploy manages the machine that it logs in to, and keepalived where its unit starts it.",
            "net_namespace net_namespace_ipvs namespace_with_ipsets instance",
        ),
        declined("Where pid files stand is the distribution's business.", "use_pid_dir"),
        declined("How long children may take to end is keepalived's default.", "child_wait_time"),
        declined(_SSL, "SSL"),
        declined(_STATIC, "static_ipaddress static_routes static_rules track_group"),
        declined(_GARP_GROUP, "garp_group"),
        declined("A link that flaps is damped by vrrp.preempt_delay.", "interface_up_down_delays"),
    ),
    "global_defs": (
        own("the director's name in the inventory", "router_id"),
        by("vrrp.garp.delay", "vrrp_garp_master_delay"),
        by("vrrp.garp.repeat", "vrrp_garp_master_repeat"),
        by("vrrp.garp.refresh", "vrrp_garp_master_refresh"),
        by("vrrp.garp.refresh_repeat", "vrrp_garp_master_refresh_repeat"),
        by("vrrp.garp.lower_prio_delay", "vrrp_garp_lower_prio_delay"),
        by("vrrp.garp.lower_prio_repeat", "vrrp_garp_lower_prio_repeat"),
        by("vrrp.garp.interval", "vrrp_garp_interval vrrp_gna_interval"),
        by("ipvs.timeouts", "lvs_timeouts"),
        by("vrrp.sync_daemon", "lvs_sync_daemon"),
        own("root, for scripts whose entry has no `user`", "script_user"),
        own("scripts run as root only where nobody else may write them", "enable_script_security"),
        declined("Written for each instance: vrrp.version.", "vrrp_version"),
        declined(
            "Names of processes are keepalived's own: what watches them finds them by these.",
            "process_names process_name vrrp_process_name checker_process_name lvs_process_name "
            "bfd_process_name",
        ),
        declined(
            _MAIL,
            "notification_email notification_email_from smtp_server smtp_helo_name "
            "smtp_connect_timeout smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults "
            "no_checker_emails",
        ),
        declined(
            "What else runs when keepalived starts or stops belongs to its unit.",
            "startup_script startup_script_timeout shutdown_script shutdown_script_timeout",
        ),
        declined(
            "Priorities and memory of processes are the machine's own business; the unit can set them.",
            "max_auto_priority min_auto_priority_delay vrrp_priority vrrp_no_swap vrrp_rt_priority "
            "vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime checker_priority "
            "checker_no_swap checker_rt_priority checker_cpu_affinity checker_rlimit_rttime "
            "checker_rlimit_rtime bfd_priority bfd_no_swap bfd_rt_priority bfd_cpu_affinity "
            "bfd_rlimit_rttime bfd_rlimit_rtime",
        ),
        declined(_LOG_ALL, "checker_log_all_failures"),
        declined(
            "The inventory names every interface, and the plan tells of one that is missing.",
            "dynamic_interfaces default_interface",
        ),
        declined(
            "A table without keepalived still balances; what keepalived left behind is found and "
            "mended by a plan.",
            "lvs_flush lvs_flush_on_stop lvs_flush_onstop",
        ),
        declined(
            "The multicast groups are those of the RFCs; unicast is the default.",
            "vrrp_mcast_group4 vrrp_mcast_group6 disable_local_igmp",
        ),
        declined(_ADVERTS, "vrrp_down_timer_adverts"),
        declined("One burst of gratuitous ARP is not enough on real switches.", "vrrp_min_garp"),
        declined(_EXTRA, "vrrp_garp_extra_if vrrp_vmac_garp_intvl"),
        declined(
            _TWO_MASTERS,
            "vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_owner_ignore_adverts",
        ),
        declined(
            "Firewall rules are not keepalived's here: VIPs are to be reached.",
            "vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_ifindex nftables_counters",
        ),
        declined(
            "Marks of fwmark services are set by lvsdeploy's own rules, on every director, and read back.",
            "nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark",
        ),
        declined(_PEERS, "vrrp_check_unicast_src vrrp_skip_check_adv_addr"),
        declined(_STRICT, "vrrp_strict"),
        declined(
            "Notify scripts tell what happens: vrrp.notify, notify_up, notify_down, quorum_up, quorum_down.",
            "notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script "
            "vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload lvs_notify_fifo "
            "lvs_notify_fifo_script rs_init_notifies",
        ),
        declined(
            "SNMP and D-Bus are for monitors; lvsdeploy reads hosts itself.",
            "snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc "
            "enable_snmp_rfcv2 enable_snmp_rfcv3 enable_snmp_checker snmp_vs_stats_update_interval "
            "snmp_rs_stats_update_interval enable_dbus dbus_service_name dbus_no_interface_name",
        ),
        declined(
            _BUFFERS,
            "vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force "
            "vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force "
            "process_monitor_rcv_bufs process_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs "
            "lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs "
            "lvs_netlink_monitor_rcv_bufs_force vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier",
        ),
        declined(
            "After a start keepalived waits for three adverts anyway; vrrp.preempt_delay adds to that.",
            "vrrp_startup_delay vrrp_delay_after_boot",
        ),
        declined(_DEBUG, "log_unknown_vrids random_seed umask"),
        declined("The MAC addresses of VRRP are those of the RFC.", "vmac_prefix vmac_addr_prefix"),
        declined(
            "The transaction stages, tests and reloads the configuration, and undoes what fails.",
            "reload_check_config reload_time_file reload_repeat reload_file include_check "
            "config_save_dir tmp_config_directory use_symlink_paths",
        ),
        declined(
            "Where keepalived's dumps go: lvsdeploy reads them where keepalived puts them by itself.",
            "data_use_instance json_version state_dump_file stats_dump_file json_dump_file",
        ),
        declined("It is for peers older than keepalived 2.2.", "v3_checksum_as_v2"),
        declined(
            "No routes of keepalived's: names of routing tables are not needed.",
            "iproute_usr_dir iproute_etc_dir",
        ),
    ),
    "SSL": (declined(_SSL, "password ca certificate key"),),
    "track_group": (declined(_STATIC, "group"),),
    "garp_group": (declined(_GARP_GROUP, "garp_interval gna_interval interface interfaces"),),
    "virtual_server": (
        by("services.NAME.fwmark", "ip_family"),
        by("services.NAME.protocol", "protocol"),
        by("services.NAME.scheduler", "lvs_sched"),
        declined("The old name of lvs_sched.", "lb_algo"),
        by("services.NAME.scheduler_flags", "flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback"),
        declined("The old name of a flag.", "hashed"),
        by("services.NAME.one_packet", "ops"),
        by("services.NAME.mode, services.NAME.tunnel", "lvs_method"),
        declined("The old name of lvs_method.", "lb_kind"),
        by("services.NAME.persistence_engine", "persistence_engine"),
        by("services.NAME.persistence", "persistence_timeout"),
        by("services.NAME.persistence_netmask", "persistence_granularity"),
        by("services.NAME.health_check.interval", "delay_loop"),
        by("services.NAME.health_check.warmup", "warmup"),
        by("services.NAME.alpha", "alpha"),
        by("services.NAME.omega", "omega"),
        by("services.NAME.quorum", "quorum"),
        by("services.NAME.hysteresis", "hysteresis"),
        by("services.NAME.quorum_up", "quorum_up"),
        by("services.NAME.quorum_down", "quorum_down"),
        by("services.NAME.sorry_server", "sorry_server"),
        by("services.NAME.sorry_server.inhibit", "sorry_server_inhibit"),
        by("services.NAME.sorry_server.mode, services.NAME.sorry_server.tunnel", "sorry_server_lvs_method"),
        declined("Written at each real server.", "inhibit_on_failure"),
        by("services.NAME.virtualhost", "virtualhost"),
        by("services.NAME.real_servers", "real_server"),
        declined(_AT_CHECK, "retry delay_before_retry connect_timeout"),
        declined("Written at each real server.", "weight"),
        declined(
            "Checks go on on the BACKUP, so that its table is right when it becomes MASTER.", "ha_suspend"
        ),
        declined(_MAIL, "smtp_alert"),
        declined(_SNMP, "snmp_name"),
    ),
    "virtual_server real_server": (
        by("services.NAME.real_servers[].weight", "weight"),
        by("services.NAME.real_servers[].upper", "uthreshold"),
        by("services.NAME.real_servers[].lower", "lthreshold"),
        by(
            "services.NAME.inhibit_on_failure, services.NAME.real_servers[].inhibit_on_failure",
            "inhibit_on_failure",
        ),
        by("services.NAME.real_servers[].notify_up", "notify_up"),
        by("services.NAME.real_servers[].notify_down", "notify_down"),
        by("services.NAME.health_check (http)", "HTTP_GET"),
        by("services.NAME.health_check (https or ssl)", "SSL_GET"),
        by("services.NAME.health_check (tcp)", "TCP_CHECK"),
        by("services.NAME.health_check (smtp)", "SMTP_CHECK"),
        by("services.NAME.health_check (dns)", "DNS_CHECK"),
        by("services.NAME.health_check (script)", "MISC_CHECK"),
        by("services.NAME.health_check (ping)", "PING_CHECK"),
        by("services.NAME.health_check (udp)", "UDP_CHECK"),
        by("services.NAME.health_check (file)", "FILE_CHECK"),
        by("services.NAME.health_check (bfd)", "BFD_CHECK"),
        by("services.NAME.real_servers[].mode, services.NAME.real_servers[].tunnel", "lvs_method"),
        declined(_AT_SERVICE, "alpha warmup virtualhost"),
        declined(_AT_CHECK, "retry delay_before_retry connect_timeout delay_loop"),
        declined(_MAIL, "smtp_alert"),
        declined(_SNMP, "snmp_name"),
    ),
    "virtual_server real_server *": (
        by("services.NAME.health_check.port", "connect_port"),
        by("services.NAME.health_check.timeout", "connect_timeout"),
        by("services.NAME.health_check.retries", "retry"),
        by("services.NAME.health_check.retry_delay", "delay_before_retry"),
        by("services.NAME.health_check.interval", "delay_loop"),
        by("services.NAME.health_check.warmup", "warmup"),
        declined("The address that serves is the one to check; a script can ask others.", "connect_ip"),
        declined(
            "Checks leave the director as everything else does; policy routing is the machine's "
            "own business.",
            "bindto bind_port bind_if fwmark",
        ),
        declined(_AT_SERVICE, "alpha"),
        declined(_LOG_ALL, "log_all_failures"),
    ),
    "virtual_server real_server HTTP_GET": (
        by("services.NAME.health_check.urls", "url"),
        by("services.NAME.health_check.http_version", "http_protocol"),
        declined("Written at each URL.", "virtualhost"),
        declined("There is no TLS in it.", "enable_sni"),
        declined(
            "A real server that fails one URL fails: it is asked again after the usual delay.",
            "fast_recovery",
        ),
        declined("The old name of retry.", "nb_get_retry"),
        declined(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server HTTP_GET url": (
        by("services.NAME.health_check.path", "path"),
        by("services.NAME.health_check.status", "status_code"),
        by("services.NAME.health_check.digest", "digest"),
        by("services.NAME.health_check.regex", "regex"),
        by("services.NAME.health_check.regex_no_match", "regex_no_match"),
        by("services.NAME.health_check.regex_options", "regex_options"),
        by("services.NAME.health_check.host", "virtualhost"),
        declined("The whole answer is searched.", "regex_min_offset regex_max_offset regex_stack"),
        declined(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server SSL_GET": (
        by("services.NAME.health_check.urls", "url"),
        by("services.NAME.health_check.http_version", "http_protocol"),
        declined("Written at each URL.", "virtualhost"),
        by("services.NAME.health_check.sni", "enable_sni"),
        declined(
            "A real server that fails one URL fails: it is asked again after the usual delay.",
            "fast_recovery",
        ),
        declined("The old name of retry.", "nb_get_retry"),
        declined(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server SSL_GET url": (
        by("services.NAME.health_check.path", "path"),
        by("services.NAME.health_check.status", "status_code"),
        by("services.NAME.health_check.digest", "digest"),
        by("services.NAME.health_check.regex", "regex"),
        by("services.NAME.health_check.regex_no_match", "regex_no_match"),
        by("services.NAME.health_check.regex_options", "regex_options"),
        by("services.NAME.health_check.host", "virtualhost"),
        declined("The whole answer is searched.", "regex_min_offset regex_max_offset regex_stack"),
        declined(_TLS, "tls_compliant"),
    ),
    "virtual_server real_server SMTP_CHECK": (
        by("services.NAME.health_check.host", "helo_name"),
        declined(_ONE_RIP, "host"),
    ),
    "virtual_server real_server SMTP_CHECK host": (
        declined(
            _ONE_RIP,
            "connect_ip connect_port bindto bind_port bind_if connect_timeout fwmark retry "
            "delay_before_retry warmup delay_loop alpha log_all_failures",
        ),
    ),
    "virtual_server real_server DNS_CHECK": (
        by("services.NAME.health_check.name", "name"),
        by("services.NAME.health_check.record", "type"),
    ),
    "virtual_server real_server MISC_CHECK": (
        by("services.NAME.health_check.path, services.NAME.health_check.arguments", "misc_path"),
        by("services.NAME.health_check.timeout", "misc_timeout"),
        by("services.NAME.health_check.user", "user"),
        by("services.NAME.health_check.dynamic", "misc_dynamic"),
        declined("A script asks where it wants to: see `arguments`.", "connect_port connect_timeout"),
    ),
    "virtual_server real_server PING_CHECK": (declined("A ping has no port.", "connect_port"),),
    "virtual_server real_server UDP_CHECK": (
        by("services.NAME.health_check.payload", "payload"),
        by(
            "services.NAME.health_check.require_reply, services.NAME.health_check.reply",
            "require_reply",
        ),
        by("services.NAME.health_check.reply_min", "min_reply_length"),
        by("services.NAME.health_check.reply_max", "max_reply_length"),
    ),
    "virtual_server real_server FILE_CHECK": (
        by("services.NAME.health_check.path", "track_file"),
        by("services.NAME.health_check.weight", "weight"),
    ),
    "virtual_server real_server BFD_CHECK": (
        own("the real server's name: one session each, whatever services it is in", "name"),
        declined(_AT_SERVICE, "alpha"),
    ),
    "vrrp_sync_group": (
        own("the instances that belong together", "group"),
        by("vrrp.notify.master", "notify_master"),
        by("vrrp.notify.backup", "notify_backup"),
        by("vrrp.notify.fault", "notify_fault"),
        by("vrrp.notify.stop", "notify_stop"),
        by("vrrp.notify.any", "notify"),
        by("vrrp.track_interfaces", "track_interface"),
        by("vrrp.track_scripts", "track_script"),
        declined(_TRACK, "track_file track_process track_bfd"),
        declined(
            "Each instance has the same trackers, so the group needs no word of it.",
            "global_tracking sync_group_tracking_weight",
        ),
        declined(_PRIORITIES, "notify_priority_changes"),
        declined(_MAIL, "smtp_alert"),
    ),
    "vrrp_instance": (
        own("MASTER for the director with the highest priority, unless nothing preempts", "state"),
        by("directors.NAME.interface, vips.NAME.interface", "interface"),
        by("vrrp.virtual_router_id", "virtual_router_id"),
        by("directors.NAME.priority", "priority"),
        by("vrrp.advert_interval", "advert_int"),
        by("vrrp.version", "version"),
        by("vrrp.unicast", "unicast_src_ip unicast_peer"),
        by("vrrp.preempt", "nopreempt"),
        by("vrrp.preempt_delay", "preempt_delay"),
        by("vrrp.password", "authentication"),
        by("vrrp.track_interfaces", "track_interface"),
        by("vrrp.track_scripts", "track_script"),
        by("vips, services.NAME.vip", "virtual_ipaddress virtual_ipaddress_excluded"),
        by("vrrp.vmac", "use_vmac vmac_xmit_base use_vmac_addr"),
        by("vrrp.notify.master", "notify_master"),
        by("vrrp.notify.backup", "notify_backup"),
        by("vrrp.notify.fault", "notify_fault"),
        by("vrrp.notify.stop", "notify_stop"),
        by("vrrp.notify.any", "notify"),
        declined(
            "Written in global_defs, for all: vrrp.garp.",
            "garp_master_delay garp_master_refresh garp_master_repeat garp_master_refresh_repeat "
            "garp_lower_prio_delay garp_lower_prio_repeat",
        ),
        declined(_EXTRA, "garp_extra_if vmac_garp_intvl"),
        declined(
            "The interface of the VIPs is always watched: a director that cannot be reached must "
            "not hold them.",
            "dont_track_primary",
        ),
        declined(_TRACK, "track_file track_process track_bfd track_src_ip"),
        declined("VIPs on interfaces of their own for each VRRP group: vrrp.vmac.", "use_ipvlan"),
        declined(
            "The multicast groups and addresses are those of the RFCs; unicast is the default.",
            "mcast_src_ip mcast_dst_ip unicast_ttl",
        ),
        declined(_PEERS, "check_unicast_src skip_check_adv_addr unicast_fault_no_peer"),
        declined(
            "For peers of another make, or older than keepalived 2.",
            "old_unicast_checksum v3_checksum_as_v2",
        ),
        declined("keepalived sees the family by the VIPs.", "native_ipv6"),
        declined("Interfaces of a VRF are the machine's own business.", "vrf"),
        declined(
            "Removing one VIP must not take others of its subnet: they are all /32, or the first "
            "one's network.",
            "promote_secondaries",
        ),
        declined(_LINKBEAT, "linkbeat_use_polling"),
        declined(
            "Routes and rules that move with VIPs: a director answers as its own network configuration says.",
            "virtual_routes virtual_rules",
        ),
        declined("VIPs are to be reached; it is the default.", "accept no_accept"),
        declined(_STRICT, "strict_mode"),
        declined("The default, which needs no word.", "preempt"),
        declined(_DEBUG, "debug"),
        declined("A group's last word comes by notify_stop.", "notify_deleted"),
        declined(_PRIORITIES, "notify_priority_changes notify_master_rx_lower_pri"),
        declined(_MAIL, "smtp_alert"),
        declined("The old form of lvs_sync_daemon.", "lvs_sync_daemon_interface"),
        declined(_ADVERTS, "down_timer_adverts timer_expired_backup thread_timer_expired"),
        declined(_TWO_MASTERS, "lower_prio_no_advert higher_prio_send_advert owner_ignore_adverts"),
        declined(_BUFFERS, "kernel_rx_buf_size"),
        declined("Every instance has a VIP.", "no_virtual_ipaddress"),
        declined(_TOO_NEW, "auth_hmac"),
    ),
    "vrrp_instance authentication": (
        own("PASS: a password of eight characters is all that VRRP version 2 has", "auth_type"),
        by("vrrp.password", "auth_pass"),
    ),
    "vrrp_script": (
        by("vrrp.track_scripts.NAME.path", "script"),
        by("vrrp.track_scripts.NAME.interval", "interval"),
        by("vrrp.track_scripts.NAME.timeout", "timeout"),
        by("vrrp.track_scripts.NAME.weight", "weight"),
        by("vrrp.track_scripts.NAME.rise", "rise"),
        by("vrrp.track_scripts.NAME.fall", "fall"),
        by("vrrp.track_scripts.NAME.user", "user"),
        declined("A script counts as succeeding until it fails, as keepalived has it.", "init_fail"),
    ),
    "vrrp_track_process": (
        declined(
            _PROCESS,
            "process param_match weight quorum quorum_max delay terminate_delay fork_delay full_command",
        ),
    ),
    "bfd_instance": (
        by("directors.NAME.dip, directors.NAME.dip6", "source_ip"),
        by("real_servers.NAME.rip, real_servers.NAME.rip6", "neighbor_ip"),
        by("services.NAME.health_check.min_rx", "min_rx"),
        by("services.NAME.health_check.min_tx", "min_tx"),
        by("services.NAME.health_check.idle_tx", "idle_tx"),
        by("services.NAME.health_check.multiplier", "multiplier"),
        by("services.NAME.health_check.max_hops", "max_hops"),
        own("sessions are for health checks", "checker"),
        declined("The other spelling of neighbor_ip.", "neighbour_ip"),
        declined("Defaults of keepalived, which suit one hop.", "passive ttl hoplimit multihop"),
        declined("Sessions are for health checks, not for VRRP.", "weight vrrp"),
    ),
    "track_file": (
        by("services.NAME.health_check.path", "file"),
        declined("The health check says how the file counts.", "weight"),
        declined("The file is somebody else's to write: a missing one counts as 0.", "init_file"),
    ),
    "vrrp_track_file": (declined(_OLD_FILE, "file weight init_file"),),
    "vrrp_instance auth_hmac": (declined(_TOO_NEW, "key active_key time_window anti_replay mode"),),
}
