#!/bin/dash
# One cell of the table in test_injection.py, in namespaces of its own: a transaction with one fault, then
# what the controller would send next. Prints what the state was after the fault, and every answer.
# $1: the folder with programs and the known states. $2: the fault, or `none`. $3: at which call.
# shellcheck shell=sh
cell=$1
FAULT=$2
AT=$3
disk=$cell/disk-$FAULT-$AT
mkdir "$disk" "$disk.out"
mount -t tmpfs -o size=512k,nr_inodes=150 disk "$disk" || exit 1
CALLS=$disk.out/calls
export FAULT AT CALLS DISK="$disk" READER="$disk.out/reader" REAL="$cell/bin /usr/sbin /usr/bin /sbin /bin"
plain=$cell/bin:$PATH:/usr/sbin:/sbin
: >"$CALLS"

mkdir -p "$disk/run" "$disk/lib" "$disk/etc/gone"
mount --bind "$disk/run" /run && mount --bind "$disk/lib" /var/lib && mount --bind "$disk/etc" /mnt || exit 1
echo "as it was" >/mnt/replaced && chmod 0640 /mnt/replaced && chown 1:2 /mnt/replaced
echo "somebody's" >/mnt/adopted
echo "goes" >/mnt/gone/file
ip -batch - <<END || exit 1
link set lo up
link add eth0 type veth peer name far
link set far up
link set eth0 up
address add 10.2.0.21/24 dev eth0
route add default via 10.2.0.254 dev eth0 proto static
address add 192.0.2.51/32 dev lo
END

state() {
    (cd "$disk" && find etc lib ! -name '.*.lvsdeploy-*' ! -path 'lib/lvsdeploy/.journal*' \
        ! -path 'lib/lvsdeploy/.done*' ! -path lib/lvsdeploy -printf '%p %y %m %U:%G\n' | sort &&
        find etc lib -type f ! -name '.*.lvsdeploy-*' ! -path 'lib/lvsdeploy/.journal*' \
            ! -path 'lib/lvsdeploy/.done*' -exec sha256sum {} + | sort)
    cat /proc/sys/net/ipv4/conf/all/arp_ignore
    ip -o -4 address show dev lo
    ip -4 route show default
}

left_over() {
    (cd "$disk" && find run/lvsdeploy etc lib -name '.*.lvsdeploy-*' -o -path 'run/lvsdeploy/*' -prune -print \
        -o -name 'journal*' -prune -print -o -name 'done' -prune -print) 2>/dev/null | tr '\n' ' '
}

# send PROGRAM: runs it as root would, in a group of its own
send() {
    # shellcheck disable=SC2016
    /usr/bin/setsid "$cell/bin/sh" -c 'export GROUP=$$; eval "exec $(cat "$0")"' "$cell/$1.command" <"$cell/$1.stdin"
}

verdict() { sed -n 's/^0123456789abcdef \([a-z]*[ a-z0-9]*\)$/\1/p' "$1" | grep -v read | tr '\n' ' '; }

# committed: what is declared is there, and what may only be done after the commit is left to do.
place() {
    if [ -e "$disk/lib/lvsdeploy/.done" ]; then
        echo committed
        return
    fi
    now=$(state)
    if [ "$now" = "$(cat "$cell/before" 2>/dev/null)" ]; then
        echo before
    elif [ "$now" = "$(cat "$cell/declared" 2>/dev/null)" ]; then
        echo declared
    else
        echo between
    fi
}

if [ "$FAULT" = learn ]; then
    PATH=$plain
    state >"$cell/before"
    send steps >/dev/null && state >"$cell/declared"
    left_over
    exit
fi

mkfifo "$disk.out/pipe"
cat <"$disk.out/pipe" >"$disk.out/answer" &
echo $! >"$READER"
(PATH=$cell/wrapped:$plain && export PATH && send steps) >"$disk.out/pipe" 2>&1
wait
PATH=$plain
echo "calls $(wc -l <"$CALLS")"
echo "called $(sed -n "$AT{s/.* //;p;}" "$CALLS" 2>/dev/null)"
found=$(place)
echo "after $found"
echo "answer $(verdict "$disk.out/answer")"
[ "$found" != between ] || state | diff "$cell/before" - >&2
rm -f "$disk"/filler*
for _ in 1 2 3; do
    next=again
    case $found in declared | committed) next=nothing ;; esac
    send "$next" >"$disk.out/answer" 2>&1
    answer=$(verdict "$disk.out/answer")
    echo "next $answer"
    found=$(place)
    case $answer in
    done\ *) break ;;
    recovered*) echo "recovered $found" ;;
    esac
done
echo "end $found"
echo "left $(left_over)"
if [ "$found" != declared ]; then
    cat "$disk.out/answer" >&2
    state | diff "$cell/declared" - >&2
fi
exit 0
