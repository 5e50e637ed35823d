"""Every name in the run store, relative to its root: the only place where they are spelled.

Numbered files (`owners/0001.json`) are made with `Files.next_number(folder, build)`; the highest number is the newest.
The index (`index/…`) spells its own names below `INDEX`, snapshots theirs below `SNAPSHOTS` and `BLOBS`.
"""

from __future__ import annotations

import json
from typing import Any

STORE = "store.json"
RUNS = "runs"
INDEX = "index"
SNAPSHOTS = "snapshots"
BLOBS = "blobs"
MODELS = "models"
TASKS = "tasks"
ENVIRONMENTS = "environments"
BUILDERS = "builders"


def as_json(value: Any) -> bytes:
    """One JSON document as stored: ASCII, one line."""
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def store_marker() -> str:
    """The format of the store."""
    return STORE


def run(run_id: str) -> str:
    """Folder of one run."""
    return f"{RUNS}/{run_id}"


def spec(run_id: str) -> str:
    """RunSpec; created exclusively, and the run exists."""
    return f"{RUNS}/{run_id}/spec.json"


def numbered(folder: str, number: int) -> str:
    """A numbered file: four digits or more."""
    return f"{folder}/{number:04d}.json"


def owners(run_id: str) -> str:
    """Folder of the chain of owners."""
    return f"{RUNS}/{run_id}/owners"


def owner(run_id: str, number: int) -> str:
    """One owner; the highest number owns the run."""
    return numbered(owners(run_id), number)


def events(run_id: str) -> str:
    """Folder of status events."""
    return f"{RUNS}/{run_id}/events"


def event(run_id: str, number: int) -> str:
    """One status event."""
    return numbered(events(run_id), number)


def tags(run_id: str) -> str:
    """Folder of tag events from outside the script."""
    return f"{RUNS}/{run_id}/tags"


def tag(run_id: str, number: int) -> str:
    """One tag event."""
    return numbered(tags(run_id), number)


def cancel(run_id: str) -> str:
    """Cancel was asked for."""
    return f"{RUNS}/{run_id}/cancel.json"


def verdict(run_id: str) -> str:
    """How the run ended; the first one wins."""
    return f"{RUNS}/{run_id}/verdict.json"


def summary(run_id: str) -> str:
    """What a listing shows; derived, written after the verdict."""
    return f"{RUNS}/{run_id}/summary.json"


def node(run_id: str, number: int) -> str:
    """Folder of one node."""
    return f"{RUNS}/{run_id}/node_{number}"


def launch(run_id: str, number: int = 0) -> str:
    """What the supervisor of a node must do."""
    return f"{node(run_id, number)}/launch.json"


def claim(run_id: str, number: int = 0) -> str:
    """Exclusive start claim of a node's supervisor."""
    return f"{node(run_id, number)}/claim.json"


def heartbeat(run_id: str, number: int = 0) -> str:
    """Overwritten every few seconds while the supervisor lives."""
    return f"{node(run_id, number)}/heartbeat"


def stop(run_id: str, number: int = 0) -> str:
    """Why the supervisor stopped the ranks."""
    return f"{node(run_id, number)}/stop.json"


def report(run_id: str, number: int = 0) -> str:
    """Exit report: work was collected, the node is done."""
    return f"{node(run_id, number)}/report.json"


def container(run_id: str, number: int = 0) -> str:
    """How the container of a node ended, as its engine says."""
    return f"{node(run_id, number)}/container.json"


def outbox(run_id: str, number: int = 0) -> str:
    """Folder of segments that a node without access to the store has sent (`store/live.py`)."""
    return f"{node(run_id, number)}/outbox"


def segment(number: int) -> str:
    """Name of a segment in an outbox."""
    return f"{number:08d}"


def work(run_id: str, number: int = 0) -> str:
    """Working directory of a node: the staged snapshot."""
    return f"{node(run_id, number)}/work"


def ranks(run_id: str) -> str:
    """Folder of the ranks' records."""
    return f"{RUNS}/{run_id}/ranks"


def rank(run_id: str, number: int, name: str) -> str:
    """A record of one rank: `start.json` or `exit.json`."""
    return f"{ranks(run_id)}/{number}/{name}"


def rank_start(run_id: str, number: int) -> str:
    """Process identity of a rank's wrapper and script."""
    return rank(run_id, number, "start.json")


def metrics(run_id: str) -> str:
    """Folder of metric files."""
    return f"{RUNS}/{run_id}/metrics"


def system_metrics(run_id: str) -> str:
    """Folder of what the nodes used, in files like those of metrics."""
    return f"{RUNS}/{run_id}/system_metrics"


def rank_metrics(run_id: str, number: int) -> str:
    """Metrics of one rank, one JSON object per line."""
    return f"{metrics(run_id)}/rank_{number}.jsonl"


def registrations(run_id: str) -> str:
    """Folder of the models that the script wants registered."""
    return f"{RUNS}/{run_id}/registrations"


def children(run_id: str, *above: str) -> str:
    """Folder of a run's child runs, or of those of the child that `above` leads to, as in `("0001", "0002")`."""
    return "/".join([f"{RUNS}/{run_id}/children", *(f"{number}/children" for number in above)])


def files(run_id: str) -> str:
    """Folder of what people call the files of a run."""
    return f"{RUNS}/{run_id}/files"


def outputs(run_id: str) -> str:
    """`./outputs` of the script."""
    return f"{files(run_id)}/outputs"


def logs(run_id: str) -> str:
    """`./logs` of the script."""
    return f"{files(run_id)}/logs"


def user_logs(run_id: str) -> str:
    """Folder of the ranks' standard output and error."""
    return f"{files(run_id)}/user_logs"


def rank_log(run_id: str, number: int) -> str:
    """Standard output and error of one rank."""
    return f"{user_logs(run_id)}/std_log_process_{number}.txt"


def build_log(run_id: str) -> str:
    """What a builder of the run's environment says."""
    return f"{files(run_id)}/system_logs/build.log"


def builders(place: str, key: str) -> str:
    """Folder of the claims of those who build what has this key (`environments/once.py`).

    :param place: where it is built, in letters and digits: several such places share the store.
    """
    return f"{BUILDERS}/{place}/{key}"


def snapshot(snapshot_id: str) -> str:
    """Manifest of a snapshot."""
    return f"{SNAPSHOTS}/{snapshot_id}.json"


def blob(digest: str) -> str:
    """Content of one file, named by its SHA-256."""
    return f"{BLOBS}/{digest[:2]}/{digest}"


def models() -> str:
    """Folder of all models."""
    return MODELS


def model(name: str) -> str:
    """Folder of one model."""
    return f"{MODELS}/{name}"


def model_version(name: str, version: int) -> str:
    """Folder of one version of a model."""
    return f"{MODELS}/{name}/{version:06d}"


def environments() -> str:
    """Folder of all registered environments."""
    return ENVIRONMENTS


def environment(name: str, version: int | None = None) -> str:
    """Folder of the versions of a registered environment, or one of them."""
    folder = f"{ENVIRONMENTS}/{name}"
    return folder if version is None else numbered(folder, version)


def task(key: str) -> str:
    """Folder of the chain of attempts of one Airflow task; `key` is its hash."""
    return f"{TASKS}/{key}"
