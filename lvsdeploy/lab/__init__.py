"""A cluster of machines on this machine, with real IPVS, ARP, VRRP, sshd and init.

`topology` says what there is; `Lab` runs it. Directors get a kernel with IPVS (this machine's own,
or User-Mode Linux); every other machine is a set of namespaces on this machine's kernel.
"""

from lvsdeploy.lab.errors import CommandFailed, LabError, LabTimeout
from lvsdeploy.lab.lab import Lab
from lvsdeploy.lab.remote import Background, Completed
from lvsdeploy.lab.requirements import has_ipvs_kernel
from lvsdeploy.lab.topology import Init, Machine, Network, Nic, Route, Topology

__all__ = [
    "Background",
    "CommandFailed",
    "Completed",
    "Init",
    "Lab",
    "LabError",
    "LabTimeout",
    "Machine",
    "Network",
    "Nic",
    "Route",
    "Topology",
    "has_ipvs_kernel",
]
