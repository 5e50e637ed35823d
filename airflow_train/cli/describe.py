"""A run as programs get it (one JSON object, the same keys everywhere) and as people read it."""

from __future__ import annotations

from typing import Any

from airflow_train.cli import screen
from airflow_train.lifecycle.observe import View
from airflow_train.lifecycle.warned import warnings
from airflow_train.runs import times
from airflow_train.runs.phases import Phase
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, RunSummary


def as_json(store: RunStore, summary: RunSummary, status: str | None = None) -> dict[str, Any]:
    """What every command with `--json` prints about a run.

    :param status: what a look has shown, where that is newer than the summary.
    """
    return {
        "run_id": summary.run_id,
        "status": status or summary.status,
        "experiment": summary.experiment,
        "outputs_uri": store.files.join(layout.outputs(summary.run_id)),
        "logs_uri": store.files.join(layout.user_logs(summary.run_id)),
        "metrics": dict(summary.metrics or {}),
        "error": summary.error,
        "target": summary.target,
        "created": summary.created,
        "started": summary.started,
        "ended": summary.ended,
        "tags": dict(summary.tags or {}),
    }


def of_view(store: RunStore, view: View) -> dict[str, Any]:
    """`as_json` of a run that was just looked at."""
    summary = store.summary(view.record.run_id)
    assert summary is not None  # the look has read its spec
    return as_json(store, summary, view.status)


def no_run(error: str) -> dict[str, Any]:
    """The same keys when there is no run because it could not be submitted."""
    keys = ("run_id", "status", "experiment", "outputs_uri", "logs_uri")
    return {**dict.fromkeys(keys), "metrics": {}, "error": error}


def in_full(store: RunStore, view: View) -> dict[str, Any]:
    """`as_json` and everything else that the record holds."""
    record = view.record
    spec = record.spec
    return {
        **of_view(store, view),
        "reason": record.reason,
        "phase": record.phase.to_json() if record.phase else None,
        "phases": [phase.to_json() for phase in record.phases],
        "properties": dict(spec.properties),
        "compute_target": dict(spec.target),
        "definition": dict(spec.definition),
        "snapshot": dict(spec.snapshot),
        "origin": dict(spec.origin),
        "resume": dict(spec.resume) if spec.resume else None,
        "previous": spec.previous,
        "owner": record.owner,
        "world_size": spec.world_size,
        "events": [dict(event) for event in record.events],
        "cancel": record.cancel,
        "ranks": [dict(record.exits.get(rank) or {"rank": rank, **start}) for rank, start in _ranks(view)],
        "memory": (record.report or {}).get("memory"),
        "verdict": record.verdict,
        "warnings": warnings(store, record),
    }


def _ranks(view: View) -> list[tuple[int, dict[str, Any]]]:
    record = view.record
    return [(rank, dict(record.starts.get(rank, {}))) for rank in sorted({*record.starts, *record.exits})]


def print_in_full(store: RunStore, view: View) -> None:
    """Everything about a run for people."""
    facts = in_full(store, view)
    verdict = facts["verdict"] or {}
    screen.print_facts(
        [
            ("run", facts["run_id"]),
            ("status", f"{facts['status']}: {facts['reason']}" if facts["reason"] else facts["status"]),
            ("phase", _now(view)),
            ("experiment", facts["experiment"]),
            ("target", facts["target"]),
            ("resumes", _resumed(view)),
            ("created", facts["created"]),
            ("started", facts["started"]),
            ("ended", facts["ended"]),
            ("duration", times.duration(facts["started"], facts["ended"])),
            ("metrics", screen.pairs(facts["metrics"])),
            ("tags", screen.pairs(facts["tags"])),
            ("properties", screen.pairs(facts["properties"])),
            ("memory", _memory(facts["memory"])),
            ("outputs", facts["outputs_uri"]),
            ("logs", facts["logs_uri"]),
        ]
    )
    print()
    columns = ("phase", "since", "took", "limit", "reason")
    screen.print_table(columns, [_phase_row(one) for one in view.record.phases])
    if facts["ranks"]:
        print()
        headers = ("rank", "node", "exit code", "signal", "largest memory", "ended")
        screen.print_table(headers, [_rank_row(one) for one in facts["ranks"]])
    for warning in facts["warnings"]:
        print(f"\nwarning: {warning['source']}: {warning['message']}")
    if verdict.get("last_lines"):
        print(f"\nLast lines of rank {verdict['rank']}:")
        for line in verdict["last_lines"]:
            print(f"  {line}")


def _now(view: View) -> str:
    """The present phase and, where it has gone on for longer than it may, who will end it."""
    phase = view.record.phase
    if phase is None:
        return ""
    late = "; it is over its limit, and the run ends unless it is heard of again" if view.overdue else ""
    return f"{phase.words().removeprefix('phase ')}, since {phase.since}{late}"


def _resumed(view: View) -> str:
    """Where the script's `--resume-from` leads to, or whose outputs it is offered."""
    spec = view.record.spec
    if spec.resume is None:
        return f"may go on from run {spec.previous}" if spec.previous else ""
    return "/".join(part for part in (spec.resume["run_id"], spec.resume["path"]) if part)


def _phase_row(one: Phase) -> tuple[object, ...]:
    limit = "" if one.limit is None else times.limit(one.limit)
    return (
        one.name,
        one.since,
        times.duration(one.since, one.until or protocol.timestamp()),
        limit,
        one.reason,
    )


def _memory(used: dict[str, Any] | None) -> str:
    """The most that a node held, and its limit; empty where none was asked for."""
    if used is None:
        return ""
    peaks = [peak for peak in used["peak_bytes"].values() if peak is not None]
    limit = f"limit {protocol.size(used['limit_bytes'])} for each node"
    if peaks:
        return f"at most {screen.size(max(peaks))}, {limit}"
    return (
        limit if used["peak_bytes"] else f"{limit}, not enforced"
    )  # before Linux 5.19 cgroups 2 tell no peak


def _rank_row(one: dict[str, Any]) -> tuple[object, ...]:
    memory = (one.get("memory") or {}).get("peak_bytes") or one.get("max_rss_bytes")
    code = one.get("code")
    return (
        one["rank"],
        one["node"],
        "" if code is None else code,
        one.get("signal") or "",
        screen.size(int(memory)) if memory else "",
        one.get("ended", "still running" if code is None else ""),
    )
