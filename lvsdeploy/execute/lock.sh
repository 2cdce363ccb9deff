# shellcheck shell=sh disable=SC2154
# A lock is one file that names its holder: process, its folder, who and since when. It comes into being
# whole, by link(2). Follows work.sh; $token frames the answer, $owner is who we are.

# Is the process $1 one of ours? It may have ended, and another may have got its number since.
alive() {
    kill -0 "$1" 2>/dev/null || return 1
    said=$({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null) || return 0 # no telling: nobody's lock is broken
    case $said in *lvsdeploy*) return 0 ;; esac
    return 1
}

# Is the holder named in the file $1 at work?
held() {
    holder=
    folder=
    since=
    { read -r holder folder since <"$1"; } 2>/dev/null
    [ -n "$holder" ] && alive "$holder"
}

# take_lock LOCK: false when somebody else holds it, or it cannot be had; and says so.
take_lock() {
    lock=$1
    # A full disk leaves less than a line, and a lock without a holder would be anybody's.
    printf '%s %s %s\n' "$$" "$work" "$owner" 2>/dev/null >"$work/lock"
    { read -r holder folder since <"$work/lock"; } 2>/dev/null
    [ "$holder $folder" = "$$ $work" ] || { no_lock; return 1; }
    tries=3
    while ! ln "$work/lock" "$lock" 2>/dev/null; do
        [ "$tries" -gt 0 ] || { no_lock; return 1; }
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
            case $folder in "$base"/apply.* | "$base"/lease.*) rm -rf "$folder" ;; esac
        fi
    done
    remove_dead_folders
}

no_lock() { echo "cannot take the lock $lock; nothing was changed" >&2; }

# What those who were killed left behind.
remove_dead_folders() {
    for folder in "$base"/apply.* "$base"/lease.*; do
        case ${folder##*.} in '' | *[!0-9]*) continue ;; esac # none there; or an older lvsdeploy's
        [ "$folder" = "$work" ] || alive "${folder##*.}" || rm -rf "$folder"
    done
}
