"""Packages of a local run: a virtual environment that is built once, whoever asks and whoever is killed meanwhile."""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.environments import shelf
from airflow_train.exceptions import ConfigurationError
from airflow_train.lifecycle.cancel import cancel
from airflow_train.lifecycle.observe import View
from airflow_train.runtime import protocol
from tests.targets.lab import LOCAL, Lab, until
from tests.wheels import Index

pytestmark = pytest.mark.only("local")

SHOW = "import probe; print(probe.VERSION, sys.executable)"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are: below a folder with an odd name."""
    monkeypatch.setenv("AIRFLOW_TRAIN_ENVIRONMENTS", str(tmp_path / "envs ü [1]"))
    return tmp_path / "envs ü [1]"


@pytest.fixture
def index(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    made = Index(tmp_path / "packages")
    made.wheel("probe", program="probe-it")
    return made


def packages(*lines: str) -> dict[str, Any]:
    return {"environment": {"pip_packages": list(lines)}}


def phases(view: View) -> list[str]:
    return [phase.name for phase in view.record.phases]


def build_log(lab: Lab, run_id: str) -> str:
    return lab.output(run_id, "system_logs/build.log")


def built(place: Path) -> list[Path]:
    """Environments that are in place; asserts that nothing half-made lies beside them."""
    there = [one for one in place.iterdir() if one.is_symlink()]
    assert sorted(place.joinpath("builds").iterdir()) == sorted(one.resolve() for one in there)
    return there


def test_a_run_has_its_packages_and_the_next_one_finds_them_built(
    lab: Lab, index: Index, place: Path
) -> None:
    first, second = (lab.run(SHOW, **packages(*index.lines("probe"))) for _ in range(2))

    [environment] = built(place)
    for view in (first, second):
        assert lab.lines(view.record.run_id)[-1] == f"1.0 {environment}/bin/python"
    assert (phases(first)[1], "build" in phases(second)) == ("build", False)
    assert first.record.phases[1].reason.endswith("with probe")
    assert "+ probe==1.0" in build_log(lab, first.record.run_id)
    assert lab.nothing_left(first.record.run_id)


def test_whoever_follows_hears_the_builder(lab: Lab, index: Index) -> None:
    index.slow("late")
    run_id = lab.start(SHOW, **packages(*index.lines("probe", "late")))
    until(index.builds)
    until(lambda: any("uv" in line for line in lab.lines(run_id)))
    view = lab.look(run_id)
    index.go.touch()

    assert (view.status, view.record.phase and view.record.phase.name) == ("Preparing", "build")
    assert lab.wait(run_id).status == "Completed"


def test_commands_and_scripts_find_the_programs_of_their_environment_first(lab: Lab, index: Index) -> None:
    wanted = packages(*index.lines("probe"))
    view = lab.run("", command="probe-it; python -c 'import probe'", entry_script=None, **wanted)
    code = "subprocess.run(['probe-it']); print(os.environ['VIRTUAL_ENV'] in sys.executable)"
    script = lab.run(code, **wanted)

    assert (view.status, script.status) == ("Completed", "Completed")
    assert lab.lines(view.record.run_id, 0) == ["program of 1.0"]
    assert lab.lines(script.record.run_id, 0) == ["program of 1.0", "True"]


def test_of_ten_runs_that_ask_at_once_one_builds(lab: Lab, index: Index, place: Path) -> None:
    index.slow("late")
    wanted = packages(*index.lines("probe", "late"))
    runs = [lab.start(SHOW, **wanted) for _ in range(10)]

    def waiting() -> list[str]:
        now = [lab.store.record(one).phase for one in runs]
        return [phase.reason for phase in now if phase is not None and "waiting for process" in phase.reason]

    until(lambda: index.builds() and len(waiting()) == 9, seconds=60)
    index.go.touch()
    views = [lab.wait(one) for one in runs]

    assert {view.status for view in views} == {"Completed"}
    assert all(
        "build" in phases(view) and "for run" in waiting_for(view) for view in views if waiting_for(view)
    )
    assert len(index.builds()) == 1
    assert all(f"built {place}" in build_log(lab, one) or "waiting" in build_log(lab, one) for one in runs)
    assert len(built(place)) == 1


def waiting_for(view: View) -> str:
    return next((str(one["reason"]) for one in view.record.events if "waiting" in one["reason"]), "")


@pytest.mark.parametrize("victim", ["supervisor", "builder"])
def test_a_build_that_is_killed_leaves_nothing_and_whoever_waits_for_it_builds(
    lab: Lab, index: Index, place: Path, victim: str
) -> None:
    index.slow("late")
    wanted = packages(*index.lines("probe", "late"))
    first = lab.start(SHOW, **wanted)
    until(index.builds)
    second = lab.start(SHOW, **wanted)
    until(lambda: waiting_for(lab.look(second)))
    [claim] = place.glob("builders/*/0001.json")
    pids = {"supervisor": lab.supervisor(first), "builder": json.loads(claim.read_text())["pid"]}
    os.kill(pids[victim], signal.SIGKILL)

    lost = lab.wait(first)
    until(lambda: len(index.builds()) == 2)
    index.go.touch()
    assert (lost.status, lost.record.verdict and lost.record.verdict["reason"]) == (
        "Failed",
        "infrastructure",
    )
    assert lab.nothing_left(first)
    assert lab.wait(second).status == "Completed"
    assert len(built(place)) == 1


def test_a_run_that_is_cancelled_while_it_is_built_ends_its_builder(
    lab: Lab, index: Index, place: Path
) -> None:
    index.slow("late")
    run_id = lab.start(SHOW, **packages(*index.lines("late")))
    until(index.builds)
    cancel(lab.store, run_id, "changed my mind")

    assert lab.wait(run_id).status == "Canceled"
    assert lab.nothing_left(run_id)
    assert protocol.start_time(index.builds()[0]) is None
    assert list(place.glob("*/bin")) == []


def test_a_build_that_takes_too_long_is_ended_by_its_own_limit(lab: Lab, index: Index) -> None:
    index.slow("late")
    spec = lab.spec(SHOW, **packages(*index.lines("late")))
    spec.limits["build"] = 1.0  # type: ignore[index]
    lab.submit(spec)
    view = lab.wait(spec.run_id)

    assert view.record.verdict is not None
    assert view.record.verdict["reason"] == "phase_limit"
    assert "Raise [train] build_limit" in view.record.reason
    assert lab.nothing_left(spec.run_id)


def failed(lab: Lab, *lines: str, **job: Any) -> tuple[str, str]:
    view = lab.run(SHOW, **{**packages(*lines), **job})
    assert view.status == "Failed"
    assert view.record.verdict is not None
    return view.record.verdict["reason"], view.record.reason


def test_what_keeps_an_environment_from_being_built_is_said_with_the_line_that_fails(
    lab: Lab, index: Index, place: Path
) -> None:
    index.slow("broken", error="error: no compiler for Fortran")

    reason, said = failed(lab, *index.lines("probe==2.0"))
    assert (reason, "there is no version of probe==2.0" in said) == ("build_failed", True)
    reason, said = failed(lab, *index.lines("broken"))
    assert (reason, "Failed to build `broken==1.0`" in said) == ("build_failed", True)
    assert "error: no compiler for Fortran; correct the packages" in said
    reason, said = failed(lab, *index.lines(f"probe==1.0 --hash=sha256:{'0' * 64}"))
    assert (reason, "Hash mismatch for `probe==1.0`" in said) == ("build_failed", True)
    assert list(place.joinpath("builds").iterdir()) == []


def test_an_index_that_cant_be_reached_is_bad_luck_and_nobodys_login_is_shown(lab: Lab, index: Index) -> None:
    address = "http://ann:hunter2@127.0.0.1:9/all"
    reason, said = failed(lab, f"--index-url {address}", "probe")

    assert reason == "infrastructure"
    assert "the package index can't be reached (Failed to fetch" in said
    run_id = lab.run_ids[-1]
    shown = build_log(lab, run_id) + json.dumps([*lab.look(run_id).record.events]) + said
    assert "hunter2" not in shown


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address: a folder below it is an index, as is one below that a package."""
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path / "served", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_of_several_indexes_the_newest_version_wins_as_with_pip(
    lab: Lab, index: Index, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    for name, version in (("usual", "2.0"), ("extra", "1.5")):
        (folder / name / "probe").mkdir(parents=True)
        index.wheel("probe", version, folder / name / "probe")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/usual")
    view = lab.run(SHOW, **packages(f"--extra-index-url {address}/extra", "probe"))

    assert view.status == "Completed", view.record.reason
    assert lab.lines(view.record.run_id, 0)[0].startswith("2.0 ")


def test_a_folder_that_cannot_be_written_is_named_with_the_mend(
    lab: Lab, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_ENVIRONMENTS", "/dev/null/envs")
    reason, said = failed(lab, *index.lines("probe"))

    assert reason == "infrastructure"
    assert "/dev/null/envs/locks/" in said
    assert "Not a directory; look at its permissions, or name another folder by [train] environments" in said


def test_a_machine_whose_pip_asks_no_index_asks_none(
    lab: Lab, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links =\n  {tmp_path}/nowhere\n  {index.folder}\n")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))

    assert lab.run(SHOW, **packages("probe")).status == "Completed"
    reason, said = failed(lab, "six")
    assert (reason, "six was not found in the provided package locations" in said) == (
        "build_failed",
        True,
    ), said


@pytest.mark.parametrize("job", [{"user_managed": True}, {"interpreter_path": sys.executable}])
def test_who_names_an_interpreter_or_manages_it_gets_nothing_built(
    lab: Lab, index: Index, place: Path, job: dict[str, Any]
) -> None:
    view = lab.run("print(sys.executable)", **packages(*index.lines("probe")), **job)

    assert lab.lines(view.record.run_id) == [sys.executable]
    assert not place.exists()


def test_a_run_may_be_asked_for_while_environments_are_removed(lab: Lab, index: Index, place: Path) -> None:
    done, removed = threading.Event(), []

    def remove() -> None:
        while not done.is_set():
            removed.extend(one.key for one in list(shelf.shelved(place)) if shelf.forget(place, one.key))

    remover = threading.Thread(target=remove)
    remover.start()
    code = "time.sleep(0.1); import probe; print(probe.VERSION)"
    try:
        for _ in range(2):
            runs = [lab.start(code, **packages(*index.lines("probe"))) for _ in range(3)]
            assert [lab.wait(one).status for one in runs] == ["Completed"] * 3
    finally:
        done.set()
        remover.join()
    assert removed


def test_a_notebook_needs_what_runs_it_in_its_environment(lab: Lab, index: Index) -> None:
    reason, said = failed(lab, *index.lines("probe"), entry_script="train.ipynb")

    assert reason == "build_failed"
    assert "has no nbconvert and ipykernel" in said


@pytest.mark.mpi
def test_mpirun_starts_ranks_in_an_environment_that_is_built_for_them(
    lab: Lab, index: Index, place: Path, mpi_python: str
) -> None:
    job = {"distribution": {"type": "mpi"}, "node_count": 1, "process_count_per_node": 2}
    spec = lab.spec(
        SHOW + "\nprint(os.environ['OMPI_COMM_WORLD_SIZE'])", **job, **packages(*index.lines("probe"))
    )
    spec.target["options"]["interpreter_path"] = mpi_python
    lab.submit(spec)

    assert lab.wait(spec.run_id).status == "Completed"
    assert lab.lines(spec.run_id, 1) == [f"1.0 {built(place)[0]}/bin/python", "2"]


@pytest.mark.python38
def test_the_python_that_is_wanted_is_found(lab: Lab, index: Index, python38: str) -> None:
    environment = {"conda_packages": ["python=3.8"], "pip_packages": index.lines("probe")}
    run_id = lab.run("print(sys.version_info[:2])", environment=environment).record.run_id

    assert lab.lines(run_id)[-1] == "(3, 8)"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"conda_packages": ["python=3.99"]}, "Python 3.99 is wanted and neither pyenv nor uv finds one"),
        ({"conda_packages": ["numpy"]}, "conda_packages need micromamba, mamba or conda, and none"),
        ({"apt_packages": ["git"], "pip_packages": ["six"]}, "apt_packages can't be honoured on the local"),
        ({"dockerfile": "FROM x"}, "docker.base_dockerfile can't be honoured on the local target"),
        (
            {"context": "abc", "dockerfile": "FROM x", "dockerfile_path": "Dockerfile"},
            "docker.build_context can't be honoured on the local target",
        ),
        (
            {"image": "x", "pip_packages": ["six"]},
            "custom_docker_image can't be honoured on the local target",
        ),
    ],
)
def test_what_cant_be_built_here_is_refused_in_one_sentence(
    lab: Lab, place: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, Any], words: str
) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    [said] = targets.get(LOCAL).check(lab.spec("", environment=environment).job, lab.store)

    assert said.startswith(words)
    assert said.count(". ") == 0


def test_packages_of_conda_come_by_the_program_that_is_there(
    lab: Lab, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "micromamba"
    program.parent.mkdir()
    # create --yes --prefix PREFIX …
    program.write_text('#!/bin/sh\necho "$@"\nexec uv venv --quiet "$4"\n', encoding="utf-8")
    program.chmod(0o755)
    uv = Path(targets.get(LOCAL).doctor(lab.store)[-3][2]).parent
    monkeypatch.setenv("PATH", f"{program.parent}:{uv}:{os.environ['PATH']}")
    environment = {
        "conda_packages": ["python=3.11", "numpy=1.26"],
        "conda_channels": ["conda-forge"],
        "pip_packages": index.lines("probe"),
    }
    run_id = lab.run(SHOW, environment=environment).record.run_id

    assert lab.lines(run_id)[-1].startswith("1.0 ")
    assert "--override-channels --channel conda-forge python=3.11 numpy=1.26" in build_log(lab, run_id)


def test_environments_are_a_folder(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_TRAIN_ENVIRONMENTS", "s3://bucket/environments")
    with pytest.raises(ConfigurationError, match="must be a folder of this machine"):
        targets.get(LOCAL).check(lab.spec("", **packages("six")).job, lab.store)
