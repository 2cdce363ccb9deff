# shellcheck shell=sh disable=SC2034,SC2154
# Holds the lease of a cluster until its standard input ends. $1: frames the answer, $2: the cluster, $3: who.
# Follows work.sh and lock.sh. Unlike a transaction, a lease is to end with its connection.
token=$1
owner=$3
mine=
let_go() {
    [ -z "$mine" ] || rm -f "$lock"
    rm -rf "$work"
}
work_folder lease || exit 70
trap let_go EXIT
trap 'exit 0' HUP INT PIPE TERM
take_lock "$base/cluster-$2.lock" || exit 0
mine=yes
printf '%s held\n' "$token"
# A builtin that a signal interrupts; what comes is of no interest, its end is.
while read -r _; do :; done
