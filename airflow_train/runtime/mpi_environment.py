"""Environment variables on their way through mpirun.

mpirun takes orders from its environment. Under a batch system's variables it would start ranks on other hosts; those of
an mpirun around whoever submitted would make it believe that it is one of that one's ranks. Batch variables reach the
script by other names; the rest has no meaning for it.
"""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping

#: By these names mpirun doesn't know them, and scripts never see them (`protocol.WITHHELD_PREFIXES`).
_ASIDE = "AIRFLOW_TRAIN_ASIDE_"
#: What makes Open MPI believe that a batch system has given it hosts.
_BATCH = ("SLURM_", "PBS_", "LSB_", "LSF_", "SGE_", "PE_HOSTFILE", "FLUX_", "PALS_")
#: Parts of Open MPI that choose hosts, start daemons or tell a rank where it belongs.
_LAUNCHING = ("orte", "prte", "ess", "plm", "ras", "rmaps", "odls", "pmix", "num_procs", "initial_wdir")
#: The largest number of an interface that PRRTE 3 finds by name: it keeps them in 16 bits (seen with 5.0.7).
_MOST = 0x7FFF
_OUTER = (
    *(
        "OMPI_" + part
        for part in ("APP_CTX", "ARGV", "COMM", "FILE_", "FIRST_", "NUM_", "UNIVERSE_", "WORLD_")
    ),
    *(
        "PMIX_" + part
        for part in ("BFROP_", "DSTORE_", "GDS_", "HOSTNAME", "ID", "NAMESPACE", "RANK", "SECURITY_")
    ),
    *("PMIX_" + part for part in ("SERVER_", "SYSTEM_", "VERSION")),
    *("OMPI_MCA_" + part for part in _LAUNCHING),
    *("PRTE_MCA_", "PRTE_LAUNCHED", "PRTE_SHARED_FS"),
)


def for_mpirun(environment: Mapping[str, str]) -> Dict[str, str]:
    """What mpirun shall see."""
    kept = {"HOME": os.path.expanduser("~")}  # Open MPI 5 doesn't start without
    for name, value in environment.items():
        if not name.startswith(_OUTER):
            kept[_ASIDE + name if name.startswith(_BATCH) else name] = value
    return kept


def daemons(interface: str) -> Dict[str, str]:
    """What makes mpirun and its daemons meet on that network interface of this node.

    The daemons of Open MPI 5 take names only (`hosts.interface`), and find none whose number is too large for them, as
    on a machine that has started ten thousands of containers. There the others are excluded, as far as they find those,
    and who reaches whom isn't asked of the kernel: its answer has the number whole, theirs are the last 16 bits of it.
    """
    found = {"OMPI_MCA_oob_tcp_if_include": interface}
    if socket.if_nametoindex(interface) <= _MOST:
        return {**found, "PRTE_MCA_prte_if_include": interface}
    others = [name for _, name in socket.if_nameindex() if name != interface]
    weighted = {"PRTE_MCA_prtereachable": "weighted", "OMPI_MCA_reachable": "weighted"}
    return {**found, **weighted, "PRTE_MCA_prte_if_exclude": ",".join(others)}


def ranks(interface: str) -> Dict[str, str]:
    """The same for ranks."""
    return {"OMPI_MCA_btl_tcp_if_include": interface}


def restored(environment: Mapping[str, str]) -> Dict[str, str]:
    """What a rank shall see of it."""
    return {
        name[len(_ASIDE) :] if name.startswith(_ASIDE) else name: value for name, value in environment.items()
    }
