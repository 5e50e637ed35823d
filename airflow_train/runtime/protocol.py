"""The wire between whoever submits a run and the runtime beside the script: every name, every shape.

This is the only file of the runtime that the rest of the package imports, and it imports nothing of ours. All files
lie in the folder of the run and are JSON objects; apart from `heartbeat` and the logs they are created exclusively
and never change. Times are UTC, ISO 8601, milliseconds and Z; durations are seconds; sizes are bytes.

    node_0/launch.json   {"protocol", "run_id", "run_folder", "work_folder", "snapshot": {"manifest", "blobs"} or
                         {"folder"}, "script_path", "command", "environment", "secrets", "ports", "grace_seconds",
                         "max_run_duration_seconds", "no_progress_timeout", "stacks_folder", "limits",
                         "checkpoints", "memory_bytes", "mpirun", "outbox", "inside", "retry", "meeting", "build",
                         "programs",
                         "ranks": [{"rank", "node", "serves", "environment"}]}:
                         what the supervisor has to do. `secrets` are names, no file has their values; `limits` are
                         seconds per phase; `memory_bytes` is the limit of every node; `mpirun` is {"program",
                         "arguments": {major version of Open MPI: [argument, …]}}, which starts the stand-ins, or
                         null when the supervisor does; `meeting` is null, or, where this node is one of several that
                         have supervisors of their own, {"node", "nodes", "host", "port", "certificates", "world",
                         "ports"}: its number, how many there are, where node 0 is to be found, the folder of
                         `CERTIFICATE_FILES`, which are removed when read, [{"rank", "node", "serves"}] of all nodes
                         (`ranks` are this node's own), and on which node each of the ports has to be free; `outbox` is
                         the folder of segments (`channel.py`) in a container that can't write to the run store, else
                         null; `inside` is the folder of a container's own affairs, else null; `retry` is null or
                         {"times", "terminal_exit_codes"}: a script that fails is started again by its wrapper;
                         `checkpoints` are copied for the script to read: [{"source", "target"}];
                         `build` is null, or an environment that the ranks need: {"interpreter", "lock", "ready",
                         "reason", "command", "key", "recipe", "place", "python", "store"}: `lock` is held as long as it
                         is used; unless it is `ready` and there, `command` builds it and leaves `built.json`;
                         `programs` is the folder that comes first on the ranks' PATH, or null
    node_0/built.json    {"at", "error", "reason", "mpirun"}: what became of building; `error` is half a sentence,
                         `reason` the verdict's, `mpirun` as in the launch file
    node_0/claim.json    identity of the supervisor and "at"; who creates it may start the ranks, once. Somebody who
                         gives up a run that never began takes it too, and adds "by": `LOOKER`
    node_0/heartbeat     {"at", "beat"}, rewritten every `HEARTBEAT_SECONDS`
    node_0/stop.json     {"at", "reason", "rank"?, "phase"?, "detail"?}: why the supervisor, or whoever found it
                         hanging, ended ranks before their time
    node_0/memory.json   {"at", "folder", "version", "limit_bytes"}: the control groups that hold the memory limit
    node_0/report.json   {"at", "started", "outputs", "conflicts", "left", "error", "by", "memory", "reason"?,
                         "beside"?}: all is collected; `beside` is {name of `conflicts`: node}, for those of other
                         nodes; `memory` is null without a limit, else {"limit_bytes", "peak_bytes": {node: bytes}},
                         the latter empty where it could not be held; `reason` is the verdict's where nothing could be
                         started
    node_0/container.json
                         {"at", "container", "exit_code", "out_of_memory", "memory_bytes", "error"}: how the node's
                         container ended, as its engine says
    ranks/N/start.json   {"at", "rank", "node", "wrapper": identity, "script": identity of the first try}
    ranks/N/exit.json    {"rank", "node", "code", "signal", "could_not_start", "stopped_by", "started", "ended",
                         "max_rss_bytes", "cpu_seconds", "ended_leftovers", "retries", "lost_output_bytes",
                         "last_lines", "exception", "memory"}; `memory` is null where no limit holds, else
                         {"limit_bytes", "peak_bytes", "oom_kills", "at_limit"}: of all processes of the rank, those
                         killed of its last try; did its node meet the limit? Where ranks share a container's
                         limit, "node_oom_kills" counts what may have been another rank's
    registrations/*.json {"at", "run_id", "model_name", "model_path", "tags", …}: the script wants a model registered
    children/0001/child.json
                         {"at", "id", "name", "tags"}: a child run of the script; metrics.jsonl beside it
    cancel.json          {"at", "by", "reason"}: somebody wants the run to stop
    events/0001.json     {"at", "status", "phase", "reason", "by"}: what the run waits for, one of `PHASES`; the same
                         phase again says how far it has come. Written by whoever knows: submitter, supervisor, target
"""

from __future__ import annotations

import os
import time

PROTOCOL = 1

HEARTBEAT_SECONDS = 5.0
#: A supervisor on another machine counts as gone when its heartbeat is older than this.
LEASE_SECONDS = 30.0
#: What a run waits for → the status that people see meanwhile, in the order of a run's life.
PHASES = {
    "start": "Starting",
    "queue": "Queued",
    "schedule": "Queued",
    "pull": "Preparing",
    "build": "Preparing",
    "stage": "Preparing",
    "meet": "Preparing",
    "run": "Running",
    "collect": "Finalizing",
}
#: Phases whose longest duration is an option, `<phase>_limit`; that of `run` is the definition's.
LIMITED = ("start", "build", "stage", "meet", "collect")
#: Lines of output that an exit record keeps.
LAST_LINES = 20

# Environment of the script. `runtime/script/train_run.py` reads the same names.
RUN_ID = "AIRFLOW_TRAIN_RUN_ID"
EXPERIMENT = "AIRFLOW_TRAIN_EXPERIMENT"
METRICS = "AIRFLOW_TRAIN_METRICS"
FILES = "AIRFLOW_TRAIN_FILES"
TAGS = "AIRFLOW_TRAIN_TAGS"
RANK = "AIRFLOW_TRAIN_RANK"
CANCEL = "AIRFLOW_TRAIN_CANCEL"
#: Names of the variables whose values are secrets, separated by commas.
SECRETS = "AIRFLOW_TRAIN_SECRETS"
#: Folder with a copy of the outputs of the attempt before.
PREVIOUS_OUTPUTS = "AIRFLOW_TRAIN_PREVIOUS_OUTPUTS"
#: Azure ML's name for the copy of what `resume_from` names.
RESUME = "AZUREML_DATAREFERENCE_MODEL_LOCATION"
#: `<signal>:<folder>`: which signal makes a Python of this rank write its stacks, and where to.
STACKS = "AIRFLOW_TRAIN_STACKS"
#: Set where `script/train_mpi.py` watches over every Python of a rank, as it doesn't start the script itself.
WATCHED = "AIRFLOW_TRAIN_WATCHED"
# … and `runtime/script/azureml_run/` these too.
PROPERTIES = "AIRFLOW_TRAIN_PROPERTIES"
MODELS = "AIRFLOW_TRAIN_MODELS"

#: Variables of the submitting process with these prefixes never reach a script: they hold Airflow's own secrets.
WITHHELD_PREFIXES = (
    "AIRFLOW__",
    "AIRFLOW_CONN_",
    "AIRFLOW_VAR_",
    "AIRFLOW_TRAIN_",
    "_AIRFLOW_",
    "__AIRFLOW_",
)

# Names below the folder of a run.
LAUNCH_FILE = "launch.json"
BUILT_FILE = "built.json"
CLAIM_FILE = "claim.json"
HEARTBEAT_FILE = "heartbeat"
STOP_FILE = "stop.json"
REPORT_FILE = "report.json"
MEMORY_FILE = "memory.json"
WORK_FOLDER = "work"
STACKS_FOLDER = "stacks"
CHECKPOINTS_FOLDER = "checkpoints"
CHILDREN_FOLDER = "children"
CANCEL_FILE = "cancel.json"
VERDICT_FILE = "verdict.json"
EVENTS_FOLDER = "events"
FILES_FOLDER = "files"
#: In `inside`: secrets on their way into a container, until it starts.
HANDED_FILE = "handed"
#: What the last words of a container begin with that hold all its run has left (`parcel.py`).
PARCEL = b"airflow-train-parcel"
#: In an outbox: number of the last segment that somebody has taken home.
ACK_FILE = "ack"
OUTPUTS_FOLDER = "outputs"
LOGS_FOLDER = "logs"

#: Prefix of files that are being written; no listing shows them.
TEMPORARY = ".airflow-train-tmp-"

#: A real-time signal that neither the C library nor frameworks use; Linux has 34 to 64.
STACKS_SIGNAL = 50

#: Names of system metrics by node; a processor that is fully busy is 100 percent.
CPU_METRIC = "system/cpu_percent/node%d"
MEMORY_METRIC = "system/memory_bytes/node%d"

# Reasons in stop.json.
STOP_CANCEL = "cancel"
STOP_TIME_LIMIT = "time_limit"
STOP_RANK_FAILED = "rank_failed"
#: A phase took longer than it may; `phase` names it, `detail` says how far it had come.
STOP_PHASE_LIMIT = "phase_limit"
STOP_JUDGED = "judged"
#: Nothing came from any rank for longer than it may; `rank` is the odd one, `detail` says what it was doing.
STOP_NO_PROGRESS = "no_progress"
#: Not all ranks could be started, or mpirun ended while they were running; `detail` says how.
STOP_LAUNCHER = "launcher"
#: Whoever rules the container told it to stop.
STOP_OUTSIDE = "outside"
#: A node's supervisor or machine is gone or can't be reached; `node` names it, `detail` says how it was noticed.
STOP_NODE_LOST = "node_lost"

#: What frameworks say in a rank that has lost another one; cases don't matter.
LOST_PEER = (
    r"connection (was )?(closed|reset|aborted|refused)|broken pipe|socket closed|got 0 bytes|remote process exited|"
    r"HorovodInternalError|ncclRemoteError|UnavailableError"
)

# `stopped_by` of an exit record; None: the rank ended by its own doing or by a signal from outside.
BY_SUPERVISOR = "supervisor"
SUPERVISOR_LOST = "supervisor_lost"
BY_LAUNCHER = "launcher"
WRAPPER_KILLED = "wrapper_killed"
#: An error class of MPI, of which Open MPI 5 makes the exit code of a rank that has lost another.
MPI_ERR_UNKNOWN = 14
#: `by` of a report: the run's own supervisor …
SUPERVISOR = "supervisor"
#: … or whoever looked after its death.
SUCCESSOR = "successor"
#: A rank that serves the others (a parameter server) was sent home when they were done: that is success.
SERVED = "served"

#: In an environment value or argument of a launch: replaced by the Nth free TCP port of the node.
PORT_PLACEHOLDER = "@PORT%d@"
#: The same for the address of node N.
ADDRESS_PLACEHOLDER = "@ADDRESS%d@"
#: The same for the network interface by which this node is connected to the others.
INTERFACE_PLACEHOLDER = "@INTERFACE@"
#: In the command line of mpirun: replaced by the folder of what lives as long as mpirun does, …
SESSION_PLACEHOLDER = "@SESSION@"
#: … and by what starts the agent (`agents.py`).
AGENT_PLACEHOLDER = "@AGENT@"
#: Below the session folder: addresses of the nodes and their slots, for mpirun.
HOST_FILE = "hosts"
#: Beside it: what mpirun starts for every rank, a script for `/bin/sh`.
STAND_IN_FILE = "rank.sh"
#: In the folder of modules for scripts: the packages for them.
PACKAGES_FILE = "packages.zip"

#: What a node shows to the others: the run's authority, its own certificate, and the key to that.
CERTIFICATE_FILES = ("authority.pem", "certificate.pem", "key.pem")
#: Of folders of these, where several submitters may have left some, that of whoever created the containers begins so.
FIRST_KEYS = "first-"
#: Beside such folders: the name of the one that counts, where it is another's.
CHOSEN_FILE = "chosen"
#: Where node 0 waits for the others, unless its launch file says otherwise.
MEETING_PORT = 6174


#: `by` of a claim, or of an event, of somebody who only looks at a run.
LOOKER = "looker"

#: Digits of the length before what `packed` makes, hexadecimal.
LENGTH_DIGITS = 8


def packed(secrets: dict[str, str], inherited: dict[str, str]) -> bytes:
    """Secrets as they go to a supervisor's standard input, whole or not at all (`runtime/handed.py`).

    :param inherited: variables of the submitter that show a secret, so that only ranks may have them.
    """
    import json

    body = json.dumps({"secrets": secrets, "inherited": inherited}).encode("ascii")
    return b"%0*x" % (LENGTH_DIGITS, len(body)) + body


def segment(number: int) -> str:
    """Name of a segment in an outbox."""
    return "%08d" % number


def certificate_name(node: int) -> str:
    """Common name in the certificate of a node."""
    return "node %d" % node


def node_folder(node: int) -> str:
    """Folder of a node below the folder of the run."""
    return "node_%d" % node


def rank_folder(rank: int) -> str:
    """Folder of a rank's records below the folder of the run."""
    return "ranks/%d" % rank


def rank_log(rank: int) -> str:
    """Output of a rank, below the folder of the run; each line is `<time> <text>`."""
    return "%s/user_logs/std_log_process_%d.txt" % (FILES_FOLDER, rank)


def node_log(node: int) -> str:
    """The supervisor's own words, below the folder of the run."""
    return "%s/system_logs/node_%d.txt" % (FILES_FOLDER, node)


#: What a builder of the run's environment says, below the folder of the run; lines as in a rank's log.
BUILD_LOG = FILES_FOLDER + "/system_logs/build.log"


def metrics_file(rank: int) -> str:
    """Metrics and tags that a rank logged, below the folder of the run."""
    return "metrics/rank_%d.jsonl" % rank


def size(count: int) -> str:
    """Bytes as their author most likely wrote them: `512 MiB`, `2 GB`; what is neither, to a tenth of a MiB."""
    for base, units in ((1024, ("TiB", "GiB", "MiB", "KiB")), (1000, ("TB", "GB", "MB", "kB"))):
        for power, unit in zip((4, 3, 2, 1), units):
            whole, rest = divmod(count, base**power)
            if 0 < whole < 10_000 and not rest:
                return "%d %s" % (whole, unit)
    return "%.1f MiB" % (count / (1 << 20))


def system_metrics_file(node: int) -> str:
    """What a node used, as its supervisor saw it, below the folder of the run."""
    return "system_metrics/node_%d.jsonl" % node


def timestamp(seconds: float | None = None) -> str:
    """A time as `2026-11-21T05:00:00.031Z`; now when `seconds` since the epoch aren't given."""
    if seconds is None:
        seconds = time.time()
    whole = int(seconds)
    return "%s.%03dZ" % (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)),
        int((seconds - whole) * 1000),
    )


def seconds_of(stamp: str) -> float:
    """Seconds since the epoch of a `timestamp`.

    :raises ValueError: it isn't one.
    """
    parts = stamp[:19].replace("T", "-").replace(":", "-").split("-")
    year, month, day, hour, minute, second = map(int, parts)
    year, month = (
        (year, month - 3) if month > 2 else (year - 1, month + 9)
    )  # leap days come last in years from March
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469
    # `strptime` loads what takes ten milliseconds, in every supervisor
    return days * 86400 + hour * 3600 + minute * 60 + second + float("0" + stamp[19:-1])


def host_facts() -> dict[str, str]:
    """Where this process runs: host name, boot id, pid namespace. Empty strings where the system has no such thing."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = namespace = ""
    return {"host": os.uname().nodename, "boot": boot, "namespace": namespace}


def start_time(pid: int) -> str | None:
    """When a process of this machine started, in the kernel's own words; None when there is none (or only a zombie).

    Two processes that share a pid never share this. Linux counts clock ticks since boot in field 22 of
    /proc/PID/stat; elsewhere `ps` knows the second.
    """
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except FileNotFoundError:
        return None if os.path.isdir("/proc/self") else _start_time_by_ps(pid)
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X", b"x") else fields[19].decode()


def _start_time_by_ps(pid: int) -> str | None:
    import subprocess

    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    state, _, started = done.stdout.decode().strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def identity(pid: int | None = None) -> dict[str, str | int]:
    """What tells a process from all others: host name, boot id, pid namespace, pid and start time."""
    pid = os.getpid() if pid is None else pid
    facts: dict[str, str | int] = {**host_facts()}
    facts["pid"] = pid
    facts["start_time"] = start_time(pid) or ""
    return facts


def alive(who: dict[str, str | int]) -> bool | None:
    """Does the process of this identity live? None when it isn't ours to see (another host, boot or container)."""
    here = host_facts()
    if who.get("host") != here["host"] or who.get("namespace") != here["namespace"]:
        return None
    if who.get("boot") != here["boot"]:
        return False
    pid = int(who["pid"])
    started = start_time(pid)
    if started is None and _hidden(pid):
        return None
    return started == (who.get("start_time") or "")


def _hidden(pid: int) -> bool:
    """Does a process of another user live under that pid, where /proc shows only one's own (hidepid)?"""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False
