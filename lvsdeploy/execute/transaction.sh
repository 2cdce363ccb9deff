# One transaction on one host: every step leaves word of how to undo it before it acts; when a step fails,
# what was done is undone in reverse order. Follows guard.sh. The steps follow this text, written by
# execute/transaction.py, which also sets, before all: token (frames the answer), manager (systemd, openrc,
# sysv), owner (who applies), record and expect (what the host must still have), seconds_to_confirm; and
# library, the length of what comes before the steps.
# shellcheck shell=sh disable=SC2154

# cut_out OFFSET LENGTH: a part of the contents
# (tail would complain that head leaves before the end)
cut_out() { tail -c "+$((contents + $1 + 1))" "$work/blob" 2>/dev/null | head -c "$2"; }

# --- files: written beside their place, then renamed into it --------------------------------------------------

beside() { printf '%s/.%s.lvsdeploy-new' "${1%/*}" "${1##*/}"; }

# A copy of what is replaced, or the thing itself when it is removed, stays beside it until the commit.
saved_beside() { printf '%s/.%s.lvsdeploy-old' "${1%/*}" "${1##*/}"; }

make_parents() {
    [ -d "${1%/*}" ] && return 0
    make_parents "${1%/*}" || return 1
    on_undo rmdir_if_empty "${1%/*}" || return 1
    (umask 022 && mkdir "${1%/*}") || { forget; return 1; }
}

rmdir_if_empty() { rmdir "$1" 2>/dev/null || [ ! -d "$1" ] || [ -n "$(ls -A "$1")" ]; }

# stage PATH MODE OWNER OFFSET LENGTH DIGEST
stage() {
    make_parents "$1" || return 1
    new=$(beside "$1")
    on_undo rm -f "$new" || return 1
    cut_out "$4" "$5" >"$new" && written=$(sha256sum <"$new") && [ "${written%% *}" = "$6" ] || {
        echo "$1 was not written whole: is the disk full, or read-only?"
        return 1
    }
    chown "$3" "$new" && chmod "$2" "$new"
}

# move_over NEW PATH: two names of one file are left alone by rename(2).
move_over() {
    if [ "$1" -ef "$2" ]; then rm -f "$1"; else mv -f "$1" "$2"; fi
}

# put_back OLD PATH: is there no OLD, then nothing had happened yet.
put_back() {
    [ ! -e "$1.part" ] || rm -f "$1.part"
    [ ! -e "$1" ] || move_over "$1" "$2"
}

# Leaves word for the undo, and removes what somebody else may have left there: it would be put back.
before_saving() {
    old=$(saved_beside "$1")
    [ ! -e "$old" ] || rm -f "$old" || return 1
    on_undo put_back "$old" "$1"
}

# save PATH: a second name for it, so that the undo needs no room. Its place is never empty.
save() {
    before_saving "$1" || return 1
    ln "$1" "$old" 2>/dev/null || { cp -p "$1" "$old.part" && mv "$old.part" "$old"; }
}

place() {
    if [ -e "$1" ]; then save "$1" || return 1; else on_undo rm -f "$1" || return 1; fi
    new=$(beside "$1")
    flush "$new" "$journal/undo.$undo_count"
    move_over "$new" "$1"
}

remove() {
    [ -e "$1" ] || return 0
    before_saving "$1" || return 1
    flush "$journal/undo.$undo_count"
    mv "$1" "$old"
}

# A copy that an earlier adoption left is kept as well: it is somebody's file.
keep_copy() {
    copy=$1.before-lvsdeploy
    number=1
    while [ -e "$copy" ]; do
        [ "$(sha256sum <"$1")" = "$(sha256sum <"$copy")" ] && return 0
        number=$((number + 1))
        copy=$1.before-lvsdeploy.$number
    done
    on_undo rm -f "$copy" && cp -p "$1" "$copy"
}

# give_back PATH SHA256: the copy with this digest takes its old place again, as it is.
give_back() {
    for copy in "$1".before-lvsdeploy "$1".before-lvsdeploy.*; do
        digest=$({ sha256sum <"$copy"; } 2>/dev/null)
        [ "${digest%% *}" = "$2" ] || continue
        new=$(beside "$1")
        on_undo rm -f "$new" && rm -f "$new" && { ln "$copy" "$new" 2>/dev/null || cp -p "$copy" "$new"; } &&
            place "$1" && on_commit rm -f "$copy"
        return
    done
    echo "there is no copy of $1 any more as it was kept ($1.before-lvsdeploy, SHA-256 $2)"
    return 1
}

# keepalived warns about words it does not know and goes on; such a warning names a line, and is a refusal here.
test_keepalived() {
    new=$(beside "$1")
    # Not into a file: on a full disk it would hold no warnings. SIGTERM is ignored, since 2.2.7 sends it to
    # itself when a script has another user than root: it takes its parent for the daemon
    # (lib/notify.c, check_script_secure; mended in 2.2.8).
    said=$(trap '' TERM && keepalived -t -f "$new" 2>&1)
    code=$?
    while :; do
        case $said in *"$new"*) said="${said%%"$new"*}$1${said#*"$new"}" ;; *) break ;; esac
    done
    printf '%s\n' "$said"
    [ "$code" -eq 0 ] || { echo "keepalived -t refuses the new configuration (exit $code)"; return 1; }
    case $said in *'Line '[0-9]*')'*)
        echo "keepalived -t warns about the new configuration"
        return 1
        ;;
    esac
}

# --- packages -------------------------------------------------------------------------------------------------

# A package that was installed stays: to remove it would take away what came with it, too.
kept=
install_package() { fetch_package "$@" && kept="${kept}package $2 stays installed$nl"; }

fetch_package() {
    case $1 in
    apt-get)
        set -- "$2" -qqy --no-install-recommends -o Dpkg::Options::=--force-confold
        package=$1
        shift
        DEBIAN_FRONTEND=noninteractive apt-get "$@" install "$package" </dev/null ||
            { apt-get -qq update </dev/null &&
                DEBIAN_FRONTEND=noninteractive apt-get "$@" install "$package" </dev/null; }
        ;;
    dnf | yum) "$1" -qy install "$2" </dev/null ;;
    zypper) zypper --quiet --non-interactive install "$2" </dev/null ;;
    apk) apk add --quiet "$2" </dev/null ;;
    pacman) pacman -S --noconfirm --needed "$2" </dev/null ;;
    esac
}

# --- the live kernel ------------------------------------------------------------------------------------------

sysctl_set() {
    # Not `read`: dash and busybox read byte by byte, and a sysctl has only one read in it.
    old=$(cat "$1") && on_undo write_value "$1" "$old" || return 1
    write_value "$1" "$2" && return 0
    [ "$(cat "$1")" != "$old" ] || forget
    return 1
}

# sysctl_of_module MODULE PATH VALUE: keys that are there once the module is loaded, which it stays. An older
# one may not know the key.
sysctl_of_module() {
    modprobe "$1" || return 1
    [ ! -e "$2" ] || sysctl_set "$2" "$3"
}

write_value() { printf '%s\n' "$2" >"$1"; }

# One that is built into the kernel may be unknown to modprobe: then the step that needs it tells.
module_load() {
    [ -d "/sys/module/$1" ] && return 0
    said=$(modprobe "$1" 2>&1) || echo "${said:-modprobe $1 failed}"
}

has_link() { [ -e "/sys/class/net/$1" ]; }

link_is_up() {
    case "$(ip link show dev "$1")" in *[,\<]UP[,\>]*) return 0 ;; esac
    return 1
}

# tunnel_add NAME WORDS...: `ip link add name NAME WORDS`, unless there is an interface of that name.
tunnel_add() {
    has_link "$1" && return 0
    on_undo tunnel_gone "$1" || return 1
    ip link add name "$@" && return 0
    has_link "$1" || forget
    return 1
}

tunnel_gone() { ! has_link "$1" || ip link del dev "$1" || ! has_link "$1"; }

# tunnel_del NAME WORDS...: WORDS make it again. Its addresses are somebody else's to put back.
tunnel_del() {
    has_link "$1" || return 0
    filter=$(cat "/proc/sys/net/ipv4/conf/$1/rp_filter" 2>/dev/null)
    was=down
    ! link_is_up "$1" || was=up
    on_undo tunnel_back "$was" "${filter:--}" "$@" || return 1
    tunnel_gone "$1"
}

# tunnel_back up|down RP_FILTER NAME WORDS...
tunnel_back() {
    was=$1
    filter=$2
    shift 2
    has_link "$1" || ip link add name "$@" || return 1
    [ "$filter" = - ] || write_value "/proc/sys/net/ipv4/conf/$1/rp_filter" "$filter"
    ip link set dev "$1" "$was"
}

tunnel_up() {
    ! link_is_up "$1" || return 0
    on_undo tunnel_set "$1" down || return 1
    ip link set dev "$1" up
}

tunnel_down() {
    link_is_up "$1" || return 0
    on_undo tunnel_set "$1" up || return 1
    ip link set dev "$1" down
}

# What is not there any more need not be set down.
tunnel_set() { { [ "$2" = down ] && ! has_link "$1"; } || ip link set dev "$1" "$2"; }

# has_gue -4|-6 PORT: `ip fou show` tells "port 6080 gue", with -6 behind for IPv6.
has_gue() {
    ip fou show | {
        found=
        while read -r _ number kind family _; do
            [ "$family" = -6 ] || family=-4
            [ "$family $number $kind" != "$1 $2 gue" ] || found=yes
        done
        [ -n "$found" ]
    }
}

gue_add() {
    ! has_gue "$1" "$2" || return 0
    on_undo gue_gone "$1" "$2" || return 1
    ip "$1" fou add port "$2" gue && return 0
    has_gue "$1" "$2" || forget
    return 1
}

gue_gone() { ! has_gue "$1" "$2" || ip "$1" fou del port "$2"; }

gue_del() {
    has_gue "$1" "$2" || return 0
    on_undo gue_back "$1" "$2" || return 1
    gue_gone "$1" "$2"
}

gue_back() { has_gue "$1" "$2" || ip "$1" fou add port "$2" gue; }

# Does the interface $1 hold the address $2? 1: no, 2: no telling.
holds() {
    [ -e "/proc/sys/net/ipv4/conf/$1" ] || return 1
    shown=$(ip -o address show dev "$1") || return 2
    case "$shown " in *" $2 "*) return 0 ;; esac
    return 1
}

address_add() {
    holds "$1" "$2"
    case $? in 0) return 0 ;; 2) return 1 ;; esac
    on_undo address_del "$1" "$2" || return 1
    put_address "$1" "$2" && await_address "$1" "$2" && return 0
    holds "$1" "$2"
    [ $? -ne 1 ] || forget
    return 1
}

# On lo there is nobody to ask whether an IPv6 address is taken, and `nodad` says so to whoever reads it. A VIP
# elsewhere is not to be the source of what this host sends (RFC 6724, rule 3). The ip of busybox knows neither word.
put_address() {
    case $1,$2 in
    lo,*:*) ip address add "$2" dev "$1" nodad 2>/dev/null && return 0 ;;
    *,*:*/128) ip address add "$2" dev "$1" preferred_lft 0 2>/dev/null && return 0 ;;
    esac
    ip address add "$2" dev "$1"
}

# An IPv6 address serves nobody until duplicate address detection has let it through (RFC 4862, 5.4): a second
# or two.
await_address() {
    case $2 in *:*) ;; *) return 0 ;; esac
    tries=50
    while [ "$tries" -gt 0 ]; do
        case $(ip -o address show dev "$1" | grep -F " $2 ") in
        *dadfailed*)
            echo "another machine has $2: duplicate address detection failed on $1"
            return 1
            ;;
        *tentative*) ;;
        *) return 0 ;;
        esac
        tries=$((tries - 1))
        sleep 0.1 2>/dev/null || { sleep 1; tries=$((tries - 9)); }
    done
    echo "$2 on $1 is still tentative: is the link up?"
    return 1
}

address_del() {
    holds "$1" "$2"
    case $? in 1) return 0 ;; 2) return 1 ;; esac
    on_undo address_add "$1" "$2" || return 1
    ip address del "$2" dev "$1" && return 0
    ! holds "$1" "$2" || forget
    return 1
}

# family ADDRESS: how `ip` is asked for routes by way of it
family() { case $1 in *:*) echo -6 ;; *) echo -4 ;; esac; }

# default_routes FAMILY: one a line, the preferred one first, in words that `ip` understands again. Those that
# routers advertise expire by the second, are set again with the next advertisement, and are left alone.
default_routes() {
    ip -o "$1" route show default |
        sed 's/\\//g; s/ linkdown//g; s/ dead//g; s/[[:space:]]*$//; / proto ra /d; / expires /d'
}

# save_routes FAMILY BEGINNING: the undo takes away those that begin so and were not there.
save_routes() {
    routes=$(default_routes "$1") || return 1
    set -f
    IFS=$nl
    # shellcheck disable=SC2086
    set -- "$1" "$2" $routes
    unset IFS
    set +f
    on_undo routes_restore "$@"
}

# routes_restore FAMILY BEGINNING ROUTES...: first what is missing, so that there is a route all the time.
# shellcheck disable=SC2086 # the words of a route are words for `ip`
routes_restore() {
    family=$1
    beginning=$2
    shift 2
    set -f
    failed=
    before=$nl
    now=$nl$(default_routes "$family")$nl
    for route; do
        before=$before$route$nl
        case $now in *"$nl$route$nl"*) ;; *) ip "$family" route replace $route || failed=yes ;; esac
    done
    IFS=$nl
    for route in $(default_routes "$family"); do
        unset IFS
        case $before in *"$nl$route$nl"*) continue ;; esac
        case "$route " in "${beginning:-none} "*) ip "$family" route del $route || failed=yes ;; esac
    done
    unset IFS
    set +f
    [ -z "$failed" ]
}

# Of IPv6 the most preferred metric, which 0 is not: routers advertise routes beside it with a metric of their
# own, and of two with the same one the kernel may use either.
route_default() {
    save_routes "$(family "$1")" "default via $1" || return 1
    case $1 in
    *:*) ip -6 route replace default via "$1" metric 1 ;;
    *) ip -4 route replace default via "$1" ;;
    esac || { forget; return 1; }
}

leads_via() {
    case "$(default_routes "$(family "$1")") " in "default via $1 "*) return 0 ;; esac
    return 1
}

# route_back VIA [WORDS...]: the default route, if it still leads via VIA, becomes WORDS, or goes.
route_back() {
    leads_via "$1" || return 0
    via=$1
    family=$(family "$1")
    shift
    save_routes "$family" "${1:+$1 $2 $3}" || return 1
    if [ $# -gt 0 ]; then
        case $nl$routes$nl in
        *"$nl$*$nl"*) ;; # it stands behind ours
        *) ip "$family" route replace "$@" || { forget; return 1; } ;;
        esac
        [ "$3" != "$via" ] || return 0
        leads_via "$via" || return 0 # replaced; one with a metric comes to stand behind it
    fi
    ip "$family" route del default via "$via"
}

# --- netfilter rules: the functions are those of templates/firewall/functions.sh --------------------------------

# netfilter_load PROGRAM NAME OFFSET LENGTH DIGEST: these rules in the place of those that are there.
netfilter_load() {
    save_rules "$1" "$2" || return 1
    cut_out "$3" "$4" >"$work/rules" && written=$(sha256sum <"$work/rules") && [ "${written%% *}" = "$5" ] || {
        echo "$work/rules was not written whole: is the disk full?"
        return 1
    }
    load_rules "$1" "$2" "$work/rules" # iptables has a commit for each table: the first may have come to pass
}

netfilter_remove() { save_rules "$1" "$2" && remove_rules "$1" "$2"; }

# save_rules PROGRAM NAME: they come back with the undo, as the kernel shows them now.
save_rules() {
    kept_rules=$journal/rules.$((undo_count + 1))
    if ! has_rules "$1" "$2"; then
        on_undo remove_rules "$1" "$2"
        return
    fi
    case $1 in
    nft) printf 'add table inet %s\ndelete table inet %s\n' "$2" "$2" && nft list table inet "$2" ;;
    *) own_rules "$1" "$2" ;;
    esac >"$kept_rules" && on_undo load_rules "$1" "$2" "$kept_rules"
}

# own_rules PROGRAM NAME: the chains and the jumps there, as lines for iptables-restore
own_rules() {
    "$1-save" | grep -E -e '^[*]|^COMMIT' -e "^:$2-(in|out|nat) |^-A $2-(in|out|nat) | -[jg] $2-(in|out|nat)( |\$)"
}

# table N UNDO-WORDS... WORDS...: runs ipvsadm WORDS; the first N words undo it.
# One command is one change: if it fails there is nothing of it to undo.
table() {
    undo_words=$1
    [ "$undo_words" -eq 0 ] || on_undo_of_table "$@" || return 1
    shift $((undo_words + 1))
    ipvsadm "$@" && return 0
    [ "$undo_words" -eq 0 ] || forget
    return 1
}

on_undo_of_table() {
    count=$1
    shift
    others=$(($# - count))
    while [ "$count" -gt 0 ]; do
        set -- "$@" "$1"
        shift
        count=$((count - 1))
    done
    shift "$others"
    on_undo table_back "$@"
}

table_back() { ipvsadm "$@" || table_is_so "$@"; }

# Is the table as if the command had been run? What it undoes may not have been done.
table_is_so() {
    saved=$(ipvsadm -Sn) || return 1
    action=$1
    shift
    case $action in
    -a) in_table "-a $(shown "$@")" ;;
    -A) in_table "-A $*" ;;
    -d | -e) ! in_table "-a $(up_to_destination "$@")" ;;
    -D) ! in_table "-A $* -s" ;; # the services of both families may have one mark
    *) return 1 ;;
    esac
}

in_table() {
    case "$nl$saved$nl" in *"$nl$1 "* | *"$nl$1$nl"*) return 0 ;; esac
    return 1
}

# Thresholds do not show in what is saved; they come last.
shown() {
    words=$*
    words=${words%% -x *}
    echo "${words%% -y *}"
}

up_to_destination() {
    words=
    while [ $# -gt 1 ] && [ "$1" != -r ]; do
        words="$words$1 "
        shift
    done
    echo "$words$1 $2"
}

# quiesce SERVICE DESTINATION N UNDO-WORDS... WORDS...: no new connections for it. SERVICE: its words, as one.
# One that a health check has taken out in between is as quiet as can be.
quiesced=
quiesce() {
    of_service=$1
    destination=$2
    undo_words=$3
    shift 2
    on_undo_of_table "$@" || return 1
    shift $((undo_words + 1))
    if ipvsadm "$@"; then
        quiesced="$quiesced$destination $of_service$nl"
        return 0
    fi
    forget
    table_is_so "$@"
}

# await_quiet SECONDS, at most, until nothing that was quiesced has connections
await_quiet() {
    seconds=$1
    while [ "$seconds" -gt 0 ] && any_connection; do
        sleep 1
        seconds=$((seconds - 1))
    done
    return 0
}

any_connection() {
    printf '%s' "$quiesced" | while read -r destination of_service; do
        # shellcheck disable=SC2086 # the words of a service
        ipvsadm -Ln $of_service | while read -r _ address _ _ active inactive; do
            [ "$address" = "$destination" ] || continue
            # UDP has no connections that end: those that were lately used count.
            case $of_service in -u*) ;; *) inactive=0 ;; esac
            [ "$((active + inactive))" -eq 0 ] || echo busy
        done
    done | grep -q busy
}

# keepalived acts on a reload when it gets round to it. Wait until the table is as declared, 5 seconds at most:
# the read-back tells what is still missing, and whether a health check is why.
await_table() {
    tries=25
    while [ "$tries" -gt 0 ]; do
        [ -e /proc/net/ip_vs ] && table_is_there && return 0
        sleep 0.2 2>/dev/null || sleep 1
        tries=$((tries - 1))
    done
    return 0
}

table_is_there() {
    now=$(ipvsadm -Sn) || return 1
    wanted=$(expected)
    same_lines=yes
    set -f
    IFS=$nl
    # shellcheck disable=SC2086
    set -- $wanted
    for line; do case $now in *"$line"*) ;; *) same_lines= ;; esac done
    count=$#
    # shellcheck disable=SC2086
    set -- $now
    unset IFS
    set +f
    [ -n "$same_lines" ] && [ "$count" -eq $# ]
}

# ipvs_timeouts TCP FIN UDP OLD-TCP OLD-FIN OLD-UDP: seconds; 0 leaves one alone
ipvs_timeouts() {
    on_undo ipvsadm --set "$4" "$5" "$6" || return 1
    ipvsadm --set "$1" "$2" "$3" && return 0
    forget
    return 1
}

# syncs ROLE: does the sync daemon of this role run?
syncs() {
    case "$nl$(ipvsadm -Ln --daemon 2>&1)" in *"$nl$1 sync daemon"*) return 0 ;; esac
    return 1
}

# sync_start ROLE WORDS...: keepalived may have been quicker
sync_start() {
    ! syncs "$1" || return 0
    on_undo sync_end "$1" || return 1
    ipvsadm --start-daemon "$@" && return 0
    forget
    syncs "$1"
}

# sync_stop ROLE WORDS...: those that start it again
sync_stop() {
    syncs "$1" || return 0
    on_undo sync_begin "$@" || return 1
    ipvsadm --stop-daemon "$1" && return 0
    forget
    ! syncs "$1"
}

# As undo: what is so already need not be done, nor be possible.
sync_begin() { ipvsadm --start-daemon "$@" || syncs "$1"; }

sync_end() { ipvsadm --stop-daemon "$1" || ! syncs "$1"; }

# await_sync ROLE INTERFACE SYNCID: keepalived starts the daemon when it gets round to it, 5 seconds at most
await_sync() {
    tries=25
    while [ "$tries" -gt 0 ]; do
        case $(ipvsadm -Ln --daemon 2>&1) in *"$1 sync daemon (mcast=$2, syncid=$3,"*) return 0 ;; esac
        sleep 0.2 2>/dev/null || sleep 1
        tries=$((tries - 1))
    done
    return 0
}

# --- services of the host's manager ---------------------------------------------------------------------------

manager_reload() {
    [ "$manager" != systemd ] || systemctl daemon-reload
}

unit_enable() {
    boots "$1" || on_undo boot_off "$1" || return 1
    flush "$journal/undo.$undo_count"
    boot_on "$1"
}

unit_disable() {
    ! boots "$1" || on_undo boot_on "$1" || return 1
    flush "$journal/undo.$undo_count"
    boot_off "$1"
}

unit_start() {
    runs "$1" || on_undo halt "$1" || return 1
    unit_do "$1" start
}

unit_stop() {
    idle "$1" || on_undo launch "$1" || return 1
    halt "$1"
}

unit_reload() { unit_do "$1" reload; }

unit_restart() { unit_do "$1" restart; }

# keepalived is stopped, and the table stays: a clean stop would empty it, and break every connection. So its
# checker ends without a last word, while its parent, held, cannot start another. VRRP ends as it should: it
# takes the VIPs away, and tells the other directors.
keepalived_leaves_table() {
    idle keepalived || on_undo launch keepalived || return 1
    parent=$(pid_of keepalived) && checker=$(pid_of checkers) && kill -STOP "$parent" && kill -KILL "$checker" || :
    if [ -n "$parent" ]; then
        if vrrp=$(pid_of vrrp) && kill -TERM "$vrrp"; then
            tries=25
            while [ "$tries" -gt 0 ] && kill -0 "$vrrp" && ! ended "$vrrp"; do
                sleep 0.2 2>/dev/null || sleep 1
                tries=$((tries - 1))
            done
        fi
        kill -KILL "$parent"
    fi 2>/dev/null
    halt keepalived || return 1
    for name in keepalived checkers vrrp; do # who is killed leaves these
        rm -f /run/keepalived/"$name".pid /run/"$name".pid
    done
    [ "$manager" != systemd ] || systemctl --quiet reset-failed keepalived 2>/dev/null || :
}

# pid_of NAME: of the process of keepalived that wrote NAME.pid
pid_of() {
    for pid_file in /run/keepalived/"$1".pid /run/"$1".pid /var/run/"$1".pid; do
        if { read -r pid <"$pid_file"; } 2>/dev/null && kill -0 "$pid" 2>/dev/null; then
            case $(cat "/proc/$pid/comm") in keepalived*) echo "$pid" && return 0 ;; esac
        fi
    done
    return 1
}

# An init script is done before its daemon has written who it is, and the file of one that was killed may still be
# there. 5 seconds at most: the read-back tells what does not run.
await_daemon() {
    tries=25
    while [ "$tries" -gt 0 ] && ! pid_of keepalived >/dev/null; do
        sleep 0.2 2>/dev/null || sleep 1
        tries=$((tries - 1))
    done
}

# Its parent is held, and does not take notice: a process that has ended stays as a zombie.
ended() { case $(cat "/proc/$1/stat") in *") Z "*) return 0 ;; esac; return 1; }

# As undo: what is so already need not be done, nor be possible.
halt() { unit_do "$1" stop || idle "$1"; }

launch() { unit_do "$1" start || runs "$1"; }

boot_on() { do_boot_on "$1" || boots "$1"; }

boot_off() { do_boot_off "$1" || ! boots "$1"; }

unit_status() {
    case $manager in
    systemd) systemctl --quiet is-active "$1" ;;
    openrc) rc-service "$1" status ;;
    sysv) "/etc/init.d/$1" status ;;
    esac </dev/null >/dev/null 2>&1
}

runs() { unit_status "$1"; }

# Not every init script knows `status`: only some of its answers are a clear no.
idle() {
    unit_status "$1"
    code=$?
    case $manager,$code in *,0) return 1 ;; sysv,3 | sysv,12[67] | systemd,* | openrc,*) return 0 ;; esac
    return 1
}

# Is it started at boot? Links are where Debian, RHEL and SUSE keep them.
boots() {
    case $manager in
    systemd) systemctl --quiet is-enabled "$1" 2>/dev/null ;;
    openrc) [ -e "/etc/runlevels/default/$1" ] ;;
    sysv)
        for link in /etc/rc[2345].d/S[0-9][0-9]"$1" /etc/rc.d/rc[2345].d/S[0-9][0-9]"$1" \
            /etc/init.d/rc[2345].d/S[0-9][0-9]"$1"; do
            if [ -e "$link" ] || [ -L "$link" ]; then return 0; fi
        done
        return 1
        ;;
    esac
}

do_boot_on() {
    case $manager in
    systemd) systemctl --quiet enable "$1" ;;
    openrc) rc-update --quiet add "$1" default ;;
    sysv)
        if command -v update-rc.d >/dev/null; then
            update-rc.d "$1" defaults && update-rc.d "$1" enable
        else
            chkconfig --add "$1" && chkconfig "$1" on
        fi
        ;;
    esac
}

do_boot_off() {
    case $manager in
    systemd) systemctl --quiet disable "$1" ;;
    openrc) rc-update --quiet delete "$1" default ;;
    sysv)
        # A disabled script has links still, and ours is to leave none behind.
        case $1,$(command -v update-rc.d) in
        lvsdeploy-*,?*) update-rc.d -f "$1" remove ;;
        lvsdeploy-*) chkconfig --del "$1" ;;
        *,?*) update-rc.d "$1" disable ;;
        *) chkconfig "$1" off ;;
        esac
        ;;
    esac
}

# What a daemon started here writes must not hold the answer's stream open.
unit_do() {
    unit_log=$work/unit
    true 2>/dev/null >"$unit_log" || unit_log=/dev/null
    case $manager in
    systemd) systemctl "$2" "$1" ;;
    openrc) rc-service "$1" "$2" ;;
    sysv) "/etc/init.d/$1" "$2" ;;
    esac </dev/null >"$unit_log" 2>&1
    code=$?
    cat "$unit_log"
    case $manager,$1,$2,$code in systemd,*) ;; *,keepalived,*start,0) await_daemon ;; esac
    if [ "$code" -ne 0 ] && [ "$manager" = systemd ]; then
        systemctl --no-pager --lines=20 status "$1" 2>&1
    fi
    return "$code"
}

# --- the frame of the answer ----------------------------------------------------------------------------------

step_number=0

step() {
    step_number=$((step_number + 1))
    "$@" >"$log" 2>&1
}

# Has somebody else changed the host since it was read?
moved() {
    [ -n "$expect" ] || return 1
    digest=-
    [ ! -e "$record" ] || digest=$({ sha256sum <"$record"; } 2>&1)
    [ "${digest%% *}" != "$expect" ]
}

end() {
    if [ "$seconds_to_confirm" -gt 0 ]; then arm "$seconds_to_confirm"; else commit; fi
}

# Nothing is said before the work is done: whoever reads may have stopped reading, and then a word blocks.
# transaction WORK: the folder has the blob: this script, then all contents.
transaction() {
    work=$1
    contents=$2
    log=$work/log
    trap 'rm -rf "$work"' EXIT
    take_lock "$base/lock" || return 0
    [ ! -e "$settled" ] || rm -f "$settled"
    [ ! -e "$finished" ] || finish_dead
    if [ -e "$journal" ] && recover_dead; then
        rm -f "$lock"
        printf '%s recovered %s\n%s\n%s' "$token" "$undone" "$dead" "$trouble"
    elif moved; then
        rm -f "$lock"
        printf '%s moved\n' "$token"
    elif begin_journal >"$log" 2>&1 && steps && end >"$log" 2>&1; then
        if [ "$seconds_to_confirm" -gt 0 ]; then
            printf '%s done armed\n' "$token"
        else
            rm -f "$lock"
            printf '%s done\n' "$token"
        fi
    else
        undone=yes
        trouble=
        [ -z "$begun" ] || undo_all && drop_journal
        rm -f "$lock"
        printf '%s failed %s\n' "$token" "$step_number"
        cat "$log"
        printf '%s\n%s undone %s\n%s' "$kept" "$token" "$undone" "$trouble"
    fi
    printf '\n%s read\n' "$token"
    read_back
}
