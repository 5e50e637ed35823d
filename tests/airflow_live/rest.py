"""What people do in Airflow's UI, by the same REST API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import quote

import httpx

#: Seconds; a deadline is there to end a broken test, not to measure.
PATIENCE = 90
ENDED = ("success", "failed", "upstream_failed", "skipped", "removed")


def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: Callable[[], object] = str) -> Any:
    """Wait until something is so; returns it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it didn't come to that within {seconds} s {what()}"
        time.sleep(0.1)
    return found


class Rest:
    """Airflow's API, logged in as an admin."""

    def __init__(self, address: str) -> None:
        token = httpx.get(f"{address}/auth/token", trust_env=False).raise_for_status().json()["access_token"]
        self._client = httpx.Client(
            base_url=f"{address}/api/v2",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            trust_env=False,  # a proxy has no part in this
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> Any:
        """Read something."""
        return self._answer("GET", path, params=query, headers={"Accept": "application/json"})

    def post(self, path: str, **body: Any) -> Any:
        """Create something, or ask for something to be done."""
        return self._answer("POST", path, json=body)

    def patch(self, path: str, query: dict[str, Any] | None = None, **body: Any) -> Any:
        """Change something."""
        return self._answer("PATCH", path, params=query or {}, json=body)

    def trigger(self, dag_id: str, **conf: Any) -> DagRun:
        """Start a DAG with values from its form."""
        found = self.post(f"/dags/{dag_id}/dagRuns", logical_date=None, conf=conf)
        return DagRun(self, dag_id, found["dag_run_id"])

    def dag_runs(self, dag_id: str) -> list[DagRun]:
        """The runs of a DAG, the newest first."""
        found = self.get(f"/dags/{dag_id}/dagRuns", order_by="-run_after")
        return [DagRun(self, dag_id, one["dag_run_id"]) for one in found["dag_runs"]]

    def _answer(self, method: str, path: str, **request: Any) -> Any:
        response = self._client.request(method, path, **request)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json()


class DagRun:
    """A run of a DAG and its tasks."""

    def __init__(self, rest: Rest, dag_id: str, dag_run_id: str) -> None:
        self.rest, self.dag_id, self.dag_run_id = rest, dag_id, dag_run_id
        self._path = f"/dags/{dag_id}/dagRuns/{quote(dag_run_id, safe='')}"

    def __str__(self) -> str:
        return f"{self.dag_id} is {self.state()}: {self.states()}"

    def state(self) -> str:
        """State of the whole."""
        return str(self.rest.get(self._path)["state"])

    def states(self) -> dict[str, str]:
        """Task, with its index if it is mapped → state."""
        found = self.rest.get(f"{self._path}/taskInstances")["task_instances"]
        index = {one["task_id"]: f"[{one['map_index']}]" for one in found if one["map_index"] >= 0}
        return {
            one["task_id"] + index.get(one["task_id"], "") * (one["map_index"] >= 0): one["state"]
            for one in found
        }

    def task(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """What Airflow knows of a task."""
        found: dict[str, Any] = self.rest.get(self._task(task_id, map_index))
        return found

    def wait(self, expected: str = "success") -> DagRun:
        """Wait for the end of the whole."""
        until(lambda: self.state() in ("success", "failed"), what=self.__str__)
        assert self.state() == expected, f"{self}\n{self.logs()}"
        return self

    def wait_for(self, task_id: str, state: str, try_number: int = 1, map_index: int = -1) -> None:
        """Wait until a task is in a state, at this try or a later one."""

        def reached() -> bool:
            task = self.task(task_id, map_index)
            return task["state"] == state and task["try_number"] >= try_number

        until(reached, what=lambda: f"{self}\n{self.logs()}")

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task told others; None if nothing."""
        query = {"map_index": map_index, "deserialize": True}
        entries = self.rest.get(f"{self._task(task_id)}/xcomEntries", map_index=map_index)["xcom_entries"]
        if key not in {one["key"] for one in entries}:
            return None
        return self.rest.get(f"{self._task(task_id)}/xcomEntries/{key}", **query)["value"]

    def links(self, task_id: str) -> dict[str, str]:
        """The buttons on a task's page."""
        found: dict[str, str] = self.rest.get(f"{self._task(task_id)}/links")["extra_links"]
        return found

    def log(self, task_id: str, try_number: int = 1, map_index: int = -1) -> list[dict[str, Any]]:
        """The events of a task's log, as the UI gets them."""
        path = f"{self._task(task_id)}/logs/{try_number}"
        events: list[dict[str, Any]] = self.rest.get(path, map_index=map_index)["content"]
        return events

    def text(self, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """The same as one text."""
        return "\n".join(str(one["event"]) for one in self.log(task_id, try_number, map_index))

    def logs(self) -> str:
        """The logs of all tasks, for a test that failed."""
        found = self.rest.get(f"{self._path}/taskInstances")["task_instances"]
        texts = []
        for one in found:
            for number in range(1, one["try_number"] + 1):
                name = f"--- {one['task_id']} {one['map_index']}, try {number}: {one['state']}"
                texts += [name, self.text(one["task_id"], number, one["map_index"])]
        return "\n".join(texts)

    def mark(self, task_id: str, state: str) -> None:
        """Mark a task as failed or successful."""
        self.rest.patch(self._task(task_id), new_state=state)

    def clear(self, task_id: str) -> None:
        """Clear a task, so that it runs again."""
        self.rest.post(
            f"/dags/{self.dag_id}/clearTaskInstances",
            dry_run=False,
            dag_run_id=self.dag_run_id,
            task_ids=[task_id],
            only_failed=False,
            reset_dag_runs=True,
        )

    def _task(self, task_id: str, map_index: int = -1) -> str:
        return f"{self._path}/taskInstances/{task_id}" + (f"/{map_index}" if map_index >= 0 else "")
