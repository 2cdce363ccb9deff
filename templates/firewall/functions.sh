# Netfilter rules of one cluster. NAME is that of its table of family inet (nft), or begins the names of its
# chains, NAME-in, NAME-out and NAME-nat (iptables, ip6tables). Rules are exchanged at once: no packet meets a
# part of them.

# load_rules PROGRAM NAME FILE: those in the file take the place of those that are there.
load_rules() {
    case $1 in
    nft) nft -f "$3" ;; # the file itself deletes the table first
    *) exchange_rules "$1" "$2" "$3" ;;
    esac
}

# remove_rules PROGRAM NAME
remove_rules() {
    has_rules "$1" "$2" || return 0
    case $1 in
    nft) nft delete table inet "$2" ;;
    *) exchange_rules "$1" "$2" /dev/null ;;
    esac
}

# has_rules PROGRAM NAME
has_rules() {
    case $1 in
    nft) nft list table inet "$2" >/dev/null 2>&1 ;;
    *) "$1-save" | grep -qE "^:$2-(in|out|nat) " ;;
    esac
}

# Each table by one commit: jumps to our chains and the chains go, and what the file has comes.
exchange_rules() {
    there=$("$1-save") && wanted=$(cat "$3") || return 1
    for table in mangle nat; do
        going=$(printf '%s\n' "$there" | lines_of "$table" | taking_away "$2")
        coming=$(printf '%s\n' "$wanted" | lines_of "$table")
        [ -z "$going$coming" ] || printf '%s\n' "*$table" "$going" "$coming" COMMIT
    done | "$1-restore" --noflush
}

# lines_of TABLE, of what iptables-save prints
lines_of() {
    part=
    while IFS= read -r line; do
        case $line in
        '*'*) part=${line#?} ;;
        COMMIT | '#'* | '') ;;
        *) [ "$part" != "$1" ] || printf '%s\n' "$line" ;;
        esac
    done
}

# taking_away NAME: what removes its chains and all jumps there, as lines for iptables-restore
taking_away() {
    flush=
    delete=
    while IFS= read -r line; do
        case "$line " in
        ":$1-in "* | ":$1-out "* | ":$1-nat "*)
            chain=${line#:}
            flush="$flush-F ${chain%% *}
"
            delete="$delete-X ${chain%% *}
"
            ;;
        "-A $1-in "* | "-A $1-out "* | "-A $1-nat "*) ;;
        *" -"[jg]" $1-in "* | *" -"[jg]" $1-out "* | *" -"[jg]" $1-nat "*) printf '%s\n' "-D ${line#-A }" ;;
        esac
    done
    printf '%s' "$flush$delete"
}
