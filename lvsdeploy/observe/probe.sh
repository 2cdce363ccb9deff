#!/bin/sh
# Reads everything lvsdeploy has to know about a host, in one go, and changes nothing.
#
# stdin, one item a line, ended by `end`:
#   TOKEN                   random, the first line; every section of the answer begins with it
#   file PATH               a path to look at (absolute, no white space)
#   record PATH             this cluster's manifest: what it names is looked at like what is asked for, and
#                           so are other clusters' manifests
#   known SHA256            a content that the reader has already: it need not travel
#   unit NAME | program NAME | module NAME REGEX
#   table SHA256            the IPVS table is asked for; digest of its expected, sorted lines, or `-`
#   rules TABLE CHAINS yes|no   the cluster's netfilter rules are asked for: its table of nft, and what its chains
#                           in iptables begin with. no: none are declared, and they are read where files tell of some
#   script USER PATH        a program that USER is to run: whose it is, and each folder above it
#   counters                the connections of each destination are asked for, even if the table is as expected
#   daemons | timeouts      IPVS's sync daemons; how long it remembers idle connections (those that the record
#                           names are looked at in any case)
#   listeners | firewall    what listens on TCP and UDP ports; the rules of the firewall
#   offload INTERFACE       which receive offloads are on there
#   neighbour ADDRESS       whose MAC address the host has for it
#   way ADDRESS             how the host would send to it
#   policy                  the rules of policy routing for IPv6, beside those for IPv4
#
# Shell builtins do the work wherever they can: on a small or busy machine a fork is what costs.
# The quotes are double ones throughout, so that the program is one plain word in single quotes.
# shellcheck disable=SC2086 # lists are split at newlines on purpose, and globbing is off (set -f)

exec 2>/dev/null
set -f
umask 077
PATH=$PATH:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
nl="
"
largest=8388608 # bytes of a file that is still read
most=65536      # characters of paths, and of units: a manifest must not burst the command line of stat

section() {
  printf "\n%s %s\n" "$token" "$1${2:+ $2}"
}

# The number of a process whose pid file is $1 and whose name begins with $2, in $pid; false if none runs.
# A pid file outlives a killed process, and its number may be another's by now: so the name is looked at.
running() {
  pid=
  comm=
  read -r pid <"$1" || [ -n "$pid" ] || return 1
  case $pid in "" | *[!0-9]*) return 1 ;; esac
  read -r comm <"/proc/$pid/comm" || return 1
  case $comm in "$2"*) return 0 ;; esac
  return 1
}

# Looks at the path $1, too, unless that was asked for. It stood on the host: so it has to be one plain word.
look_at() {
  case $1 in
    "" | / | [!/]* | *[!A-Za-z0-9_@%+=:,./-]* | */.. | */../*) return ;;
  esac
  if [ "$((${#files} + ${#1}))" -gt "$most" ]; then return; fi
  case $nl$files in
    *"$nl$1$nl"*) ;;
    *) files=$files$1$nl ;;
  esac
}

# And at the unit $1. systemctl gives up altogether at a name that cannot be: so it has to be a simple one.
look_at_unit() {
  case $1 in
    "" | [!A-Za-z0-9]* | *[!A-Za-z0-9_-]*) return ;;
  esac
  if [ "${#1}" -gt 64 ] || [ "$((${#units} + ${#1}))" -gt "$most" ]; then return; fi
  case $nl$units in
    *"$nl$1$nl"*) ;;
    *)
      units=$units$1$nl
      recorded=$recorded$1$nl
      ;;
  esac
}

# At what the manifest on stdin names. Its layout is fixed, as lvsdeploy writes it:
#   "files": {                     two spaces and a name begin a part; "folders": [ and "units": { likewise
#     "/etc/x": {                  four spaces and a quote begin an entry; what is deeper belongs to it
look_at_recorded() {
  part=
  while read -r line || [ -n "$line" ]; do
    case $line in
      "    \""*)
        name=${line#*\"}
        name=${name%%\"*}
        case $part in
          "  \"files\": {" | "  \"folders\": [")
            look_at "$name"
            tells_of_rules "$name"
            ;;
          "  \"units\": {") look_at_unit "$name" ;;
          "  \"timeouts\": {") timeouts=yes ;;
        esac
        ;;
      "    "*) ;;
      *) part=$line ;;
    esac
  done
}

# Does this path hold netfilter rules of the cluster? $ruled then names what loads them.
tells_of_rules() {
  case $1 in
    /etc/lvsdeploy/*/firewall.nft) ruled="$ruled nft" ;;
    /etc/lvsdeploy/*/firewall.v[46]) ruled="$ruled iptables" ;;
  esac
}

# Is an apply at work, by its lock (one line: PROCESS FOLDER OWNER)? Its owner is in $owner then. A killed one
# leaves its lock, and its number may be another's by now, even this shell's, which names lvsdeploy, too.
at_work() {
  if [ ! -f "$lock" ]; then return 1; fi
  holder=
  IFS=" " read -r holder _ owner <"$lock"
  case $holder in "" | *[!0-9]* | "$$") return 1 ;; esac
  # not `read`: an argument may have several lines
  case $(tr "\000" " " <"/proc/$holder/cmdline") in *lvsdeploy*) return 0 ;; esac
  return 1
}

# The destinations that have thresholds, which `ipvsadm -Sn` leaves out: DESTINATION UPPER LOWER SERVICE.
thresholds() {
  ipvsadm -Ln --thresholds | sed -n -e "/^[A-Z]/{" -e "s/ IPv6 /,IPv6 /" \
    -e "s/^\([A-Z]*\)  *\([^ ]*\) .*/\1 \2/" -e h -e "}" -e "/^  -> [^R]/!d" -e "s/^  -> //" -e "s/  */ /g" \
    -e "s/ [0-9]* [0-9]* *\$//" -e "/ 0 0\$/d" -e G -e "s/\n/ /" -e p
}

# Is the init script $1 started at boot? Links are where Debian, RHEL and SUSE keep them.
linked() {
  set +f
  for link in /etc/rc[2345].d/S[0-9][0-9]"$1" /etc/rc.d/rc[2345].d/S[0-9][0-9]"$1" \
    /etc/init.d/rc[2345].d/S[0-9][0-9]"$1"; do
    if [ -e "$link" ]; then
      set -f
      return 0
    fi
  done
  set -f
  return 1
}

token=
files=
record=
known=" "
units=
recorded=
programs=
modules=
table=
rules=
ruled=
counters=
daemons=
timeouts=
scripts=
listeners=
firewall=
offloads=
neighbours=
ways=
policy=
read -r token
while read -r word rest; do
  case $word in
    file) files=$files$rest$nl ;;
    record) record=$rest ;;
    known) known="$known$rest " ;;
    unit) units=$units$rest$nl ;;
    program) programs=$programs$rest$nl ;;
    module) modules=$modules$rest$nl ;;
    table) table=$rest ;;
    listeners) listeners=yes ;;
    firewall) firewall=yes ;;
    offload) offloads=$offloads$rest$nl ;;
    neighbour) neighbours="${neighbours}neighbour show to $rest$nl" ;;
    way) ways="${ways}route get $rest$nl" ;;
    policy) policy=yes ;;
    rules) rules=$rest ;;
    script) scripts=$scripts$rest$nl ;;
    counters) counters=yes ;;
    daemons) daemons=yes ;;
    timeouts) timeouts=yes ;;
    end) break ;;
  esac
done

# --- the host itself -------------------------------------------------------------------------------------
hostname=
release=
uid=
read -r hostname </proc/sys/kernel/hostname
read -r release </proc/sys/kernel/osrelease
# shellcheck disable=SC2034 # the real one and those after the effective one are skipped
while read -r word real uid rest; do
  if [ "$word" = Uid: ]; then break; fi
done </proc/self/status
IFS=$nl
if [ -d /run/systemd/system ]; then # sd_booted(3)
  manager=systemd
elif [ -d /run/openrc ] || command -v openrc-run >/dev/null; then
  manager=openrc
else
  manager=sysv
fi
section begin 1
section host
printf "%s\n" "hostname $hostname" "kernel $release" "uid $uid" "manager $manager"
for name in apt-get dnf yum zypper apk pacman; do
  if command -v "$name" >/dev/null; then
    printf "%s\n" "packages $name"
  fi
done
for name in stat sha256sum; do
  if ! command -v "$name" >/dev/null; then
    printf "%s\n" "lacks $name"
  fi
done
for name in /etc/os-release /usr/lib/os-release; do
  if [ -r "$name" ]; then
    while read -r line || [ -n "$line" ]; do
      case $line in ID=* | ID_LIKE=* | VERSION_ID=*) printf "%s\n" "os $line" ;; esac
    done <"$name"
    break
  fi
done

# --- transactions: who applies now, or whose apply broke off and left its journal ------------------------
lock=/run/lvsdeploy/lock
if [ ! -d /run ]; then lock=/var$lock; fi
journal=/var/lib/lvsdeploy/.journal
owner=
if at_work; then
  section transaction
  printf "%s\n" "busy $owner"
elif [ -d "$journal" ]; then
  first=
  if [ -f "$journal/owner" ]; then read -r first <"$journal/owner"; fi
  section transaction
  if at_work; then # it began between the two looks
    printf "%s\n" "busy $owner"
  else
    printf "%s\n" "unfinished $first"
  fi
fi

# --- the manifests: what else to look at -----------------------------------------------------------------
if [ -n "$record" ]; then
  look_at "$record"
  if [ -f "$record" ] && [ ! -L "$record" ] && [ -r "$record" ]; then # a pipe would never end
    look_at_recorded <"$record"
  fi
  set +f
  for file in /var/lib/lvsdeploy/*/manifest.json; do
    name=${file#/var/lib/lvsdeploy/}
    name=${name%/manifest.json}
    case $name in
      [!a-z]* | *[!a-z0-9-]*) ;; # no cluster is called so
      *) if [ "${#name}" -le 31 ]; then look_at "$file"; fi ;;
    esac
  done
  set -f
  if [ -n "$recorded" ]; then
    section recorded
    printf "%s" "$recorded"
  fi
fi

# --- sysctls: arp_ignore, arp_announce, rp_filter, send_redirects of each interface, its name last; of IPv6
# forwarding, accept_ra, disable_ipv6 -----------------------------------------------------------------------
section sysctls
# dash and busybox read byte by byte, and a sysctl gives its first byte only: enough for a digit, but the
# missing newline makes `read` fail.
value=
read -r value </proc/sys/net/ipv4/ip_forward || :
[ -z "$value" ] || printf "%s\n" "ip_forward $value"
set +f
if [ -d /proc/sys/net/ipv4/vs ]; then # only while ip_vs is loaded; they have more than one digit
  # shellcheck disable=SC2013 # IFS is a newline
  for line in $(grep -H "" /proc/sys/net/ipv4/vs/*); do
    line=${line#/proc/sys/net/ipv4/vs/}
    printf "%s\n" "vs ${line%%:*} ${line#*:}"
  done
fi
for conf in /proc/sys/net/ipv4/conf/*; do
  ignore=
  announce=
  filter=
  redirects=
  read -r ignore <"$conf/arp_ignore"
  read -r announce <"$conf/arp_announce"
  read -r filter <"$conf/rp_filter"
  read -r redirects <"$conf/send_redirects"
  printf "%s\n" "$ignore $announce $filter $redirects ${conf##*/}"
done
for conf in /proc/sys/net/ipv6/conf/*; do
  forwarding=
  advertised=
  disabled=
  read -r forwarding <"$conf/forwarding"
  read -r advertised <"$conf/accept_ra"
  read -r disabled <"$conf/disable_ipv6"
  if [ -n "$forwarding" ]; then printf "%s\n" "six $forwarding $advertised $disabled ${conf##*/}"; fi
done
set -f

# --- links, addresses, default routes and rules -------------------------------------------------------------
# One process with iproute2, and so of all tables: only that shows both families at once. Rules are IPv4's
# there. The ip of busybox knows no batch, and is asked four times; it does not tell tables apart.
section network
if command -v ip >/dev/null; then
  batch=yes
  ip -o -force -batch - <<BATCH || {
link show
address show
route show table all default
rule show
${neighbours}
BATCH
    batch=
    ip -o link show
    ip -o address show
    ip -4 route show default
    ip -6 route show default
    if [ -n "$neighbours" ]; then ip neigh show; fi
  }
  # What a tunnel interface of ours takes shows only in detail; GUE has ports only once its module is loaded.
  set +f
  for link in /sys/class/net/lvs-*; do
    if [ -e "$link" ]; then
      ip -o -d link show
      break
    fi
  done
  set -f
  if [ -d /sys/module/fou ]; then ip fou show; fi
  if [ "$batch$policy" = yesyes ]; then
    section policy
    ip -6 rule show
  fi
  if [ -n "$ways" ]; then # an address that cannot be reached fails, and the others are told all the same
    section ways
    if [ -n "$batch" ]; then
      printf "%s" "$ways" | ip -o -force -batch -
    else
      for line in $ways; do ip -o route get "${line##* }"; done
    fi
  fi
fi

# --- IPVS's timeouts and sync daemons: right after the addresses, which tell who is to be MASTER ------------
section settings
if [ -n "$daemons$timeouts" ] && [ -e /proc/net/ip_vs ] && [ "$uid" = 0 ]; then
  [ -z "$daemons" ] || ipvsadm -Ln --daemon
  [ -z "$timeouts" ] || ipvsadm -Ln --timeout
fi

# --- programs and modules ---------------------------------------------------------------------------------
section programs
for name in $programs; do
  if command -v "$name" >/dev/null; then
    version=
    case $name in
      keepalived) version=$(keepalived --version 2>&1) ;;
      ipvsadm)
        # ipvsadm loads ip_vs even to tell its version, and only root may ask the kernel
        if [ -e /proc/net/ip_vs ] && [ "$uid" = 0 ]; then
          version=$(ipvsadm --version)
        fi
        ;;
    esac
    printf "%s\n" "$name ${version%%"$nl"*}"
    for line in $version; do
      case $line in
        # what keepalived was built with
        "Config options:"* | "System options:"*) printf "%s\n" "+$name ${line#* options:}" ;;
      esac
    done
  fi
done
if [ -n "$scripts" ]; then
  section scripts
  told=" "
  parts=/$nl
  for line in $scripts; do
    user=${line%% *}
    path=${line#* }
    case $told in
      *" $user "*) ;;
      *)
        told="$told$user "
        number=$(id -u "$user") && group=$(id -g "$user") && printf "%s\n" "user $user $number $group"
        ;;
    esac
    # one plain word, where symbolic links lead to
    real=$(readlink -f "$path")
    case $real in
      "" | / | [!/]* | *[!A-Za-z0-9_@%+=:,./-]*) continue ;;
    esac
    printf "%s\n" "real $path $real"
    while [ -n "$real" ]; do
      case $nl$parts in
        *"$nl$real$nl"*) break ;;
      esac
      parts=$parts$real$nl
      real=${real%/*}
    done
  done
  stat -c "at %f %u %g %n" $parts
fi
section modules
if [ -r "/lib/modules/$release/modules.dep" ]; then
  printf "%s\n" listed
fi
pattern=
for line in $modules; do
  name=${line%% *}
  if [ -d "/sys/module/$name" ]; then
    printf "%s\n" "loaded $name"
  else
    pattern=$pattern${pattern:+|}${line#* }
  fi
done
if [ -n "$pattern" ]; then
  grep -hE "^($pattern) |^[^:]*/($pattern)[.]ko([.a-z0-9]*:|\$)" /proc/modules \
    "/lib/modules/$release/modules.builtin" "/lib/modules/$release/modules.dep"
fi

# --- units ------------------------------------------------------------------------------------------------
section units "$manager"
if [ -n "$units" ] && [ "$manager" = systemd ]; then
  shown=$(systemctl show --property=Id,LoadState,ActiveState,UnitFileState -- $units)
  printf "%s\n" "$shown"
  case $shown in
    *UnitFileState=generated*)
      section links
      for name in $units; do
        if linked "$name"; then printf "%s\n" "$name"; fi
      done
      ;;
  esac
else
  for name in $units; do
    enabled=no
    active=no
    if [ "$manager" = openrc ]; then
      set +f
      for link in /etc/runlevels/*/"$name"; do
        if [ -e "$link" ]; then enabled=yes; fi
      done
      for started in /run/openrc/started /lib/rc/init.d/started; do
        if [ -e "$started/$name" ]; then active=yes; fi
      done
      # started, and yet dead: what OpenRC calls crashed
      for daemon in "/run/openrc/daemons/$name"/*; do
        if [ -r "$daemon" ]; then
          while read -r line; do
            case $line in
              pidfile=?*) running "${line#pidfile=}" "" || active=no ;;
            esac
          done <"$daemon"
        fi
      done
      set -f
    elif [ -e "/etc/init.d/$name" ]; then
      if linked "$name"; then enabled=yes; fi
      found=
      for file in "/run/$name.pid" "/run/$name/$name.pid" "/var/run/$name.pid"; do
        if [ -e "$file" ]; then
          found=yes
          if running "$file" "$name"; then active=yes; fi
        fi
      done
      # No pid file, and no daemon of this name: the script runs once, and knows whether it did. A daemon's
      # script is not asked: that of Debian's keepalived exits 0 for any word when there is no configuration.
      if [ -z "$found" ] && ! command -v "$name" >/dev/null && [ -x "/etc/init.d/$name" ] &&
        "/etc/init.d/$name" status </dev/null >/dev/null; then
        active=yes
      fi
    fi
    printf "%s\n" "$name $enabled $active"
  done
fi

# --- what stands around: sockets, the firewall, the interfaces' offloads -----------------------------------
if [ -n "$listeners" ] && command -v ss >/dev/null; then
  section listeners
  ss -Hltun
fi
if [ -n "$firewall" ]; then
  if command -v nft >/dev/null; then
    section firewall nft
    nft -nn list ruleset
  elif command -v iptables >/dev/null; then
    section firewall iptables
    iptables -S
  fi
fi
if [ -n "$offloads" ] && command -v ethtool >/dev/null; then
  section offloads
  for name in $offloads; do
    for line in $(ethtool -k "$name"); do
      case $line in
        large-receive-offload:* | rx-gro-hw:*) printf "%s\n" "$name $line" ;;
      esac
    done
  done
fi
# --- the cluster's netfilter rules ------------------------------------------------------------------------
# A host may have nft and a kernel that takes no such table: so it is tried, and not done (-c). Where nft does,
# chains of iptables are looked for only if the host tells of some. iptables-save loads no module.
if [ -n "$rules" ]; then
  chains=${rules#* }
  declared=${chains#* }
  chains=${chains%% *}
  own=${rules%% *}
  for ending in nft v4 v6; do
    name=/etc/lvsdeploy/${own#lvsdeploy-}/firewall.$ending
    if [ -e "$name" ]; then tells_of_rules "$name"; fi
  done
  if [ "$declared$ruled" = no ]; then
    : # and nft would load a module just to say so
  elif [ "$uid" != 0 ]; then
    section netfilter refused
  else
    loader=none
    if command -v nft >/dev/null && nft -c "add table inet $own"; then
      loader=nft
      section nft
      nft -nn list table inet "$own"
    elif command -v iptables-save >/dev/null; then
      loader=iptables
      ruled="$ruled iptables"
    fi
    case $ruled in
      *iptables*)
        for name in iptables ip6tables; do
          section "$name"
          "$name-save" | grep -e "^[*]" -e "$chains-"
        done
        ;;
    esac
    section netfilter "$loader"
  fi
fi

# --- files and the IPVS table: one stat, one sha256sum ----------------------------------------------------
stats=
if [ -n "$files" ]; then
  stats=$(stat -c "%f:%s:%u:%g:%U:%G:%n" -- $files)
fi
section stat
printf "%s\n" "$stats"
section unread
hash=
for line in $stats; do
  case $line in
    8???:*) # a regular file, by its mode in hexadecimal
      path=/${line#*:/}
      size=${line#*:}
      size=${size%%:*}
      if [ ! -r "$path" ]; then
        printf "%s\n" "refused $path"
      elif [ "$size" -gt "$largest" ]; then
        printf "%s\n" "large $path"
      else
        hash=$hash$path$nl
      fi
      ;;
  esac
done
if [ -z "$table" ]; then
  state=
elif [ ! -e /proc/net/ip_vs ]; then # and ipvsadm would load the module just to say so
  state=absent
elif [ "$uid" != 0 ]; then
  state=refused
elif ! command -v ipvsadm >/dev/null; then
  state=lacking
else
  state=differs
fi
sums=
if [ "$state" = differs ] && [ "$table" != - ]; then
  sums=$({
    ipvsadm -Sn
    thresholds
  } | sort | sha256sum - $hash)
elif [ -n "$hash" ]; then
  sums=$(sha256sum -- $hash)
fi
send=
section sums
for line in $sums; do
  digest=${line%% *}
  path=${line#* ?}
  if [ "$path" != - ]; then
    printf "%s\n" "$line"
    case $known in
      *" $digest "*) ;;
      *) send=$send$path$nl ;;
    esac
  elif [ "$digest" = "$table" ]; then
    state=same
  fi
done
if [ -n "$send" ]; then
  section sent
  printf "%s" "$send"
  section contents # one after the other; their sizes and digests are known from above
  cat -- $send
fi

# --- the table, and what keepalived thinks of its real servers when the table is not as expected ----------
if [ "$state" = differs ]; then
  saved=$(ipvsadm -Sn) || state=failed
fi
if [ -n "$state" ]; then
  section table "$state"
fi
if [ "$state" = differs ]; then
  printf "%s\n" "$saved"
  checker=
  for file in /run/keepalived/checkers.pid /run/checkers.pid /var/run/keepalived/checkers.pid \
    /var/run/checkers.pid; do
    if running "$file" ""; then
      case $comm in
        keepalived* | *lvs* | *check*)
          checker=$pid
          break
          ;;
      esac
    fi
  done
  # SIGUSR1 makes the checker process write its state (since 2.0.14; an older one would die of it: so it
  # has to be among the signals it blocks, as signalfd needs, ignores or catches: bit 9 of the masks).
  expects=
  if [ -n "$checker" ]; then
    while read -r line; do
      case $line in
        SigBlk:*[2367abef]?? | SigIgn:*[2367abef]?? | SigCgt:*[2367abef]??) expects=yes ;;
      esac
    done <"/proc/$checker/status"
  fi
  if [ -n "$expects" ]; then
    # its own /tmp: a unit with PrivateTmp= has another one than this shell
    dump=/proc/$checker/root/tmp/keepalived_check.data
    if [ -e "$dump" ] || [ -L "$dump" ]; then rm -f "$dump"; fi
    kill -USR1 "$checker"
    tries=0
    text=
    while [ "$tries" -lt 20 ]; do
      sleep 0.1 || {
        sleep 1
        tries=$((tries + 9))
      }
      tries=$((tries + 1))
      # a file of this very user's making: /tmp is everybody's. dash, bash and busybox all know -O.
      # shellcheck disable=SC3067
      if [ -f "$dump" ] && [ ! -L "$dump" ] && [ -O "$dump" ]; then
        before=$text
        text=$(cat "$dump")
        case $text in
          *"------< Health checkers >------"*) break ;; # what follows the virtual servers
        esac
        # without any health check nothing follows: then it is complete when it grows no more
        if [ -n "$text" ] && [ "$text" = "$before" ]; then break; fi
      fi
    done
    rm -f "$dump"
    section checkers
    for line in $text; do
      case $line in
        "------< Health checkers >------") break ;;
        *"------<"* | " VS "* | "   RIP = "* | *" alive = "* | "   protocol = "* | *"quorum_state_up"* | \
          " Virtual Server Group = "* | "   VIP "* | "   Address family = "* | *"sorry server"* | \
          *"ffective weight = "*) printf "%s\n" "$line" ;;
      esac
    done
  fi
fi
case $state,$counters in
  differs,* | same,yes)
    section counters
    ipvsadm -Ln --thresholds
    ;;
esac
section end
