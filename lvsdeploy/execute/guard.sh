# shellcheck shell=sh disable=SC2034,SC2154
# A change that is put back unless it is confirmed: the journal stays, and a guard that outlives the connection
# holds the host's lock until the end. Who renames armed.TOKEN decides: guard, confirmation or revocation.
# Follows journal.sh.

armed=$journal/armed.$token
settled=$base/settled # the last one's end, for who asks late: TOKEN, END, yes or no; what was said

uptime() {
    read -r seconds _ </proc/uptime
    echo "${seconds%.*}"
}

nap() { sleep 0.2 2>/dev/null || sleep 1; }

# arm SECONDS: starts the guard and hands it the lock
arm() {
    until=$(date -u -d "@$(($(date +%s) + $1))" '+%H:%M:%S UTC') || until="$1 seconds later"
    write_line "$1" "$armed" && start_guard "$1" "$$" && hand_over && return 0
    rm -f "$armed" # a guard that is late goes away again
    echo "the guard that would put the change back did not start"
    return 1
}

hand_over() {
    tries=50
    while [ "$tries" -gt 0 ]; do
        guard=
        { read -r guard <"$journal/guard"; } 2>/dev/null && break
        tries=$((tries - 1))
        nap
    done
    write_line "$guard $base/apply.$guard $owner; put back at $until unless confirmed" "$work/handed" &&
        held "$work/handed" && mv "$work/handed" "$lock"
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

# Written whole or not at all.
write_line() { { printf '%s\n' "$1" >"$2.new"; } 2>/dev/null && mv "$2.new" "$2"; }

# guard SECONDS PROCESS: the process that hands the lock over
guard() {
    work_folder apply || return 1
    trap 'rm -rf "$work"' EXIT
    end=$(($(uptime) + $1))
    lock=$base/lock
    trap 'exit 1' TERM # a shutdown does not wait for it; the next apply finds the journal
    write_line "$$" "$journal/guard" || return 1
    while { read -r holder _ <"$lock"; } 2>/dev/null && [ "$holder" != "$$" ]; do
        [ -e "$armed" ] || return 1
        if ! alive "$2"; then
            # Killed before it could: nobody was told of this change, so nobody will confirm it.
            take_lock "$lock" || return 1
            end=0
        else
            nap
        fi
    done
    while [ -e "$armed" ] && [ "$(uptime)" -lt "$end" ]; do nap; done
    trap '' TERM
    if mv "$armed" "$journal/expired.$token"; then
        put_all_back expired
        rm -f "$lock"
    else
        sleep 2 # who was quicker takes the lock over from a holder who is alive
    fi
}

# put_all_back END: also says and keeps the answer
put_all_back() {
    undo_all
    answer "$1 $undone" "$trouble"
    drop_journal
}

answer() {
    settled_so "$token" "$@"
    printf '%s %s\n%s\n' "$token" "$@"
}

settled_so() { { printf '%s %s\n%s\n' "$@" >"$settled"; } 2>/dev/null || :; }

# confirm, revert: for confirm.sh. False: somebody else decided.
confirm() { settle confirmed; }

revert() { settle reverted; }

settle() {
    work_folder apply || return 1
    trap 'rm -rf "$work"' EXIT
    mv "$armed" "$journal/$1.$token" 2>/dev/null || return 1
    # The guard lives a moment longer. If it was killed, another apply may have the lock by now, and will end
    # this as we said.
    guard=
    { read -r guard <"$journal/guard"; } 2>/dev/null
    if held "$base/lock" && [ "$holder" = "$guard" ]; then
        lock=$base/lock
        write_line "$$ $work $owner" "$work/mine" && mv "$work/mine" "$lock"
    else
        take_lock "$base/lock" >/dev/null || return 1
    fi
    if [ "$1" = confirmed ]; then
        commit && answer "confirmed yes" ""
    else
        put_all_back reverted
    fi
    rm -f "$lock"
}

# A journal is there and we have the lock: its writer is dead. False: it had been confirmed, and that is ended
# first. Otherwise all is put back as well as it can be, and $dead names the writer.
recover_dead() {
    for file in "$journal"/armed.*; do
        mv "$file" "$journal/expired.${file##*.}" 2>/dev/null
    done
    for file in "$journal"/confirmed.*; do
        [ -e "$file" ] || continue
        commit && settled_so "${file##*.}" "confirmed yes"
        return 1
    done
    dead=
    { read -r dead <"$journal/owner"; } 2>/dev/null
    undone=yes
    trouble=
    if [ -e "$journal/undo.1" ]; then
        trouble=$(sh "$journal/lib" recover "$work" 2>&1) || undone=no
    fi
    for file in "$journal"/expired.* "$journal"/reverted.*; do
        [ ! -e "$file" ] || settled_so "${file##*.}" "expired $undone" "$trouble"
    done
    drop_journal
}
