"""The codes of what only live hosts can tell, with their pages."""

from __future__ import annotations

from lvsdeploy.diagnostics import Severity
from lvsdeploy.inventory.registry import code

_SCRIPTS = "https://github.com/acassen/keepalived/blob/v2.2.7/lib/notify.c"
_ARP = "https://docs.kernel.org/networking/ip-sysctl.html"
_LVS_DR = "http://www.linuxvirtualserver.org/VS-DRouting.html"

NO_IPVS = code(
    "LVS502",
    Severity.ERROR,
    "The director's kernel has no IPVS.",
    why="A director is IPVS: without the module ip_vs there is nothing that could balance.",
    fix="Install the distribution's full kernel: those for clouds and containers often lack the module.",
)
NOT_ITS_ADDRESS = code(
    "LVS503",
    Severity.ERROR,
    "The host does not have the address that the inventory gives it.",
    why="Packets are forwarded from the DIP and to the RIP. If no interface has that address, either the "
    "inventory is wrong or this is another machine than the one that is meant.",
    fix="Correct the address in the inventory, or give it to the host.",
)
UNREAD = code(
    "LVS504",
    Severity.ERROR,
    "Something on the host could not be read.",
    why="What cannot be read cannot be compared, and is not overwritten blindly.",
    fix="Look at it on the host; the message says why it could not be read.",
)
NO_INSIDE_ADDRESS = code(
    "LVS505",
    Severity.ERROR,
    "A NAT director has no address of its own on the inside.",
    why="The gateway address moves with VRRP, so the BACKUP does not have it. Without an address of its own "
    "on the inside network it cannot check the real servers, its table stays empty, and a failover takes as "
    "long as the next round of checks.",
    fix="Give each director an address of its own in the gateway's network, on `nat.interface`.",
)
NO_SCHEDULER = code(
    "LVS507",
    Severity.ERROR,
    "A director's kernel lacks a scheduler that a service asks for.",
    why="keepalived says so in its log alone and goes on without the virtual service.",
    fix="Choose another scheduler, or install a kernel that has it: mh came with Linux 4.18, twos with 5.12.",
)
NO_INTERFACE = code(
    "LVS506",
    Severity.ERROR,
    "The host has no interface of the declared name.",
    why="What is set on an interface by its name is in effect nowhere when there is no such interface.",
    fix="Correct the interface's name in the inventory, or bring the interface up on the host.",
)
NOT_ONE_NETWORK = code(
    "LVS511",
    Severity.ERROR,
    "DR with a real server outside the director's networks.",
    why="DR rewrites only the frame's destination MAC, so director and real server must share one network: "
    "the RIP must lie in a subnet of one of the director's interfaces.",
    fix="Give the real server an address in the director's network, or use mode nat.",
    links=(_LVS_DR,),
)
BYPASS = code(
    "LVS512",
    Severity.WARNING,
    "NAT replies bypass the director.",
    why="In NAT the director rewrites the source of every reply back to the VIP. A reply that takes another "
    "way reaches the client with the real server's own address, and the client drops it.",
    fix="Set the default route through the gateway by hand, or declare `nat: {configure_gateway: true}`. On "
    "a real server that is in DR or TUN services, too, let a rule lead what comes from the RIP (LVS114).",
)
NOT_A_FILE = code(
    "LVS520",
    Severity.ERROR,
    "A managed path is not a regular file.",
    why="Writing through a link would change something else than this path, and a directory cannot be "
    "replaced by a file.",
    fix="Move it away and apply again.",
)
FOREIGN = code(
    "LVS521",
    Severity.ERROR,
    "A file that somebody else wrote stands where lvsdeploy would write.",
    why="lvsdeploy's record on this host does not have the file, and its content is not the declared one.",
    fix="Look at it first. `apply --adopt` takes it over and keeps a copy beside it, with the ending "
    "`.before-lvsdeploy`.",
)
NO_PACKAGES = code(
    "LVS522",
    Severity.ERROR,
    "A program is missing, and nothing can install it.",
    why="lvsdeploy installs what a director needs with apt-get, dnf, yum, zypper, apk or pacman.",
    fix="Install the program by hand and apply again.",
)
NO_RECORD = code(
    "LVS523",
    Severity.ERROR,
    "The record of lvsdeploy on the host cannot be used.",
    why="The record tells what lvsdeploy put there from what others did. Without it nothing on the host can "
    "be called ours, so nothing of it is changed or removed.",
    fix="Apply with the lvsdeploy that wrote it. Or run `apply --adopt`: it starts a new record, keeps "
    "a copy of this one beside it, and takes over what is declared.",
)
FOREIGN_TABLE = code(
    "LVS524",
    Severity.ERROR,
    "The IPVS table holds what somebody else put there.",
    why="A director's table is declared whole, so apply would change or remove these virtual services, and "
    "clients of theirs would lose their connections.",
    fix="See with `ipvsadm -Sn` whose they are. Declare them, or let `apply --adopt` make the table as "
    "declared.",
)
ANOTHER_CLUSTERS = code(
    "LVS525",
    Severity.ERROR,
    "A file belongs to another cluster of lvsdeploy.",
    why="Another inventory has put it on this host, and what one of them changes the other would undo. A "
    "machine may be a real server of several clusters, a director of one.",
    fix="Take the host out of one of the two inventories, or declare their services in one inventory.",
)
UNFINISHED = code(
    "LVS526",
    Severity.WARNING,
    "An apply broke off on this host.",
    why="Its shell was killed, or the host went down, in the middle of a change. What it had done so far is "
    "written down there.",
    fix="Apply again: it first puts back what the broken one did, then makes the host as declared.",
)
BUSY = code(
    "LVS527",
    Severity.WARNING,
    "The host is being changed at this moment.",
    why="What was read is a state in between.",
    fix="Look again when it has ended.",
)
FORMER_HOST = code(
    "LVS528",
    Severity.WARNING,
    "A host was removed from the inventory, and what lvsdeploy put there is still on it.",
    why="lvsdeploy logs in only to hosts that the inventory names. A former DR real server goes on holding "
    "the VIPs on lo.",
    fix="Clean it by its address, as the message says; that also ends this warning.",
)
DRAIN_DIFFERS = code(
    "LVS529",
    Severity.WARNING,
    "A real server is drained on one director and not on another.",
    why="A drain is remembered on each director. One was out of reach at the time, or was added since; "
    "after a failover clients would be sent to the real server again, or not.",
    fix="Run the same `lvsdeploy drain` or `undrain` again.",
)
CHECK_FAILS = code(
    "LVS530",
    Severity.WARNING,
    "A health check keeps a real server out.",
    why="keepalived took the real server out by itself; this is not drift, and apply does not put it back.",
    fix="Look at the service on the real server; it comes back when its check succeeds.",
)
CHECK_UNKNOWN = code(
    "LVS531",
    Severity.WARNING,
    "A real server is out of the table, and keepalived does not tell why.",
    why="keepalived takes a real server out when its health check fails, and somebody may have removed it by "
    "hand. keepalived tells what its checks found since 2.0.14 only, so the two cannot be told apart, and "
    "apply does not send clients to a real server that may have failed.",
    fix="Look at the service on the real server. If it is well, put it back with `ipvsadm -a`, or update "
    "keepalived.",
)
NO_WAY_BACK = code(
    "LVS532",
    Severity.ERROR,
    "The host cannot be put back to what it was then.",
    why="Each host keeps what its last ten applies left, under /var/lib/lvsdeploy/CLUSTER/history.",
    fix="See with `lvsdeploy history` how far back it goes, or apply an older version of the inventory.",
)
NO_SCRIPT = code(
    "LVS533",
    Severity.ERROR,
    "A script that keepalived is to run is not on a director.",
    why="keepalived says so in its log and goes on without it: the real servers that it checks would never "
    "be looked at, and a notify script would never run.",
    fix="Install the script on every director, under the same path.",
    links=(_SCRIPTS,),
)
SCRIPT_UNSAFE = code(
    "LVS534",
    Severity.ERROR,
    "A script that runs with root's rights can be changed by others than root.",
    why="Who may write the script, or a folder that it lies in, could have root run anything. keepalived "
    "refuses such a script (enable_script_security).",
    fix="Give the file and all folders above it to root, and take away the right to write from group and "
    "others (chown root, chmod go-w); or let another user run it.",
    links=(_SCRIPTS,),
)
SCRIPT_CLOSED = code(
    "LVS535",
    Severity.ERROR,
    "A script on a director cannot be executed by its user.",
    why="keepalived leaves it out. Only the user's own group counts, not the further ones.",
    fix="chmod +x the script, and let the user go through the folders above it; or let another user run it.",
    links=(_SCRIPTS,),
)
SCRIPT_USER = code(
    "LVS536",
    Severity.ERROR,
    "The user that is to run a script is not known on a director.",
    why="keepalived leaves the script out.",
    fix="Create the user, or name another one as `user`.",
    links=(_SCRIPTS,),
)
DUPLICATE_ADDRESS = code(
    "LVS537",
    Severity.ERROR,
    "Another machine has an IPv6 address of this host.",
    why="Duplicate address detection found it when the address was set (dadfailed), so the kernel does not "
    "use it: nobody is answered at it.",
    fix="Find the other machine (`ip -6 neigh`, or `rdisc6` and `ndisc6`), take the address from it, then "
    "remove the address here and set it again.",
    links=("https://www.rfc-editor.org/rfc/rfc4862#section-5.4",),
)
NO_IPV6_ROUTE = code(
    "LVS538",
    Severity.WARNING,
    "A director that forwards IPv6 has no IPv6 default route.",
    why="The replies of NAT services end there, for all clients outside of the director's own networks. A "
    "machine that forwards (net.ipv6.conf.all.forwarding=1) heeds router advertisements only where accept_ra "
    "is 2; with 1 the kernel has dropped the route when forwarding began.",
    fix="Set a default route, or accept_ra=2 on the interface that the router advertises on. Ignore it where "
    "all clients are in the director's networks, or its routes name them.",
    links=(_ARP,),
)
IPV6_OFF = code(
    "LVS539",
    Severity.ERROR,
    "IPv6 is switched off where a service needs it.",
    why="The kernel takes no IPv6 address on an interface whose disable_ipv6 is 1, and none at all without "
    "the module ipv6. A DR real server needs it on lo, too, where the VIP is.",
    fix="Set net.ipv6.conf.INTERFACE.disable_ipv6 to 0, live and in sysctl.d; boot without ipv6.disable=1.",
    links=(_ARP,),
)
FOREIGN_SYNC = code(
    "LVS540",
    Severity.ERROR,
    "A connection sync daemon that is not declared runs on a director.",
    why="There is one of each kind on a host: it copies connections for somebody, or takes them from "
    "somebody, and the declared one cannot run beside it.",
    fix="See with `ipvsadm -L --daemon` what it is, and stop it with `ipvsadm --stop-daemon`, declare it "
    "(`vrrp.sync_daemon`), or let `apply --adopt` make it as declared.",
    links=("https://man7.org/linux/man-pages/man8/ipvsadm.8.html",),
)
TWO_HOLDERS = code(
    "LVS541",
    Severity.ERROR,
    "A VIP is on more than one director.",
    why="Each of them believes to be the MASTER, so the network sees one address twice and clients end up "
    "with either.",
    fix="The directors do not hear each other's VRRP: let IP protocol 112 pass between them, and compare "
    "their passwords and virtual_router_id.",
    links=("https://www.rfc-editor.org/rfc/rfc3768",),
)
NO_HOLDER = code(
    "LVS542",
    Severity.ERROR,
    "A VIP is on no director.",
    why="keepalived runs on every director and none is MASTER, so no client reaches the virtual services.",
    fix="See keepalived's log on the directors: FAULT means that an interface it tracks is down.",
)
UNKNOWN_DISTRIBUTION = code(
    "LVS550",
    Severity.WARNING,
    "The host's distribution is one that lvsdeploy does not know.",
    why="Neither ID nor ID_LIKE in its /etc/os-release is among those of docs/reference/distributions.md. "
    "Names of packages, units and paths are those of the distribution with the same package manager, and may "
    "differ.",
    fix="Look at the plan: are packages and paths right? If so, go on.",
    links=("https://www.freedesktop.org/software/systemd/man/os-release.html",),
)
OLD_KEEPALIVED = code(
    "LVS551",
    Severity.ERROR,
    "A director's keepalived is too old for what is declared, or was built without it.",
    why="keepalived skips words that it does not know, and goes on with the rest: the director would do "
    "something else than what is declared.",
    fix="Install a keepalived that has it, or do without the key that the message names. "
    "docs/reference/keepalived.md has every keyword with its version; `keepalived --version` shows what one "
    "was built with.",
)
OLD_KERNEL = code(
    "LVS552",
    Severity.ERROR,
    "A director's kernel lacks what is declared.",
    why="Where a module or a sysctl shows whether the kernel has it, that is looked at. The rest goes by the "
    "kernel's version, and is a warning on distributions that take features over into older kernels.",
    fix="Install a newer kernel, or the distribution's package with its other modules, or do without the key "
    "that the message names.",
)
OLD_IPVSADM = code(
    "LVS553",
    Severity.ERROR,
    "A director's ipvsadm is too old for what is declared.",
    why="It can neither set this in the kernel nor show it, so lvsdeploy could not tell whether the table is "
    "as declared.",
    fix="Install a newer ipvsadm; every distribution's since 2020 has 1.31.",
)
NOT_LISTENING = code(
    "LVS554",
    Severity.WARNING,
    "Nothing listens on a real server where the directors send clients.",
    why="The real server answers such packets with a reset or not at all, and clients that are sent there "
    "get no service.",
    fix="Start the service on the real server, or correct the port in the inventory. If the port is served "
    "by other means than a listening socket (a redirect rule, for one), ignore this.",
)
LISTENS_ELSEWHERE = code(
    "LVS555",
    Severity.WARNING,
    "A real server's service is bound to another address than the one that packets arrive for.",
    why="In DR and TUN packets arrive for the VIP, unchanged; in NAT for the RIP. A socket that is bound to "
    "another address does not get them, while a health check of the RIP may succeed.",
    fix="Let the service listen on all addresses, or on the one that the message names.",
)
FIREWALL = code(
    "LVS556",
    Severity.WARNING,
    "A host's firewall drops what LVS needs.",
    why="Directors that do not hear each other's VRRP are MASTER both; a real server that drops tunnelled "
    "packets answers no client.",
    fix="Let the protocol in from the other directors: 112 for VRRP; 4, 41 or 47 for tunnels.",
)
OFFLOAD = code(
    "LVS557",
    Severity.WARNING,
    "A director's interface joins received packets in hardware.",
    why="What large receive offload has joined is larger than the network takes, and in DR and TUN the "
    "director sends it on as it is: such connections stall on some drivers, small ones work.",
    fix="Switch it off, at boot too: `ethtool -K INTERFACE lro off` (or rx-gro-hw off).",
)
OTHER_OWNER = code(
    "LVS558",
    Severity.WARNING,
    "Another machine than a director answers for a VIP.",
    why="A host of the cluster has asked the network who has the VIP, and the answer was no director's MAC "
    "address: clients in that network may go there, too.",
    fix="Find the machine by its MAC address. A real server that answers does not hide the VIP from ARP: it "
    "may hold it on another interface than lo, or lack arp_ignore=1.",
    links=(_ARP,),
)
NOT_SAVED = code(
    "LVS598",
    Severity.ERROR,
    "Nothing would restore a director's IPVS table at boot.",
    why="With the engine ipvsadm the table is saved where the distribution's own package restores it from. "
    "Of this distribution lvsdeploy does not know where that is.",
    fix="Use `engine: keepalived`, or a distribution of the page about distributions.",
)
TOO_LARGE = code(
    "LVS543",
    Severity.WARNING,
    "A client's full packet does not fit the tunnel to a real server.",
    why="The director wraps each packet in another one, which has to fit the interface that it leaves by. "
    "The client is told by ICMP to send smaller ones; where such messages are filtered, small requests are "
    "answered and large ones hang.",
    fix="Let the real servers ask for smaller segments with `tunnel: {clamp_mss: true}`, or raise the MTU on "
    "the whole way from the directors to the real servers.",
    links=("https://www.rfc-editor.org/rfc/rfc2923",),
)
NO_TUNNEL = code(
    "LVS544",
    Severity.ERROR,
    "A real server's kernel cannot unwrap what the director sends.",
    why="Each kind of tunnel is a module of its own: ipip, ip_gre, sit, ip6_tunnel, ip6_gre, fou for GUE.",
    fix="Install the distribution's full kernel: those for clouds and containers often lack the modules.",
)
BACK_THROUGH_DIRECTOR = code(
    "LVS545",
    Severity.WARNING,
    "The replies of a real server in mode dr or tun go to a director, which drops them.",
    why="In DR and TUN the real server answers the client itself, with the VIP as the source. The director "
    "holds the VIP: a packet that comes in with its own address as the source is dropped (martian source). "
    "Clients in the real server's own networks are answered all the same.",
    fix="Lead the real server's default route through a router that is no director. If it serves in mode "
    "nat, too, let a rule lead what comes from its RIP through the directors' gateway (LVS114).",
)
UNMANAGED_DOWN = code(
    "LVS546",
    Severity.WARNING,
    "A real server that is not managed does not serve, as far as the directors see.",
    why="lvsdeploy never logs in to it, and goes by the directors: a health check keeps it out of the table "
    "or at weight 0, or nobody has answered where a director asked its network for the address.",
    fix="Look at the machine: does it run, does the service listen, has it what its mode needs "
    "(`lvsdeploy render --host NAME` shows that)? It comes back when its health check succeeds.",
)
