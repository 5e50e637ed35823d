"""Where a run and what it leaves can be found, and what a browser can open of that.

Airflow's UI shows a link only where it leads to http or https. So a link is, first hit wins: what `[train] run_url` and
`logs_url` make of it, the console of a cloud store, or the XCom page of the task itself, which shows the paths of a
store that no browser can open. A later try's links replace those of the one before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_train import config
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore
from airflow_train.tasks import compat, identity, xcom

log = logging.getLogger(__name__)

#: Consoles that open a folder of a bucket by its address.
_CONSOLES = {
    "s3": "https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={key}/",
    "s3a": "https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={key}/",
    "gs": "https://console.cloud.google.com/storage/browser/{bucket}/{key}",
    "gcs": "https://console.cloud.google.com/storage/browser/{bucket}/{key}",
}


def of_run(store: RunStore, run_id: str) -> dict[str, str]:
    """`run_id`, `outputs_uri` and `logs_uri`."""
    return {
        "run_id": run_id,
        "outputs_uri": store.files.join(layout.outputs(run_id)),
        "logs_uri": store.files.join(layout.user_logs(run_id)),
    }


def publish(store: RunStore, run_id: str, context: Mapping[str, Any]) -> dict[str, str]:
    """Tell other tasks and people where the run is as soon as it exists, so that they know it also when it fails."""
    found = of_run(store, run_id)
    xcom.push(context, found)
    log.info("Run %s; outputs in %s, logs in %s.", run_id, found["outputs_uri"], found["logs_uri"])
    page = _xcom_page(context)
    # Airflow asks again at the end, which is soon enough for a link to where a reader of XComs is already
    xcom.push(context, {key: url for key, url in link(store, run_id, context).items() if url != page})
    return found


def link(store: RunStore, run_id: str, context: Mapping[str, Any]) -> dict[str, str]:
    """Addresses for the links of the task, by XCom key; Airflow asks the operator for them again when the task ends."""
    folder = store.files.join(layout.run(run_id))
    logs = store.files.join(layout.user_logs(run_id))
    urls = {
        xcom.FOLDER_LINK: address("run_url", folder, run_id, context),
        xcom.LOGS_LINK: address("logs_url", logs, run_id, context),
    }
    setattr(context["ti"].task, xcom.LINKS, urls)
    return urls


def address(option: str, uri: str, run_id: str, context: Mapping[str, Any]) -> str:
    """What a browser can open for a folder of the store.

    :param option: the `[train]` option that may say it.
    """
    parts = urlsplit(uri)
    place = {"bucket": parts.netloc, "key": quote(parts.path.strip("/"))}
    if template := config.get(option):
        try:
            return template.format(run_id=run_id, uri=uri, path=quote(parts.path), **place)
        except (KeyError, IndexError, ValueError) as error:
            log.warning(
                "[train] %s is %r, which can't be filled in (%s); it may have {run_id}, {uri}, {path}, {bucket} and "
                "{key}.",
                option, template, error,
            )  # fmt: skip
    if console := _CONSOLES.get(parts.scheme):
        return console.format(**place)
    return _xcom_page(context)


def _xcom_page(context: Mapping[str, Any]) -> str:
    task = identity.task_of(context)
    names = [quote(str(task[part]), safe="") for part in ("dag_id", "dag_run_id", "task_id")]
    mapped = f"/mapped/{task['map_index']}" if task["map_index"] >= 0 else ""
    root = urlsplit(compat.base_url()).path.rstrip("/")
    return f"{root}/dags/{names[0]}/runs/{names[1]}/tasks/{names[2]}{mapped}/xcom"
