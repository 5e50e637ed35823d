"""What a run is made of on an engine: a container and a volume per node, and a network where nodes meet. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_train.environments import image as images
from airflow_train.environments.recipe import Recipe, image_name
from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.targets import checkpoints, launch
from airflow_train.targets.docker import arguments

#: Where a node's volume is in its container. All paths are the same on every node, each of which has its own volume.
ROOT = "/airflow-train"
RUN_FOLDER = f"{ROOT}/run"
WORK_FOLDER = f"{ROOT}/node_0/work"
#: What nobody but the container has to do with.
INSIDE = f"{ROOT}/node_0"
OUTBOX = f"{INSIDE}/outbox"
#: Secrets, until the supervisor has read and removed them.
HANDED = f"{INSIDE}/{protocol.HANDED_FILE}"
#: What a node shows to the others, in a folder for each submitter that has filled the volume; and which of them counts.
KEYS = f"{INSIDE}/keys"
#: Says that a supervisor began.
CLAIM = f"{INSIDE}/{protocol.CLAIM_FILE}"
#: Code as it arrives; it becomes the working directory.
CODE = f"{ROOT}/node_0/code"
#: Files of earlier runs, for the script to read.
CHECKPOINTS = f"{ROOT}/node_0/{protocol.CHECKPOINTS_FOLDER}"
RUNTIME = f"{ROOT}/runtime/runtime.pyz"
SCRIPT = f"{ROOT}/runtime/script"

LABEL = "airflow-train"
RUN_LABEL = "airflow-train.run"
NODE_LABEL = "airflow-train.node"
OWNER_LABEL = "airflow-train.owner"
STORE_LABEL = "airflow-train.store"
#: Seconds between the end of the grace and the engine's own KILL.
MARGIN = 10.0


@dataclass(frozen=True)
class Shared:
    """A run's folder in a run store that the engine's machine sees, too."""

    #: Its path there.
    folder: str
    #: Who owns the store, as `docker run --user` takes it.
    user: str


@dataclass(frozen=True)
class DockerPlan:
    """A node's container, its volume, and what lies in it when it starts; node 0's has the other nodes' plans.

    Names and labels are the run's.
    """

    #: Name of the container.
    container: str
    #: As the engine's API takes it.
    configuration: Mapping[str, Any]
    platform: str | None
    volume: str
    labels: Mapping[str, str]
    #: What is put into the volume, in that order.
    contents: tuple[str, ...]
    launch: Mapping[str, Any]
    #: What of it comes from earlier runs: `source` is a name in the run store or a path of whoever submits, `target`
    #: a path in the container.
    earlier: tuple[Mapping[str, str], ...] = ()
    #: What the image is built of, where it is built; see `environments/image.py`.
    environment: Mapping[str, Any] | None = None
    node: int = 0
    #: Name of the network that is made for the run; empty where its only node needs none, or another one is named.
    network: str = ""
    others: tuple[DockerPlan, ...] = ()

    @property
    def nodes(self) -> tuple[DockerPlan, ...]:
        """The plan of every node."""
        return (self, *self.others)

    @property
    def shared(self) -> bool:
        """Does the node write into the run store itself?"""
        return not self.launch["outbox"]

    @property
    def image(self) -> str:
        """Name of the image."""
        return str(self.configuration["Image"])

    @property
    def python(self) -> str:
        """The image's interpreter that runs the supervisor."""
        return str(self.configuration["Entrypoint"][0])

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def container_name(run_id: str, node: int = 0) -> str:
    """Name of a node's container."""
    return f"airflow-train-{run_id}-node{node}"


def volume_name(run_id: str, node: int = 0) -> str:
    """Name of a node's volume."""
    return f"airflow-train-{run_id}" + (f"-node{node}" if node else "")


def network_name(run_id: str) -> str:
    """Name of the run's network."""
    return f"airflow-train-{run_id}"


def host_name(run_id: str) -> str:
    """Name of node 0 in the run's network: a container's own may be longer than a host's can (63 characters)."""
    return f"node0-{hashlib.sha256(run_id.encode()).hexdigest()[:16]}"


def places(
    python: str, interpreter: str, shared: Shared | None = None, meeting: launch.Meeting | None = None
) -> launch.Places:
    """Where things lie in the container."""
    return launch.Places(
        run_folder=RUN_FOLDER,
        snapshot={"folder": CODE},
        runtime=RUNTIME,
        script=SCRIPT,
        python=python,
        interpreter=interpreter,
        work=WORK_FOLDER,
        outbox="" if shared else OUTBOX,
        inside=INSIDE,
        meeting=meeting,
    )


def build(
    spec: RunSpec,
    options: Mapping[str, Any],
    wanted: arguments.Wanted,
    store: str,
    python: str = "python3",
    recipe: Recipe | None = None,
    shared: Shared | None = None,
) -> DockerPlan:
    """The plan of a run.

    :param options: the target's.
    :param wanted: what arguments of `docker run` ask for.
    :param store: identity of the run store, by which a cleanup tells its own runs from others'.
    :param python: the image's interpreter, for the runtime and for scripts that name none.
    :param recipe: what the image has to be built of.
    :param shared: where the node writes into the run store itself; its owner's user runs the container then, unless
        another is asked for.
    """
    count = spec.job["node_count"]
    first, *others = (
        _node(spec, options, wanted, store, python, recipe, shared, node if count > 1 else None)
        for node in range(count)
    )
    return replace(first, others=tuple(others))


def _node(
    spec: RunSpec,
    options: Mapping[str, Any],
    wanted: arguments.Wanted,
    store: str,
    python: str,
    recipe: Recipe | None,
    shared: Shared | None,
    number: int | None,
) -> DockerPlan:
    """The plan of one node.

    :param number: None where it is the only one.
    """
    job, node = spec.job, number or 0
    meeting = None if number is None else launch.Meeting(number, host_name(spec.run_id), KEYS)
    interpreter = job["interpreter_path"] or options.get("interpreter_path") or python
    where = places(python, interpreter, shared, meeting)
    earlier = checkpoints.handed_over(spec, CHECKPOINTS, layout.RUNS)
    made = launch.build(spec, where, earlier)
    made["checkpoints"] = []  # they come with the code
    made["environment"].update(wanted.environment)
    labels = {LABEL: "", RUN_LABEL: spec.run_id, OWNER_LABEL: _owner(spec), STORE_LABEL: store}
    volume = volume_name(spec.run_id, node)
    host = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "RestartPolicy": {"Name": "no"},
        # its own output is a parcel at most (`runtime/parcel.py`), to be readable whatever the engine's default is
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
        **_resources(job, number),
        **wanted.host,
        "Mounts": [_mount(volume, labels), *_binds(shared), *wanted.host.get("Mounts", [])],
    }
    if host.get("Privileged"):
        del host["CapDrop"], host["SecurityOpt"]
    if host.get("ReadonlyRootfs"):
        host["Tmpfs"] = {"/tmp": "", **host.get("Tmpfs", {})}  # noqa: S108 - in the container
    made["memory_bytes"] = host.get("Memory")
    configuration = {
        "Image": images.tag(recipe) if recipe else image_of(job, options),
        "Entrypoint": [*where.runtime_command(), "container", where.file()],
        "Cmd": [],
        "WorkingDir": ROOT,
        "Labels": {**labels, NODE_LABEL: str(node)},
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "StopTimeout": int(job["grace_seconds"] + MARGIN),
        **({"User": shared.user} if shared else {}),
        **wanted.container,
        "HostConfig": host,
    }
    network = ""
    if meeting is not None:
        network = "" if "NetworkMode" in host else network_name(spec.run_id)
        host.setdefault("NetworkMode", network)
        aliases = [] if node else [meeting.host]
        configuration["NetworkingConfig"] = {"EndpointsConfig": {host["NetworkMode"]: {"Aliases": aliases}}}
    platform = job["environment"].get("platform") or wanted.platform
    contents: tuple[str, ...] = (
        RUNTIME,
        SCRIPT,
        where.file(),
        f"{RUN_FOLDER}/{protocol.EVENTS_FOLDER}",
        CODE,
    )
    contents += tuple(one["target"] for one in earlier.copies)
    return DockerPlan(
        container_name(spec.run_id, node),
        configuration,
        platform,
        volume,
        labels,
        contents,
        made,
        tuple(earlier.copies),
        images.described(recipe) if recipe else None,
        node,
        network,
    )


def mount(made: DockerPlan) -> dict[str, Any]:
    """A node's volume, as its container has it."""
    return _mount(made.volume, made.labels)


def _mount(volume: str, labels: Mapping[str, str]) -> dict[str, Any]:
    options = {"NoCopy": True, "Labels": labels}
    return {"Type": "volume", "Source": volume, "Target": ROOT, "VolumeOptions": options}


def _binds(shared: Shared | None) -> list[dict[str, str]]:
    """The run's folder of the store, in place of one in the volume."""
    return [{"Type": "bind", "Source": shared.folder, "Target": RUN_FOLDER}] if shared else []


def image_of(job: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The job's image, with the address of its registry, or the target's; empty when neither names one."""
    return image_name(job["environment"]) or str(options.get("image") or "")


def _owner(spec: RunSpec) -> str:
    """Who submitted it, for people who look at the engine."""
    origin = spec.origin
    return str(origin.get("label") or origin.get("kind") or "")


def _resources(job: Mapping[str, Any], node: int | None) -> dict[str, Any]:
    """What a node may use; of GPUs, each of several nodes gets its own.

    :param node: None where it is the only one.
    """
    found: dict[str, Any] = {}
    if job["memory_bytes"]:
        found |= {"Memory": job["memory_bytes"], "MemorySwap": job["memory_bytes"]}
    if job["cpu"]:
        found["NanoCpus"] = arguments.cpus(job["cpu"])
    if job["gpu"]:
        count = int(job["gpu"])
        own = arguments.gpus(count) if node is None else arguments.gpus_from(node * count, count)
        found["DeviceRequests"] = own
    if job["shm_size"]:
        arguments.VALUES["--shm-size"](wanted := arguments.Wanted(), str(job["shm_size"]))
        found |= wanted.host
    return found
