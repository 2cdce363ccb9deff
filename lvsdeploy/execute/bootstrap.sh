# shellcheck shell=sh
# Receives a transaction on stdin and runs it. $1: bytes of its script, $2: bytes in all.
# All of it is on the host before anything runs: a connection that breaks while sending changes nothing.
# Neither that nor Ctrl-C at the other end leaves anything behind.
trap '' HUP INT PIPE
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin"
base=/run/lvsdeploy
[ -d /run ] || base=/var/run/lvsdeploy
mkdir -p "$base" && work=$(mktemp -d "$base/apply.XXXXXX") || exit 70
if cat >"$work/blob" && [ "$(wc -c <"$work/blob")" -eq "$2" ] && head -c "$1" "$work/blob" >"$work/script"; then
    sh "$work/script" "$work" "$base/lock" "$1"
    code=$?
else
    echo "the transaction did not arrive whole; nothing was changed" >&2
    code=70
fi
rm -rf "$work"
exit "$code"
