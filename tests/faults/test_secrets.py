"""`kill -9` under runs with secrets: whoever goes on reads them anew, and nothing ever shows one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.survival import SCRIPT, Attempt, Faults
from tests.faults.test_kill import SUBMITTER, SUPERVISOR, faults
from tests.faults.victims import Zygote, kill
from tests.secrecy import KEY, SECRET, processes_showing, shown_in
from tests.targets.lab import PROLOGUE, processes_of, until

__all__ = ["faults"]

TIMES = max(3, int(os.environ.get("AIRFLOW_TRAIN_FAULTS", "15")) // 5)
#: More than a pipe holds, so that kills hit the handing over.
LARGE = "large-secret-" + "0123456789abcdef" * 7_000
VALUES = {"OUR_SECRET": SECRET, "OUR_KEY": KEY, "OUR_LARGE": LARGE}
#: Shows its secrets for a while in output and logs, and says so when they aren't whole.
LEAKY = """
secret, key, large = (os.environ[name] for name in ("SECRET", "KEY", "LARGE"))
if len(large) != 112013:
    mark("torn")
with open("logs/%s.log" % os.environ["AIRFLOW_TRAIN_RANK"], "w", buffering=1) as log:
    for n in range(10):
        log.write("secret %s %s\\n" % (secret, key))
        print("secrets", secret, key, large if n == 5 else "", flush=True)
        time.sleep(0.01)
"""


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Where all who submit in this module find the secrets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VALUES.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def zygote(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Where victims come from; they have the secrets, too."""
    made = Zygote(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


def leaky(faults: Faults, seconds: float = 0.1) -> Attempt:
    """An attempt whose script shows its secrets wherever it can."""
    attempt = faults.attempt(seconds)
    source = Path(attempt.definition["source_directory"])
    (source / "train.py").write_text(PROLOGUE + LEAKY + SCRIPT)
    attempt.definition["secrets"] = {name[4:]: f"env:{name}" for name in VALUES}
    return attempt


def nothing_shows(faults: Faults, *attempts: Attempt) -> None:
    """Hold the store against the secrets, which the scripts had whole."""
    assert all("torn" not in faults.lab.marks(attempt.run_id) for attempt in attempts)
    assert faults.lab.store.files.local_root is not None
    assert shown_in(Path(faults.lab.store.files.local_root), *VALUES.values()) == []


@pytest.mark.parametrize("phase", [*SUBMITTER, "handing over"])
def test_submitter(faults: Faults, phase: str) -> None:
    """The run is started once, with whole secrets, by whoever submits it again."""
    opens, within = {**SUBMITTER, "handing over": ("node_0/launch.json", 0.03)}[phase]
    for _ in faults.until_killed(TIMES):
        attempt = leaky(faults)
        victim = faults.start("submit", attempt)
        if opens is not None:
            faults.there(attempt, opens)
        faults.strike(victim, within)
        assert processes_showing(attempt.run_id, SECRET, LARGE) == []
        record = faults.finish(attempt)
        assert (record.verdict or {})["status"] == "Completed"
        nothing_shows(faults, attempt)


@pytest.mark.parametrize("phase", SUPERVISOR)
def test_supervisor(faults: Faults, phase: str) -> None:
    """Whoever collects in its place hides secrets as it did."""
    opens, within = SUPERVISOR[phase]
    for _ in faults.until_killed(TIMES):
        attempt = leaky(faults)
        submitter = faults.start("submit", attempt)
        faults.there(attempt, opens)
        kill(submitter)
        faults.strike(faults.lab.supervisor(attempt.run_id), within)
        until(lambda attempt=attempt: not processes_of(attempt.run_id), 2)
        faults.finish(attempt)
        nothing_shows(faults, attempt)


def test_looker_without_the_secrets_who_stands_in_for_the_supervisor(
    faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it can't hide, it doesn't copy."""
    attempts = []
    for _ in range(TIMES):
        attempt = leaky(faults, seconds=30)
        faults.submit(attempt)
        faults.lab.started(attempt.run_id, attempt.world_size)
        faults.strike(faults.lab.supervisor(attempt.run_id), 0.1)
        until(lambda attempt=attempt: not processes_of(attempt.run_id), 2)
        attempts.append(attempt)
    for name in VALUES:
        monkeypatch.delenv(name)
    for attempt in attempts:
        faults.finish(attempt, again=False)
    nothing_shows(faults, *attempts)
