# shellcheck shell=sh disable=SC2154,SC2034
# The journal: what undoes a transaction, on disk before each act. It outlives whoever wrote it; the next
# transaction finds it, and undoes or ends what it tells of. Follows lock.sh.
#
#   .journal/owner    who, since when
#   .journal/boot      the boot id: what only the kernel held is gone after a reboot
#   .journal/lib       this very library, so that an undo is done by the version that wrote it
#   .journal/undo.N   how to undo, the last one first; commit.N: what is to be done at the commit
#   .journal/armed.T  waits to be confirmed (guard.sh); renamed to confirmed.T, expired.T or reverted.T, once
#
# A file of words holds their number and one word a line: no value is ever read as shell, and one that was
# not written whole is recognised. The commit is one rename, of .journal to .done.
# Undoing needs no room on the disk, and can be repeated: it may have been killed, or the act never done.

state=/var/lib/lvsdeploy
journal=$state/.journal
finished=$state/.done
begun=
undo_count=0
commit_count=1000 # so that names sort as numbers do
undoing=
nl='
'

# What undoes a file or a start at boot is on disk before it, in case the power fails. Not every system can.
flush() { sync "$@" 2>/dev/null || :; }

# write_words FILE WORDS...
write_words() {
    file=$1
    shift
    case $* in *"$nl"*)
        echo "a line break in a name or a value: $*"
        return 1
        ;;
    esac
    { printf '%s\n' "$#" "$@" >"$file"; } 2>/dev/null && return 0
    rm -f "$file"
    echo "cannot write $file: is the disk full, or read-only?"
    return 1
}

# with_words HANDLER FILE: calls the handler with the words in the file
with_words() {
    handler=$1
    file=$2
    set --
    count=
    { read -r count && while IFS= read -r word; do set -- "$@" "$word"; done; } <"$file"
    [ "$#" = "$count" ] || return 0
    "$handler" "$@"
}

# Sets $boot_id; empty where there is none to be had.
read_boot_id() {
    boot_id=
    { read -r boot_id </proc/sys/kernel/random/boot_id; } 2>/dev/null || :
}

begin_journal() {
    read_boot_id
    [ ! -e "$journal" ] && { [ -d "$state" ] || (umask 022 && mkdir -p "$state"); } &&
        { [ ! -e "$journal.new" ] || rm -rf "$journal.new"; } && mkdir "$journal.new" &&
        printf '%s\n' "$owner" >"$journal.new/owner" &&
        printf '%s\n' "$boot_id" >"$journal.new/boot" &&
        head -c "$library" "$work/script" >"$journal.new/lib" &&
        flush "$journal.new/lib" &&
        mv "$journal.new" "$journal" && begun=yes && return 0
    rm -rf "$journal.new"
    rmdir "$state" 2>/dev/null
    echo "cannot write $journal: is the disk full, or read-only?"
    return 1
}

drop_journal() {
    rm -rf "$journal"
    rmdir "$state" 2>/dev/null || :
}

# --- undo -------------------------------------------------------------------------------------------------

# Does what this word undoes outlast a reboot?
lasts() {
    case $1 in rm | rmdir_if_empty | put_back | boot_on | boot_off | manager_reload) return 0 ;; esac
    return 1
}

# on_undo WORDS...: comes before the act
on_undo() {
    [ -z "$undoing" ] || return 0 # what undoes is not itself undone
    write_words "$journal/undo.$((undo_count + 1))" "$@" || return 1
    undo_count=$((undo_count + 1))
}

# The act failed, and nothing of it happened: there is nothing to undo.
forget() {
    [ -z "$undoing" ] || return 0
    rm -f "$journal/undo.$undo_count"
    undo_count=$((undo_count - 1))
}

# Sets $undone (yes, no) and $trouble, what was said.
undo_all() {
    undoing=yes
    undone=yes
    trouble=
    rebooted=
    booted=
    read_boot_id
    { read -r booted <"$journal/boot"; } 2>/dev/null
    [ "$booted" = "$boot_id" ] || rebooted=yes
    top=0
    while [ -e "$journal/undo.$((top + 1))" ]; do top=$((top + 1)); done
    while [ "$top" -gt 0 ]; do
        said=$(with_words undo_one "$journal/undo.$top" 2>&1) || undone=no
        trouble=$trouble${said:+$said$nl}
        rm -f "$journal/undo.$top"
        top=$((top - 1))
    done
}

undo_one() {
    [ -z "$rebooted" ] || lasts "$1" || return 0
    "$@" || { echo "could not undo: $*"; return 1; }
}

# recover WORK: how another program has this journal's library undo it. Says what went wrong.
recover() {
    work=$1
    undo_all
    printf '%s' "$trouble"
    [ "$undone" = yes ]
}

# --- commit -----------------------------------------------------------------------------------------------

# on_commit WORDS...: for what cannot be undone, or must wait for what the undo still needs
on_commit() {
    write_words "$journal/commit.$((commit_count + 1))" "$@" || return 1
    commit_count=$((commit_count + 1))
}

commit() {
    [ ! -e "$finished" ] && mv "$journal" "$finished" || [ ! -e "$journal" ] || return 1
    finish
}

# What is left to do after the commit. What fails is tried again by the next transaction.
finish() {
    clean=yes
    for file in "$finished"/undo.*; do
        [ ! -e "$file" ] || (with_words drop_saved "$file") || clean=
    done
    for file in "$finished"/commit.*; do
        [ -n "$clean" ] && [ -e "$file" ] || continue
        (with_words carry_out "$file") && rm -f "$file" || clean=
    done
    [ -z "$clean" ] || rm -rf "$finished"
    rmdir "$state" || : # it may hold records
} >/dev/null 2>&1

# One more try is enough: what cannot be cleaned up must not be in the way for ever.
finish_dead() {
    finish
    rm -rf "$finished"
}

drop_saved() {
    case $1 in put_back) rm -f "$2" ;; esac
}

carry_out() { "$@"; }
