"""Where things stand on a host, and what they are called there."""

from __future__ import annotations

from lvsdeploy.state.facts import ServiceManager

KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"
KEEPALIVED_UNIT = "keepalived"


def sysctl_path(cluster: str) -> str:
    return f"/etc/sysctl.d/90-lvsdeploy-{cluster}.conf"


def modules_path(cluster: str) -> str:
    """Kernel modules to load at boot; systemd, OpenRC and Debian's kmod do it before sysctls are set."""
    return f"/etc/modules-load.d/lvsdeploy-{cluster}.conf"


def script_path(cluster: str) -> str:
    """The script that makes a machine a real server."""
    return f"/etc/lvsdeploy/{cluster}/real-server"


def director_script_path(cluster: str) -> str:
    """The script that does on a director what keepalived does not."""
    return f"/etc/lvsdeploy/{cluster}/director"


def rules_path(cluster: str, kind: str) -> str:
    """Netfilter rules to load at boot; `kind`: nft, or v4 and v6 for iptables and ip6tables."""
    return f"/etc/lvsdeploy/{cluster}/firewall.{kind}"


def drop_in_path(cluster: str, unit: str) -> str:
    """What lvsdeploy sets otherwise in a systemd unit of the distribution."""
    return f"/etc/systemd/system/{unit}.service.d/lvsdeploy-{cluster}.conf"


def unit_name(cluster: str) -> str:
    """The service that runs those scripts at boot."""
    return f"lvsdeploy-{cluster}"


def unit_path(cluster: str, manager: ServiceManager) -> str:
    if manager is ServiceManager.SYSTEMD:
        return f"/etc/systemd/system/{unit_name(cluster)}.service"
    return f"/etc/init.d/{unit_name(cluster)}"
