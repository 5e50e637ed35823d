"""Going on from what earlier runs left: a run, a path or the attempt before; copied, found, cleared away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import DefinitionError
from airflow_train.lifecycle import cancel
from airflow_train.lifecycle.run import Run
from airflow_train.lifecycle.submit import submit
from airflow_train.targets.docker import plan
from tests.targets.lab import Lab, until

#: Trains epochs 0 to 4, or from the one after the checkpoint on; leaves one and fails after epoch 2 where it began.
EPOCHS = """
import argparse, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--resume-from")
parser.add_argument("--dies-after", type=int, default=99)
args = parser.parse_args()
first = 0
if args.resume_from:
    where = pathlib.Path(args.resume_from)
    first = int((where / "epoch" if where.is_dir() else where).read_text()) + 1
print("resume", args.resume_from, os.environ.get("AZUREML_DATAREFERENCE_MODEL_LOCATION"))
for epoch in range(first, 5):
    print("epoch", epoch, flush=True)
    pathlib.Path("outputs/epoch").write_text(str(epoch))
    if epoch == args.dies_after:
        sys.exit(7)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source directory."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(EPOCHS)
    return tmp_path / "code"


def start(
    lab: Lab, source: Path, *, previous: str | None = None, base: Path | None = None, **more: Any
) -> Run:
    data = {"type": "Estimator", "source_directory": str(source), "entry_script": "train.py", **more}
    spec = submit(lab.store, data, previous=previous, base=base, compute_target=on(lab))
    lab.run_ids.append(spec.run_id)
    run = Run(spec.run_id, lab.store)
    run.wait_for_completion(raise_on_error=False)
    assert lab.nothing_left(spec.run_id)
    return run


def on(lab: Lab) -> dict[str, Any]:
    """The laboratory's target, as a definition has it."""
    return {"type": lab.target["type"], **lab.target["options"]}


def epochs(lab: Lab, run: Run) -> list[int]:
    return [int(line.split()[1]) for line in lab.lines(run.id) if line.startswith("epoch")]


@pytest.fixture
def broken(lab: Lab, source: Path) -> Run:
    """A run that died after epoch 2."""
    run = start(lab, source, script_params={"--dies-after": 2})
    assert epochs(lab, run) == [0, 1, 2]
    return run


@pytest.mark.parametrize("named", ["{id}", "{id}/outputs", "{id}/outputs/epoch", "{files}/outputs", "kept"])
def test_a_run_goes_on_from_a_run_its_files_or_a_path(
    lab: Lab, source: Path, broken: Run, named: str, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "epoch").write_text("2")
    files = lab.path(broken.id, "files")
    run = start(lab, source, resume_from=named.format(id=broken.id, files=files), base=tmp_path)

    assert run.get_status() == "Completed"
    assert epochs(lab, run) == [3, 4]
    local = str(lab.path(run.id, "node_0", "checkpoints"))
    place = (local if lab.target["type"] == "local" else plan.CHECKPOINTS) + "/resume"
    place += "/epoch" if named.endswith("epoch") else ""
    assert lab.lines(run.id)[0] == f"resume {place} {place}"


def test_the_script_cannot_change_the_files_of_the_run_before(lab: Lab, source: Path, broken: Run) -> None:
    (source / "train.py").write_text(
        "import os, pathlib, sys\n"
        "place = pathlib.Path(sys.argv[2]) / 'epoch'\n"
        "print(oct(place.stat().st_mode & 0o777))\n"
        "place.chmod(0o666); place.write_text('99')\n"
    )
    run = start(lab, source, resume_from=broken.id)

    assert lab.lines(run.id) == ["0o444"]
    assert lab.output(broken.id, "outputs/epoch") == "2"
    assert os.stat(lab.path(broken.id, "files", "outputs", "epoch")).st_nlink == 1


def test_the_next_attempt_is_offered_the_outputs_of_the_one_before(
    lab: Lab, source: Path, broken: Run
) -> None:
    (source / "train.py").write_text(
        "import pathlib, sys, train_run\n"
        "run = train_run.Run.get_context()\n"
        "print(sys.argv[1:], pathlib.Path(run.previous_outputs, 'epoch').read_text())\n"
    )

    assert lab.lines(start(lab, source, previous=broken.id).id) == ["[] 2"]


def test_resume_from_previous_is_the_attempt_before_and_nothing_in_the_first(
    lab: Lab, source: Path, broken: Run
) -> None:
    assert epochs(lab, start(lab, source, resume_from="previous", previous=broken.id)) == [3, 4]
    assert epochs(lab, start(lab, source, resume_from="previous")) == [0, 1, 2, 3, 4]


def test_an_attempt_that_left_nothing_hands_on_what_the_one_before_it_left(
    lab: Lab, source: Path, broken: Run
) -> None:
    script = (source / "train.py").read_text()
    (source / "train.py").write_text("raise SystemExit(1)")
    nothing = start(lab, source, previous=broken.id)
    (source / "train.py").write_text(script)

    assert epochs(lab, start(lab, source, resume_from="previous", previous=nothing.id)) == [3, 4]


def test_every_rank_and_a_command_find_the_checkpoint(lab: Lab, source: Path, broken: Run) -> None:
    data = {
        "type": "ScriptRunConfig",
        "source_directory": str(source),
        "command": 'cat "$AZUREML_DATAREFERENCE_MODEL_LOCATION/epoch"; echo',
        "distributed_job_config": {"type": "pytorch", "process_count": 2},
        "resume_from": broken.id,
    }
    spec = submit(lab.store, data, compute_target=on(lab))
    lab.run_ids.append(spec.run_id)
    lab.wait(spec.run_id)

    assert lab.lines(spec.run_id) == ["2", "2"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("no-such-thing", "there is neither a run of that id in"),
        ("{id}/outputs/weights", "which has no such files; it has outputs/epoch"),
        (
            "/no/where",
            "nor a file or folder /no/where; name a run, a run and a path as in RUN/outputs/checkpoints",
        ),
        ("", "resume_from is empty; name a run, a path or previous, or leave it out."),
        ("{store}", "which holds the run store itself; name a folder inside it"),
        ("{store}/runs/../..", "which holds the run store itself; name a folder inside it"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_written(
    lab: Lab, source: Path, broken: Run, named: str, words: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        start(lab, source, resume_from=named.format(id=broken.id, store=lab.store.files.local_root))

    assert words in str(caught.value)
    assert [one.run_id for one in lab.store.list_runs()] == [broken.id]


def test_a_run_that_goes_on_has_no_outputs_yet(lab: Lab, source: Path) -> None:
    run_id = lab.start("mark('ready'); signal.pause()")
    until(lambda: lab.look(run_id).status == "Running")
    with pytest.raises(DefinitionError, match=f"run {run_id}, which is Running: its outputs are there when"):
        start(lab, source, resume_from=run_id)
    cancel.cancel(lab.store, run_id)


def test_links_are_copied_as_what_they_show_and_circles_end(lab: Lab, source: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "elsewhere").write_text("2")
    (tmp_path / "kept" / "epoch").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "kept" / "round").symlink_to(tmp_path / "kept")

    assert epochs(lab, start(lab, source, resume_from=str(tmp_path / "kept"))) == [3, 4]


def test_checkpoints_that_have_gone_meanwhile_are_named(lab: Lab, source: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    data = {"type": "Estimator", "source_directory": str(source), "entry_script": "train.py"}
    spec = submit(
        lab.store,
        {**data, "resume_from": str(tmp_path / "kept")},
        before_start=(tmp_path / "kept").rmdir,
        compute_target=on(lab),
    )
    lab.run_ids.append(spec.run_id)
    verdict = lab.wait(spec.run_id).record.verdict or {}

    assert f"{tmp_path / 'kept'} could not be copied: No such file or directory" in verdict["message"]


@pytest.mark.only("local")  # elsewhere they come with the code, before anything runs
def test_a_cancel_is_heard_while_checkpoints_are_copied(lab: Lab, source: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for number in range(3000):
        (tmp_path / "kept" / str(number)).write_bytes(b"x" * 20_000)
    data = {"type": "Estimator", "source_directory": str(source), "entry_script": "train.py"}
    spec = submit(lab.store, {**data, "resume_from": str(tmp_path / "kept")})
    lab.run_ids.append(spec.run_id)
    until(lab.path(spec.run_id, "node_0", "checkpoints").exists)
    cancel.cancel(lab.store, spec.run_id)

    assert lab.wait(spec.run_id).status == "Canceled"
    assert lab.nothing_left(spec.run_id)


def test_a_folder_of_two_names_is_there_by_both_and_copied_once(
    lab: Lab, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept" / "step_2").mkdir(parents=True)
    (tmp_path / "kept" / "step_2" / "epoch").write_text("2")
    for name in ("latest", "a_first"):
        (tmp_path / "kept" / name).symlink_to("step_2")
    (source / "train.py").write_text(
        "import pathlib, sys\n"
        "found = sorted(pathlib.Path(sys.argv[2]).iterdir())\n"
        "print([(one.name, (one / 'epoch').read_text()) for one in found])\n"
        "print(len({(one / 'epoch').stat().st_ino for one in found}))\n"
    )

    assert lab.lines(start(lab, source, resume_from=str(tmp_path / "kept")).id) == [
        "[('a_first', '2'), ('latest', '2'), ('step_2', '2')]",
        "1",
    ]


@pytest.mark.only("local")  # where copies lie in the store
def test_a_link_to_the_store_copies_no_copy(lab: Lab, source: Path, broken: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "epoch").write_text("2")
    (tmp_path / "kept" / "runs").symlink_to(lab.path(broken.id).parent)

    assert epochs(lab, start(lab, source, resume_from=str(tmp_path / "kept"))) == [3, 4]
