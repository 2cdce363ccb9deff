# shellcheck shell=sh disable=SC2154
# A change that is put back unless it is confirmed: the journal stays, and a guard that outlives the connection
# holds the host's lock until the end. Who renames armed.TOKEN decides: guard, confirmation or revocation.
# Follows journal.sh.

armed=$journal/armed.$token
settled=$base/settled # the last one's end, for who asks late: TOKEN, END, yes or no; and what was said

uptime() {
    read -r seconds _ </proc/uptime
    echo "${seconds%.*}"
}

nap() { sleep 0.2 2>/dev/null || sleep 1; }

# arm SECONDS: starts the guard and hands it the lock
arm() {
    : "$1"
    until=$(date -u -d "@$(($(date +%s) + $1))" '+%H:%M:%S UTC' 2>/dev/null) || until="$1 seconds after that"
    printf '%s\n' "$1" >"$armed" && start_guard "$1" "$$" || { rm -f "$armed" && return 1; }
    tries=100
    until_guard=
    while [ "$tries" -gt 0 ]; do
        { read -r until_guard <"$journal/guard"; } 2>/dev/null && break
        tries=$((tries - 1))
        nap
    done
    words="$until_guard $base/apply.$until_guard $owner; put back at $until unless confirmed"
    [ -n "$until_guard" ] && { printf '%s\n' "$words" >"$work/handed"; } 2>/dev/null &&
        held "$work/handed" && [ "$since" = "${words#* * }" ] && mv "$work/handed" "$lock" && return 0
    rm -f "$armed"
    echo "the guard that would put the change back did not start"
    return 1
}

# Only a unit of its own outlives the session where logind kills what a user leaves behind.
start_guard() {
    if [ "$manager" = systemd ]; then
        set -- /bin/sh "$journal/lib" guard "$@"
        systemd-run --quiet --collect --unit="lvsdeploy-confirm-$token" "$@" ||
            systemd-run --unit="lvsdeploy-confirm-$token" "$@" # before systemd 236
    else
        (cd / && exec setsid sh "$journal/lib" guard "$@") </dev/null >/dev/null 2>&1 &
    fi
}

# guard SECONDS PROCESS: the process that hands the lock over
guard() {
    work_folder apply || work=$base
    trap 'rm -rf "$work"' EXIT
    end=$(($(uptime) + $1))
    lock=$base/lock
    write_line "$$" "$journal/guard" || return 1
    while { read -r holder _ <"$lock"; } 2>/dev/null && [ "$holder" != "$$" ]; do
        [ -e "$armed" ] || return 1
        if ! alive "$2"; then
            # Killed before it could: nobody was told of this change, so nobody will confirm it.
            take_lock "$lock" && end=0
            break
        fi
        nap
    done
    while [ "$(uptime)" -lt "$end" ]; do
        [ -e "$armed" ] || break
        nap
    done
    if mv "$armed" "$journal/expired" 2>/dev/null; then
        put_all_back expired
        rm -f "$lock"
    else
        sleep 2 # the other takes the lock over from a holder who is alive
    fi
}

# Written whole or not at all.
write_line() { { printf '%s\n' "$1" >"$2.new"; } 2>/dev/null && mv "$2.new" "$2"; }

put_all_back() {
    undo_all
    { printf '%s %s %s\n%s\n' "$token" "$1" "$undone" "$trouble" >"$settled"; } 2>/dev/null
    drop_journal
}

# confirm, revert: called by confirm.sh, and answered with what ends up in $settled.
confirm() { settle confirmed; }

revert() { settle reverted; }

settle() {
    work_folder apply || work=$base
    trap 'rm -rf "$work"' EXIT
    mv "$armed" "$journal/$1" 2>/dev/null || return 1
    # The guard is alive and stays so for a moment; if it was killed, another apply may be at work by now, and
    # it will end this as we said.
    if held "$base/lock" && { read -r said <"$journal/guard"; } 2>/dev/null && [ "$holder" = "$said" ]; then
        lock=$base/lock
        write_line "$$ $work $owner" "$work/lock" && mv "$work/lock" "$lock"
    else
        take_lock "$base/lock" >/dev/null || return 1
    fi
    if [ "$1" = confirmed ]; then
        commit
        { printf '%s confirmed yes\n' "$token" >"$settled"; } 2>/dev/null
    else
        put_all_back reverted
    fi
    rm -f "$lock"
}
