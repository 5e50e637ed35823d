"""What lives of a local run."""

from __future__ import annotations

from airflow_train.runs.record import RunRecord
from airflow_train.runtime import protocol
from airflow_train.targets.base import Observation


def observe(record: RunRecord) -> Observation:
    """Look at the processes that the records name; those of another machine or container can't be seen."""
    if record.claim is None:
        return Observation(None, None)
    processes = [one[part] for one in record.starts.values() for part in ("wrapper", "script")]
    living = [protocol.alive(dict(one)) for one in processes]
    ranks = True if True in living else None if None in living else False
    supervisor = protocol.alive(dict(record.claim))
    pid = record.claim["pid"]
    note = (
        ""
        if supervisor is not False
        else f"its supervisor (process {pid} on {record.claim['host']}) was killed"
    )
    return Observation(supervisor, ranks, note)
