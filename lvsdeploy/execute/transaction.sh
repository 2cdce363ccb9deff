# One transaction on one host: every step leaves word of how to undo it before it acts; when a step fails,
# what was done is undone in reverse order. The steps follow this text, written by execute/transaction.py,
# which also sets: token (frames the answer), manager (systemd, openrc, sysv), owner (who applies).
# $1: a private folder with the blob (this script, then all contents). $2: the lock. $3: where the contents begin.
# shellcheck shell=sh disable=SC2154

work=$1
lock=$2
contents=$3
log=$work/log
undo_count=0
undoing=

# A lost connection or Ctrl-C at the other end must not stop a transaction half way.
trap '' HUP INT PIPE

# --- undo: one file a step, one word a line, so that no value is ever read as shell ------------------------

on_undo() {
    [ -z "$undoing" ] || return 0 # what undoes is not itself undone
    undo_count=$((undo_count + 1))
    printf '%s\n' "$@" >"$work/undo.$undo_count"
}

undo_all() {
    undone=yes
    undoing=yes
    while [ "$undo_count" -gt 0 ]; do
        set --
        while IFS= read -r word; do set -- "$@" "$word"; done <"$work/undo.$undo_count"
        "$@" || { undone=no; echo "could not undo: $*"; }
        undo_count=$((undo_count - 1))
    done
}

# cut_out OFFSET LENGTH: a part of the contents
# (tail would complain that head leaves before the end)
cut_out() { tail -c "+$((contents + $1 + 1))" "$work/blob" 2>/dev/null | head -c "$2"; }

# --- files: written beside their place, then renamed into it --------------------------------------------------

beside() { printf '%s/.%s.lvsdeploy-new' "${1%/*}" "${1##*/}"; }

make_parents() {
    [ -d "${1%/*}" ] && return 0
    make_parents "${1%/*}" || return 1
    (umask 022 && mkdir "${1%/*}") || return 1
    on_undo rmdir_if_empty "${1%/*}"
}

rmdir_if_empty() { rmdir "$1" 2>/dev/null || :; }

# stage PATH MODE OWNER OFFSET LENGTH DIGEST
stage() {
    make_parents "$1" || return 1
    new=$(beside "$1")
    on_undo rm -f "$new"
    cut_out "$4" "$5" >"$new" && written=$(sha256sum <"$new") && [ "${written%% *}" = "$6" ] || {
        echo "$1 was not written whole: is the disk full, or read-only?"
        return 1
    }
    chown "$3" "$new" && chmod "$2" "$new"
}

save() {
    saved=$work/saved.$undo_count
    cp -p "$1" "$saved" || return 1
    on_undo restore "$1" "$saved"
}

restore() { cp -p "$2" "$(beside "$1")" && mv -f "$(beside "$1")" "$1"; }

place() {
    if [ -e "$1" ]; then save "$1" || return 1; else on_undo rm -f "$1"; fi
    mv -f "$(beside "$1")" "$1"
}

remove() {
    [ -e "$1" ] || return 0
    save "$1" && rm -f "$1" && rmdir_if_empty "${1%/*}"
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
    on_undo rm -f "$copy"
    cp -p "$1" "$copy"
}

# keepalived warns about words it does not know and goes on; such a warning names a line, and is a refusal here.
test_keepalived() {
    new=$(beside "$1")
    keepalived -t -f "$new" >"$work/test" 2>&1
    code=$?
    while IFS= read -r line; do
        while :; do
            case $line in *"$new"*) line="${line%%"$new"*}$1${line#*"$new"}" ;; *) break ;; esac
        done
        printf '%s\n' "$line"
    done <"$work/test"
    [ "$code" -eq 0 ] || { echo "keepalived -t refuses the new configuration (exit $code)"; return 1; }
    if grep -q 'Line [0-9][0-9]*)' "$work/test"; then
        echo "keepalived -t warns about the new configuration"
        return 1
    fi
}

# --- packages -------------------------------------------------------------------------------------------------

# A package that was installed stays: to remove it would take away what came with it, too.
install_package() { fetch_package "$@" && echo "package $2 stays installed" >>"$work/kept"; }

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
    old=$(cat "$1") || return 1
    on_undo write_value "$1" "$old"
    write_value "$1" "$2"
}

write_value() { printf '%s\n' "$2" >"$1"; }

holds() {
    case "$(ip -o address show dev "$1") " in *" $2 "*) return 0 ;; esac
    return 1
}

address_add() {
    holds "$1" "$2" && return 0
    on_undo address_del "$1" "$2"
    ip address add "$2" dev "$1"
}

address_del() {
    holds "$1" "$2" || return 0
    on_undo address_add "$1" "$2"
    ip address del "$2" dev "$1"
}

route_default() {
    old=$(ip -4 route show | sed -n '/^default/{s/ linkdown//;s/ dead//;s/ onlink/&/;p;q;}')
    on_undo route_restore "$1" "$old"
    ip -4 route replace default via "$1"
}

route_restore() {
    ip -4 route del default via "$1" 2>/dev/null
    [ -z "$2" ] && return 0
    # The words of a route, as `ip` printed them, are words for `ip` again.
    # shellcheck disable=SC2086
    ip -4 route replace $2
}

# table N UNDO-WORDS... WORDS...: runs ipvsadm WORDS; the first N words undo it.
# One command is one change: if it fails there is nothing of it to undo.
table() {
    count=$1
    shift
    : >"$work/back"
    while [ "$count" -gt 0 ]; do
        printf '%s\n' "$1" >>"$work/back"
        shift
        count=$((count - 1))
    done
    ipvsadm "$@" || return 1
    if [ -s "$work/back" ]; then
        on_undo ipvsadm
        cat "$work/back" >>"$work/undo.$undo_count"
    fi
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
    count=0
    while IFS= read -r line; do
        count=$((count + 1))
        case "$now" in *"$line"*) ;; *) return 1 ;; esac
    done <"$work/expected"
    while IFS= read -r line; do count=$((count - 1)); done <<END
$now
END
    [ "$count" -eq 0 ]
}

# --- services of the host's manager ---------------------------------------------------------------------------

manager_reload() {
    [ "$manager" != systemd ] || systemctl daemon-reload
}

unit_enable() {
    on_undo boot_off "$1"
    boot_on "$1"
}

unit_start() {
    on_undo unit_do "$1" stop
    unit_do "$1" start
}

unit_reload() { unit_do "$1" reload; }

unit_remove() {
    on_undo boot_on "$1"
    on_undo unit_do "$1" start
    unit_do "$1" stop && boot_off "$1"
}

boot_on() {
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

boot_off() {
    case $manager in
    systemd) systemctl --quiet disable "$1" ;;
    openrc) rc-update --quiet delete "$1" default ;;
    sysv)
        if command -v update-rc.d >/dev/null; then
            update-rc.d "$1" disable
        else
            chkconfig "$1" off
        fi
        ;;
    esac
}

# What a daemon started here writes must not hold the answer's stream open.
unit_do() {
    case $manager in
    systemd) systemctl "$2" "$1" ;;
    openrc) rc-service "$1" "$2" ;;
    sysv) "/etc/init.d/$1" "$2" ;;
    esac </dev/null >"$work/unit" 2>&1
    code=$?
    cat "$work/unit"
    if [ "$code" -ne 0 ] && [ "$manager" = systemd ]; then
        systemctl --no-pager --lines=20 status "$1" 2>&1
    fi
    return "$code"
}

# --- the lock and the frame of the answer -----------------------------------------------------------------------

# The lock is one file, and comes into being whole, by link(2): process, its folder, who and since when.
take_lock() {
    printf '%s %s %s\n' "$$" "$work" "$owner" >"$work/lock"
    tries=3
    while ! ln "$work/lock" "$lock" 2>/dev/null; do
        if [ "$tries" -eq 0 ]; then
            echo "cannot take the lock $lock; nothing was changed" >&2
            return 1
        fi
        tries=$((tries - 1))
        if held "$lock"; then
            printf '%s busy\n%s\n' "$token" "$since"
            return 1
        fi
        # Its holder was killed. Another apply may see that now, too, and be quicker.
        mv "$lock" "$work/stale" 2>/dev/null || continue
        if held "$work/stale"; then
            ln "$work/stale" "$lock" 2>/dev/null
        else
            case $folder in "${work%/*}"/apply.*) rm -rf "$folder" ;; esac
        fi
    done
}

# Is the holder named in the file $1 at work? Another process may have got its number since.
held() {
    holder=
    folder=
    since=
    { read -r holder folder since <"$1"; } 2>/dev/null
    [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null || return 1
    case "$(tr '\0' ' ' <"/proc/$holder/cmdline")" in *lvsdeploy*) return 0 ;; esac
    return 1
}

step_number=0

step() {
    step_number=$((step_number + 1))
    "$@" >"$log" 2>&1
}

# Nothing is said before the work is done: whoever reads may have stopped reading, and then a word blocks.
transaction() {
    take_lock || return 0
    if steps; then
        rm -f "$lock"
        printf '%s done\n' "$token"
    else
        undo_all >"$work/trouble" 2>&1
        rm -f "$lock"
        printf '%s failed %s\n' "$token" "$step_number"
        cat "$log"
        [ ! -e "$work/kept" ] || cat "$work/kept"
        printf '\n%s undone %s\n' "$token" "$undone"
        cat "$work/trouble"
    fi
    printf '\n%s read\n' "$token"
    read_back
}
