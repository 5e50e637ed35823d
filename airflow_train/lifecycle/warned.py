"""What went wrong with a run although it ended as it did: said in details, `runs show` and the task log."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_train.runs.record import RunRecord
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore


def warnings(store: RunStore, record: RunRecord) -> list[dict[str, str]]:
    """`{"source", "message"}` of each; a message is one sentence."""
    return [{"source": source, "message": message} for source, message in _all(store, record)]


def _all(store: RunStore, record: RunRecord) -> Iterator[tuple[str, str]]:
    report = record.report or {}
    for one in report.get("left", ()):
        yield "outputs", f"{one}, so it wasn't kept."
    for name in report.get("conflicts", ()):
        node = report.get("beside", {}).get(name)
        if node is None:
            yield "outputs", f"the run had an uploaded file of that name, so {name} was kept beside it."
        else:
            yield "outputs", f"{name} is node {node}'s, kept beside what another node calls so."
    for rank, one in record.exits.items():
        if one.get("lost_output_bytes"):
            size = protocol.size(int(one["lost_output_bytes"]))
            yield "logs", f"{size} of the output of rank {rank} could not be written to the run store."
    memory = report.get("memory")
    if memory and not memory["peak_bytes"]:
        limit = protocol.size(int(memory["limit_bytes"]))
        yield "memory", f"the memory limit of {limit} was not enforced; {protocol.node_log(0)} says why."
    if store.files.list(layout.registrations(record.run_id)):
        from airflow_train.lifecycle import registrations  # most runs ask for none

        for sentence in registrations.failures(store, record.run_id):
            yield "register_model", f"a model wasn't registered: {sentence}"
