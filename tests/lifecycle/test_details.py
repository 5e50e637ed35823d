"""What handles tell of a run: details, files, children, metrics, and what notebooks and terminals show."""

from __future__ import annotations

import getpass
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_train.cli import describe
from airflow_train.exceptions import (
    AlreadyExists,
    DefinitionError,
    FileNotInRun,
    RunFailed,
    RunNotFound,
    WaitInterrupted,
)
from airflow_train.lifecycle import warned
from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.run import Run
from airflow_train.runs.record import RunRecord
from tests.targets.lab import Lab

KEYS = [
    "runId", "target", "status", "startTimeUtc", "endTimeUtc", "services", "warnings", "properties", "inputDatasets",
    "outputDatasets", "runDefinition", "logFiles", "submittedBy",
]  # fmt: skip


def handle(lab: Lab, code: str, **job: Any) -> Run:
    return Run(lab.run(code, **job).record.run_id, lab.store)


# ---------------------------------------------------------------------- details


def test_details_of_a_completed_run_have_the_keys_of_azure_ml(lab: Lab) -> None:
    run = handle(lab, "print('hi')", arguments=["--lr", "0.1"], distribution={"type": "pytorch"})
    details = run.get_details()

    assert list(details) == KEYS
    assert (details["runId"], details["status"], details["target"]) == (run.id, "Completed", "local")
    assert details["startTimeUtc"] < details["endTimeUtc"]
    assert Path(details["logFiles"]["user_logs/std_log_process_0.txt"]).read_text().endswith("hi\n")
    definition = details["runDefinition"]
    assert (definition["script"], definition["arguments"]) == ("train.py", ["--lr", "0.1"])
    assert (definition["framework"], definition["communicator"]) == ("PyTorch", "Nccl")
    assert definition["pyTorch"]["processCount"] == 1
    assert run.wait_for_completion() == details


def test_a_run_that_goes_on_has_no_end_and_one_that_failed_has_an_error(lab: Lab) -> None:
    run_id = lab.start("mark('on'); time.sleep(60)")
    lab.marked(run_id, "on")
    assert "endTimeUtc" not in Run(run_id, lab.store).get_details()
    failed = handle(lab, "raise ValueError('too deep')")
    (error,) = failed.get_details()["error"].values()

    assert (error["code"], error["details"][0]["target"]) == ("UserError", "rank 0")
    assert "ValueError: too deep" in error["message"]
    assert failed.get_detailed_status() == {"status": "Failed", "details": error["message"]}


def test_a_run_submitted_by_a_person_says_by_whom(lab: Lab, sources: Path) -> None:
    definition = {"type": "Estimator", "source_directory": str(sources / "fails"), "entry_script": "train.py"}
    run = Experiment("digits", lab.store).submit(definition)

    assert run.get_details()["submittedBy"] == getpass.getuser()
    run.wait_for_completion(raise_on_error=False)


def test_what_went_wrong_beside_the_outcome_is_warned_of(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run = handle(
        lab,
        "from azureml.core import Run\nrun = Run.get_context()\nopen('outputs/a', 'w').close()\n"
        "run.register_model('m', 'outputs/a')\nos.unlink('outputs/a')\nos.symlink('/nowhere', 'outputs/link')\n"
        "run.upload_file('outputs/b', __file__); open('outputs/b', 'w').write('other')",
    )
    found = {one["source"]: one["message"] for one in run.get_details()["warnings"]}
    sentences = " ".join(one["message"] for one in run.get_details()["warnings"])

    assert "a model wasn't registered: " in found["register_model"]
    assert "outputs/link is a link to nothing, so it wasn't kept." in sentences
    assert "outputs/b.conflict-1 was kept beside it" in sentences
    run.wait_for_completion(show_output=True)
    assert found["register_model"] in capsys.readouterr().out


# ---------------------------------------------------------------------- waiting


def test_waiting_shows_who_it_is_every_line_and_a_summary(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(lab.start("print('one'); print('two'); sys.exit(3)"), lab.store)
    with pytest.raises(RunFailed, match="exited with code 3"):
        run.wait_for_completion(show_output=True)
    shown = capsys.readouterr().out.splitlines()

    assert shown[1] == f"RunId: {run.id}"
    assert "Streaming user_logs/std_log_process_0.txt" in shown
    assert [line for line in shown if line in ("one", "two")] == ["one", "two"]
    summary = shown[shown.index("Execution Summary") :]
    assert summary[1:3] == ["=================", f"RunId: {run.id}"]
    assert summary[3].startswith("Status: Failed after ")
    assert "The script exited with code 3." in summary


def test_lines_of_several_ranks_have_their_number(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = lab.start("print('hi')", distribution={"type": "pytorch"}, process_count_per_node=2)
    Run(run_id, lab.store).wait_for_completion(show_output=True)

    assert {"[0] hi", "[1] hi"} <= set(capsys.readouterr().out.splitlines())


# the interrupt may come between the opening of a file and its `with`
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_ends_the_waiting_and_not_the_run(lab: Lab) -> None:
    run_id = lab.start("mark('on'); time.sleep(60)")
    lab.marked(run_id, "on")
    main = threading.get_ident()

    def interrupt() -> None:
        time.sleep(0.1)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(WaitInterrupted, match=rf"the run goes on; Run\('{run_id}'\).wait_for_completion"):
        Run(run_id, lab.store).wait_for_completion()
    assert Run(run_id, lab.store).get_status() == "Running"


# ---------------------------------------------------------------------- files


@pytest.fixture
def files(lab: Lab) -> Run:
    """A run with outputs in folders, a log of its own and one rank's output."""
    return handle(
        lab,
        "os.makedirs('outputs/deep/er')\nfor name in ('model', 'deep/er/x'): open('outputs/' + name, 'w').write(name)\n"
        "open('logs/events', 'w').write('e')\nprint('hi')",
    )


def test_files_come_with_their_prefix_without_it_and_to_paths_of_their_own(
    files: Run, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    with_prefix = files.download_files("outputs", str(to))
    without = files.download_files(prefix="outputs", output_directory=str(to / "flat"), append_prefix=False)
    named = files.download_files("outputs/deep", output_paths=[str(to / "my.txt")])

    assert sorted(with_prefix) == [to / "outputs/deep/er/x", to / "outputs/model"]
    assert sorted(without) == [to / "flat/deep/er/x", to / "flat/model"]
    assert [path.read_text() for path in named] == ["deep/er/x"]
    assert files.download_file("outputs/model", f"{to}/new/") == to / "new" / "model"
    assert files.download_file("outputs/model", str(to / "renamed")).read_text() == "model"
    (to / "my.txt").write_text("mine")
    with pytest.raises(AlreadyExists, match="other content"):
        files.download_files("outputs/deep", output_paths=[str(to / "my.txt")])


def test_all_logs_are_those_of_ranks_script_and_supervisor(
    files: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"user_logs/std_log_process_0.txt", "logs/events", "system_logs/node_0.txt"}
    monkeypatch.chdir(tmp_path)

    assert set(files.get_all_logs("there")) == {Path("there", name) for name in names}
    assert set(files.get_all_logs()) == {Path(files.id, name) for name in names}
    assert set(files.get_details()["logFiles"]) == names
    assert {Path(files.get_portal_url(), name).exists() for name in names} == {True}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"prefix": "output"}, FileNotInRun, "has no files below 'output'; it has outputs/"),
        ({"prefix": "outputs", "output_paths": ["a"]}, DefinitionError, "1 paths for 2 files"),
        ({"output_paths": ["a"], "output_directory": "b"}, DefinitionError, "give one of them"),
    ],
)
def test_files_that_can_not_be_had_are_one_sentence(
    files: Run, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        files.download_files(**arguments)
    assert words in str(caught.value)


# ---------------------------------------------------------------------- runs and children


def test_a_run_is_found_by_its_id_and_in_its_experiment(lab: Lab) -> None:
    run = handle(lab, "pass")
    own = Experiment("lab", lab.store)

    assert Run.get(run.id, lab.store).id == Run(own, run.id).id == Run(own, run_id=run.id).id == run.id
    assert (run.experiment, run.experiment.name, run.parent, run.type) == (
        "lab",
        "lab",
        None,
        "azureml.scriptrun",
    )
    assert (own, hash(own), str(own)) == (Experiment("lab", lab.store.uri), hash(own), "lab")
    with pytest.raises(RunNotFound, match=f"experiment other has no run {run.id}, which belongs to lab"):
        Run(Experiment("other", lab.store), run.id)
    with pytest.raises(DefinitionError, match="Run takes a run's id"):
        Run(own)


@pytest.fixture
def family(lab: Lab) -> Run:
    """A run with two children, of which the second has a failed child of its own."""
    return handle(
        lab,
        "from azureml.core import Run\nrun = Run.get_context(); run.log('x', 0)\n"
        "for n, one in enumerate(run.create_children(tag_key='n', tag_values='12')):\n"
        "    one.log('x', n + 1); one.add_properties({'p': n})\n"
        "inner = one.child_run('inner'); inner.log('y', 5); inner.fail('no'); inner.upload_file('logs/a', __file__)",
    )


def test_children_are_found_by_tag_property_status_and_parent(family: Run, tmp_path: Path) -> None:
    def ids(**wanted: Any) -> list[str]:
        return [one.id.removeprefix(family.id) for one in family.get_children(**wanted)]

    assert (ids(), ids(recursive=True)) == (["_1", "_2"], ["_1", "_2", "_2_1"])
    assert (ids(tags="n"), ids(tags={"n": 2}), ids(properties={"p": "0"})) == (["_1", "_2"], ["_2"], ["_1"])
    assert (ids(recursive=True, status="failed"), ids(type="azureml.scriptrun")) == (["_2_1"], [])
    (inner,) = family.get_children(recursive=True, tags=None, status="Failed")
    assert (inner.parent.id, inner.parent.parent.id) == (f"{family.id}_2", family.id)
    assert inner.get_file_names() == ["logs/a"]
    assert inner.get_all_logs(str(tmp_path)) == [tmp_path / "logs" / "a"]
    with pytest.raises(DefinitionError, match="status is 'over' but must be one of"):
        family.get_children(status="over")


def test_metrics_of_a_whole_family_come_by_run(family: Run) -> None:
    own = family.id
    assert family.get_metrics(recursive=True) == {
        own: {"x": 0},
        f"{own}_1": {"x": 1},
        f"{own}_2": {"x": 2},
        f"{own}_2_1": {"y": 5},
    }
    assert family.get_metrics("x", recursive=True, run_type="azureml.scriptrun") == {own: {"x": 0}}


def test_runs_of_an_experiment_are_found_with_their_children(lab: Lab, family: Run) -> None:
    other = handle(lab, "pass")
    other.tag("best")
    experiment = Experiment("lab", lab.store)

    def ids(**wanted: Any) -> list[str]:
        return [one.id for one in experiment.get_runs(**wanted)]

    assert ids() == [other.id, family.id]
    assert ids(include_children=True, type="child") == [f"{family.id}{one}" for one in ("_1", "_2", "_2_1")]
    assert ids(tags="best") == ids(tags={"best": ""}) == [other.id]
    assert ids(include_children=True, status="Failed") == [f"{family.id}_2_1"]


# ---------------------------------------------------------------------- tables


def test_notebooks_show_runs_and_experiments_as_escaped_tables(lab: Lab) -> None:
    run = handle(lab, "from train_run import Run\nrun = Run.get_context(); run.log('<b>', 0.123456789)")
    experiment = Experiment("lab", lab.store)
    one, many = run._repr_html_(), experiment._repr_html_()

    assert one.count("<tr>") == many.count("<tr>") == 2
    assert all(f"<td>{word}</td>" in one for word in ("lab", run.id, "Completed", "&lt;b&gt;=0.12346"))
    assert "<caption>Experiment lab</caption>" in many
    assert "no runs yet" in Experiment("other", lab.store)._repr_html_()
    assert repr(run) == f"Run(id='{run.id}', experiment='lab', status='Completed')"


@pytest.mark.parametrize(("peaks", "words"), [({}, ["memory"]), ({"0": None}, []), ({"0": 5 << 20}, [])])
def test_only_a_limit_that_no_group_held_was_not_enforced(
    lab: Lab, peaks: dict[str, Any], words: list[str]
) -> None:
    """Groups of version 2 hold a limit on every Linux, and tell their peak since 5.19."""
    memory = {"limit_bytes": 64 << 20, "peak_bytes": peaks}
    record = RunRecord(lab.spec("pass"), report={"memory": memory})

    assert [one["source"] for one in warned.warnings(lab.store, record)] == words
    assert ("not enforced" in describe._memory(memory)) == bool(words)
