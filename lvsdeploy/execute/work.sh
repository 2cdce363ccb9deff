# shellcheck shell=sh disable=SC2034
# The ground that every program here stands on: a connection that is lost, or Ctrl-C at its other end, stops
# nothing half way (a session's end sends TERM, too); what is written is for root alone; and each program
# has a folder whose name tells whose it is.
trap '' HUP INT PIPE TERM
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin"
base=/run/lvsdeploy
[ -d /run ] || base=/var/run/lvsdeploy

# work_folder KIND: makes it, and $work its path. A process's number is its own: what has ours is a dead one's.
work_folder() {
    work=$base/$1.$$
    [ -d "$base" ] || mkdir -p "$base" || return 1
    [ ! -e "$work" ] || rm -rf "$work" || return 1
    mkdir "$work"
}
