"""The netfilter rules do what they say: by packets, with each program, on this machine's own kernel.

It may have no IPVS. So a destination NAT stands in for it: the connection tracking sees the same of either.
"""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from lvsdeploy.desired.director_script import director_script
from lvsdeploy.desired.firewall import loaded_rules
from lvsdeploy.desired.templates import Templates
from lvsdeploy.inventory.model import Protocol
from lvsdeploy.state.netfilter import ClampMss, Firewall, Mark, Masquerade
from tests.desired import namespace
from tests.state.test_netfilter import needs_iptables, needs_nft

if TYPE_CHECKING:
    from pathlib import Path

VIP, VIP6 = ip_address("192.0.2.51"), ip_address("2001:db8::51")
RULES = (
    Mark(VIP, Protocol.TCP, ((80, 80), (8000, 8010)), 7),
    Mark(VIP, Protocol.UDP, (), 7),
    Mark(VIP6, Protocol.TCP, ((80, 80),), 8),
    Masquerade(VIP, ip_network("10.2.0.0/24")),
    Masquerade(VIP6, ip_network("2001:db8:2::/64")),
    ClampMss(VIP, 1111),
    ClampMss(VIP6, 1222),
)
# A director, and on its inside network a real server and a client, which has an address of elsewhere, too.
NETWORK = r"""
set -e
mount -t tmpfs run /run
ip link add br0 type bridge
ip link set br0 up
ip link set lo up
for name in client server; do
    ip netns add $name
    ip link add $name type veth peer name eth0 netns $name
    ip link set $name master br0 up
    ip -n $name link set lo up
    ip -n $name link set eth0 up
done
ip address add 10.2.0.1/24 dev br0
ip address add 192.0.2.51/32 dev br0
ip address add 2001:db8:2::1/64 dev br0 nodad
ip address add 2001:db8::51/128 dev br0 nodad
ip route add 203.0.113.9 dev br0
ip -n client address add 10.2.0.99/24 dev eth0
ip -n client address add 203.0.113.9/32 dev eth0
ip -n client address add 2001:db8:2::99/64 dev eth0 nodad
ip -n server address add 10.2.0.21/24 dev eth0
ip -n server address add 2001:db8:2::21/64 dev eth0 nodad
for name in client server; do
    ip -n $name route add default via 10.2.0.1
    ip -n $name route add default via 2001:db8:2::1
done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
for name in all br0; do echo 0 >/proc/sys/net/ipv4/conf/$name/send_redirects; done
cat >/run/server.py <<'END'
import socket, sys
listening = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    connection, client = listening.accept()
    connection.sendall(client[0].removeprefix("::ffff:").encode() + b"\n")
    connection.close()
END
cat >/run/ask.py <<'END'
import socket, sys
source, address, port, about = sys.argv[1:]
try:
    connection = socket.create_connection((address, int(port)), 2, (source, 0))
    answer = connection.recv(99).decode().strip()
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) if about == "mss" else answer)
except OSError as error:
    print(type(error).__name__)
END
ip netns exec server python3 /run/server.py 8080 >/dev/null 2>&1 &
python3 /run/server.py 81 >/dev/null 2>&1 &
ask() { ip netns exec client python3 /run/ask.py "$@"; }
nft -f - <<'END'
table inet stand-in {
    chain ipvs {
        type nat hook prerouting priority -100;
        meta mark 7 ip daddr 192.0.2.51 tcp dport 0-65535 dnat ip to 10.2.0.21:8080
        meta mark 8 ip6 daddr 2001:db8::51 tcp dport 0-65535 dnat ip6 to [2001:db8:2::21]:8080
    }
    chain marked {
        type filter hook prerouting priority 0;
        meta mark 7 udp dport 53 counter
    }
}
END
until ask 10.2.0.99 10.2.0.21 8080 - | grep -q 99; do sleep 0.1; done
until ask 10.2.0.99 10.2.0.1 81 - | grep -q 99; do sleep 0.1; done
"""
QUESTIONS = r"""
ask 10.2.0.99 192.0.2.51 80 -
ask 10.2.0.99 192.0.2.51 8010 -
ask 10.2.0.99 192.0.2.51 8011 -
ask 203.0.113.9 192.0.2.51 80 -
ask 2001:db8:2::99 2001:db8::51 80 -
ask 10.2.0.99 192.0.2.51 81 mss
ask 2001:db8:2::99 2001:db8::51 81 mss
ask 10.2.0.99 10.2.0.1 81 mss
ip netns exec client python3 -c 'import socket
socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.51", 53))'
nft list chain inet stand-in marked | grep -c 'packets 1 ' || true
"""
# Those beside the real server are rewritten, the other one is not; what is not marked is refused. Of a
# segment the kernel counts 12 bytes for timestamps.
ANSWERS = """
10.2.0.1
10.2.0.1
ConnectionRefusedError
203.0.113.9
2001:db8:2::1
1099
1210
1448
1
"""
WITHOUT = """
ConnectionRefusedError
ConnectionRefusedError
ConnectionRefusedError
ConnectionRefusedError
ConnectionRefusedError
1448
1428
1448
0
"""


@needs_nft
@needs_iptables
@namespace.needs("python3")
@pytest.mark.parametrize("program", [Firewall.NFT, Firewall.IPTABLES, "legacy"])
def test_packets_are_marked_masqueraded_and_clamped(program: str, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("iptables", "ip6tables"):
        for ending in ("", "-save", "-restore"):
            variant = "legacy" if program == "legacy" else "nft"
            (tools / f"{name}{ending}").symlink_to(str(shutil.which(f"{name}-{variant}{ending}")))
    rules = loaded_rules("shop", Firewall.NFT if program == Firewall.NFT else Firewall.IPTABLES, RULES)
    assert rules is not None
    text = director_script(Templates(), "shop", rules).content.decode()
    for file in rules.files:
        beside = tmp_path / file.path.rpartition("/")[2]
        beside.write_bytes(file.content)
        text = text.replace(file.path, str(beside))
    text = text.replace("PATH=/usr/sbin", f"PATH={tools}:/usr/sbin")
    (tmp_path / "director").write_text(text)
    script = f"{NETWORK}{QUESTIONS}echo --\nsh {tmp_path}/director start\n{QUESTIONS}"
    done = subprocess.run(
        ["unshare", "-n", "-m", "-p", "-f", "--kill-child", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    before, _, after = done.stdout.partition("--\n")
    assert done.stderr == ""
    assert before.split() == WITHOUT.split()
    assert after.split() == ANSWERS.split()
