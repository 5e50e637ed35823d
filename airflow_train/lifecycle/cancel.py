"""Asking a run to stop. TERM goes to the script, `grace_seconds` later everything it started is killed."""

from __future__ import annotations

import getpass
import os
import socket

from airflow_train.exceptions import NotOwner
from airflow_train.lifecycle.observe import View, look
from airflow_train.store.run_store import RunStore


def cancel(store: RunStore, run_id: str, reason: str = "", by: str | None = None) -> View:
    """Ask a run to stop; one that has ended stays as it is.

    :param by: who asks; user and host by default.
    :raises RunNotFound: there is no such run.
    """
    view = look(store, run_id)
    if view.terminal:
        return view
    store.ask_cancel(run_id, by or f"{user()}@{socket.gethostname()}", reason)
    return look(store, run_id)


def cancel_as(store: RunStore, run_id: str, owner: str, reason: str, by: str) -> View:
    """Ask a run to stop on behalf of a task.

    :raises NotOwner: a newer owner has taken the run over.
    :raises RunNotFound: there is no such run.
    """
    newest = store.owner(run_id)
    if newest != owner:
        raise NotOwner(f"run {run_id} belongs to {newest} now, so {owner} doesn't stop it.")
    return cancel(store, run_id, reason, by)


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as containers often have
        return str(os.getuid())
