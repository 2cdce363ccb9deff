#!/bin/dash
# Stands for every program that a transaction calls: counts the calls, and makes one of them go wrong.
# shellcheck shell=sh disable=SC2153
name=${0##*/}
real=
for folder in $REAL; do
    if [ -x "$folder/$name" ]; then
        real=$folder/$name
        break
    fi
done
[ -n "$real" ] || exit 127
# Programs of a pipeline come at once: the order of appending decides.
echo "$$ $name" >>"$CALLS"
number=0
while read -r line; do
    number=$((number + 1))
    [ "$line" != "$$ $name" ] || break
done <"$CALLS"
if [ "$number" -eq "$AT" ]; then
    case $FAULT in
    killed-before) kill -9 "-$GROUP" ;;
    killed-after)
        "$real" "$@"
        kill -9 "-$GROUP"
        ;;
    fails) exit 1 ;;
    full) # no room for a byte, nor for one more file
        cat /dev/zero >"$DISK/filler" 2>/dev/null
        while true 2>/dev/null >"$DISK/filler$number"; do number=$((number + 1)); done
        ;;
    gone)
        read -r reader <"$READER"
        kill -9 "$reader"
        kill -HUP "-$GROUP"
        ;;
    esac
fi
exec "$real" "$@"
