# shellcheck shell=sh disable=SC2154
# Receives a transaction on stdin and runs it. $1: bytes of its script, $2: bytes in all. Follows work.sh.
# All of it is on the host before anything runs: a connection that breaks while sending changes nothing.
work_folder apply || exit 70
if cat >"$work/blob" && [ "$(wc -c <"$work/blob")" -eq "$2" ] &&
    head -c "$1" "$work/blob" >"$work/script"; then
    exec sh "$work/script" "$work" "$1"
fi
echo "the transaction did not arrive whole; nothing was changed" >&2
rm -rf "$work"
exit 70
