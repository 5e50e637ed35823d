"""Scripts written for Azure ML run unchanged: as runs, and without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import airflow_train
from airflow_train.exceptions import InfrastructureFailure
from airflow_train.lifecycle import observe
from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.run import Run
from airflow_train.models.model import Model
from airflow_train.runtime import protocol
from airflow_train.store import layout
from tests.faults.victims import Zygote, kill
from tests.targets.lab import Lab, until

#: An interpreter that can run notebooks; the project itself doesn't depend on one.
SCRIPTS = Path(airflow_train.__file__).parent / "runtime" / "script"


def submitted(lab: Lab, sources: Path, name: str, *arguments: str, **more: Any) -> Run:
    definition = {
        "type": "Estimator",
        "source_directory": str(sources / name),
        "entry_script": "train.py",
        "script_params": dict.fromkeys(arguments, ""),
        **more,
    }
    return Experiment("old", lab.store).submit(definition)


def completed(lab: Lab, sources: Path, name: str, *arguments: str, **more: Any) -> Run:
    run = submitted(lab, sources, name, *arguments, **more)
    run.wait_for_completion()
    return run


def words(lab: Lab, run: Run) -> list[str]:
    return lab.lines(run.id)


def offline(sources: Path, name: str, folder: Path, python: str = sys.executable) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, str(sources / name / "train.py")],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def models(lab: Lab, name: str) -> list[Model]:
    return Model.list(name, store=lab.store.uri)


# ---------------------------------------------------------------------- as runs


def test_metrics_of_every_kind_and_a_model_of_the_outputs(lab: Lab, sources: Path) -> None:
    run = completed(lab, sources, "azureml_iris")
    metrics = run.get_metrics()
    (model,) = models(lab, "iris")

    assert metrics["Kernel type"] == "linear"
    assert metrics["Confusion"] == {"true": [0, 1], "found": [36, 28]}
    assert metrics["Sizes"] == {"points": 64, "right": 64}
    assert words(lab, run) == ["iris\tiris:1\t1"]
    assert (model.version, model.tags, model.description) == (1, {"kernel": "linear"}, "a threshold")
    assert (model.run_id, model.experiment_name, list(model.files)) == (run.id, "old", ["model.pkl"])
    assert model.snapshot_id == run.properties["ContentSnapshotId"]


def test_figures_and_images_are_files_and_metrics(lab: Lab, sources: Path) -> None:
    run = completed(lab, sources, "azureml_epochs")
    metrics = run.get_metrics()

    assert words(lab, run) == ["Running\tFalse\tnone\tada"]
    assert len(set(metrics["curve"])) == 3
    assert {*metrics["curve"], metrics["one/dot"]} <= set(run.get_file_names())
    assert all(name.startswith("curve_") and name.endswith(".png") for name in metrics["curve"])
    assert (run.tags["framework"], run.properties["author"]) == ("none", "ada")


def test_children_keep_metrics_tags_files_and_status_apart(lab: Lab, sources: Path) -> None:
    run = completed(lab, sources, "azureml_folds")
    found = run.get_children(recursive=True)
    low, _, _, again, inner, _, last = found

    assert words(lab, run) == ["one setting failed", "6\t['mse']"]
    assert (run.get_metrics(), run.tags["best"]) == ({}, "0.5")
    assert [one.id.removeprefix(run.id) for one in found] == ["_1", "_2", "_3", "_4", "_4_1", "_5", "_6"]
    assert (low.tags, low.get_metrics()) == ({"alpha": "0.1"}, {"mse": pytest.approx(0.16)})
    assert (again.name, again.get_metrics(), again.get_file_names()) == (
        "again",
        {"mse": [0, 1]},
        ["note.txt"],
    )
    assert (inner.name, inner.get_metrics(), last.tags) == ("inner", {"depth": 2}, {"kept": "open"})
    assert [one.get_status() for one in found] == ["Completed"] * 5 + ["Failed", "Completed"]
    assert "children/0004/note.txt" in run.get_file_names()
    assert [one.id for one in again.get_children()] == [inner.id]


def test_a_model_is_registered_once_even_if_the_script_is_killed_right_after(lab: Lab, sources: Path) -> None:
    run = submitted(lab, sources, "azureml_registers", "--killed")
    with pytest.raises(InfrastructureFailure):
        run.wait_for_completion()

    assert words(lab, run) == ["weights:1 weights:1 weights.bin:1 Model"]
    assert [(one.id, list(one.files)) for one in models(lab, "weights")] == [("weights:1", ["weights.bin"])]
    assert [one.id for one in models(lab, "weights.bin")] == ["weights.bin:1"]
    assert run.failed_registrations() == []


def test_the_next_run_gets_the_next_version_and_what_a_killed_judge_left_is_done_again(
    lab: Lab, sources: Path
) -> None:
    first, second = (completed(lab, sources, "azureml_registers") for _ in range(2))
    assert words(lab, second)[0].startswith("weights:2 weights:2")
    folder = lab.path(second.id).parent.parent / layout.model_version("weights", 2)
    for name in ("model.json", "files/weights.bin"):
        (folder / name).unlink()
    (lab.path(second.id) / "verdict.json").unlink()

    observe.look(lab.store, second.id)

    assert [(one.version, one.run_id) for one in models(lab, "weights")] == [(2, second.id), (1, first.id)]


def test_a_supervisor_killed_after_the_order_takes_no_model_away(lab: Lab, sources: Path) -> None:
    code = (
        "from azureml.core import Run\nrun = Run.get_context()\n"
        "run.upload_file('w.bin', __file__)\nrun.register_model('w', 'w.bin')\nmark('ordered')\ntime.sleep(60)"
    )
    run_id = lab.start(code)
    lab.marked(run_id, "ordered")
    os.kill(lab.supervisor(run_id), signal.SIGKILL)
    view = lab.wait(run_id)

    assert view.status == "Failed"
    assert [(one.version, one.run_id) for one in models(lab, "w")] == [(1, run_id)]


def test_judges_killed_while_they_register_leave_one_whole_version(
    lab: Lab, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    zygote = Zygote(tmp_path_factory.mktemp("cache"))
    code = (
        "from azureml.core import Run\nrun = Run.get_context()\nos.makedirs('outputs/m', exist_ok=True)\n"
        "for n in range(120): open('outputs/m/%d' % n, 'w').write('whole' * 1000)\n"
        "print(run.register_model('many', 'outputs/m').version)"
    )
    left_half = 0
    for number in range(1, 3):
        run_id = lab.start(code)
        until(lambda run_id=run_id: lab.path(run_id, "node_0", "report.json").exists())
        version = lab.path(run_id).parent.parent / layout.model_version("many", number)
        for files in (1, 40, 80):
            victim = zygote.start("look", lab.store.uri, run_id, {}, time.monotonic())
            until(lambda: len(list(version.glob("files/m/*"))) >= files)  # noqa: B023
            kill(victim)
            left_half += not (version / "model.json").exists()
        assert lab.wait(run_id).status == "Completed"
        assert lab.lines(run_id) == [str(number)]
    zygote.close()
    assert left_half > 0

    found = models(lab, "many")
    assert [one.version for one in found] == [2, 1]
    for one in found:
        folder = Path(one.download(str(tmp_path / str(one.version))))
        assert {file.read_text() for file in folder.iterdir()} == {"whole" * 1000}
        assert len(list(folder.iterdir())) == 120


def test_a_path_that_is_not_there_is_refused_in_the_script_with_what_is(lab: Lab) -> None:
    view = lab.run(
        "from azureml.core import Run\nrun = Run.get_context()\n"
        "open('outputs/a.pkl', 'w').close()\nrun.register_model('w', 'outputs/b.pkl')"
    )

    assert view.status == "Failed"
    assert "no file or folder 'outputs/b.pkl'; it has outputs/a.pkl" in "\n".join(
        lab.lines(view.record.run_id)[-3:]
    )
    assert models(lab, "w") == []


def test_a_model_that_vanished_before_the_end_is_written_down(lab: Lab) -> None:
    view = lab.run(
        "from azureml.core import Run\nrun = Run.get_context()\nopen('outputs/a.pkl', 'w').close()\n"
        "run.register_model('w', 'outputs/a.pkl')\nos.unlink('outputs/a.pkl')"
    )

    assert view.status == "Completed"
    (sentence,) = Run(view.record.run_id, lab.store).failed_registrations()
    assert "has no file or folder 'outputs/a.pkl'" in sentence


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_name": 1}'])
def test_a_request_that_is_none_keeps_nobody_from_judging(lab: Lab, text: str) -> None:
    view = lab.run(
        "folder = os.path.dirname(os.environ['AIRFLOW_TRAIN_FILES']) + '/registrations'\nos.mkdir(folder)\n"
        f"open(folder + '/x.json', 'w').write({text!r})"
    )

    assert view.status == "Completed"
    assert "isn't one of run.register_model" in Run(view.record.run_id, lab.store).failed_registrations()[0]


def test_what_is_not_there_says_so_in_one_sentence(lab: Lab, sources: Path) -> None:
    run = completed(lab, sources, "azureml_workspace", environment_variables={"MY_KEY": "s"})
    key, *sentences = words(lab, run)

    assert key == "ss"
    assert len(sentences) == 11
    assert all(one.endswith(".") and ("isn't there: " in one or "isn't set; " in one) for one in sentences)


def test_the_variables_that_azure_ml_set_are_set(lab: Lab, sources: Path) -> None:
    run = completed(lab, sources, "azureml_variables", environment_variables={"AZUREML_LOG_LEVEL": "1"})

    assert dict(line.split("=", 1) for line in words(lab, run)) == {
        "AZUREML_RUN_ID": run.id,
        "AZUREML_ARM_PROJECT_NAME": "old",
        "AZUREML_EXPERIMENT_ID": "old",
        "AZUREML_OUTPUT_DIRECTORY": "./outputs",
        "AZUREML_LOGDIRECTORY_PATH": "./logs",
        "AZUREML_LOG_LEVEL": "1",
        "AZUREML_NODE_COUNT": "1",
        "AZUREML_FRAMEWORK": "Python",
        "AZUREML_COMMUNICATOR": "None",
        "AZUREML_TARGET_TYPE": "local",
    }
    assert "outputs/done.txt" in run.get_file_names()


def test_documents_of_azure_ml_are_files_and_metrics(lab: Lab) -> None:
    run = Run(
        lab.run(
            "from azureml.core import Run\nrun = Run.get_context()\n"
            "class Array:\n    def tolist(self): return [[3, 0], [1, 2]]\n"
            "run.log_confusion_matrix('cm', {'schema_type': 'confusion_matrix', 'data': {'matrix': Array()}})\n"
            "run.log_accuracy_table('acc', '{\"data\": 1}', description='d')\n"
            "run.log_residuals('res', {}); run.log_predictions(name='p', value={'a': float('nan')})\n"
            "for wrong in ([1], 'text', {'a': object()}):\n"
            "    try: run.log_residuals('r', wrong)\n"
            "    except ValueError as error: print(error)"
        ).record.run_id,
        lab.store,
    )
    metrics = run.get_metrics()

    assert json.loads(lab.output(run.id, metrics["cm"]))["data"] == {"matrix": [[3, 0], [1, 2]]}
    assert list(metrics) == ["cm", "acc", "res", "p"]
    assert set(metrics.values()) <= set(run.get_file_names())
    assert [line.count("run.log_residuals('r')") for line in words(lab, run)] == [1, 1, 1]


def test_files_are_uploaded_with_all_parameters_of_the_original_and_come_back(lab: Lab) -> None:
    view = lab.run(
        "from azureml.core import Run\nrun = Run.get_context()\nopen('w', 'w').write('whole')\n"
        "run.upload_file('a/1', 'w', datastore_name=None); run.upload_folder('b', 'outputs', datastore_name=None)\n"
        "run.upload_files(names=['a/2'], paths=['w'], return_artifacts=False, timeout_seconds=300)\n"
        "run.download_file('a/1'); print(open('1').read())\n"
        "print(run.download_files('a', output_directory='to', append_prefix=False), open('to/2').read())\n"
        "try: run.download_file('a/3')\n"
        "except ValueError as error: print(error)"
    )

    *found, refusal = lab.lines(view.record.run_id)
    assert found == ["whole", "['to/1', 'to/2'] whole"]
    assert refusal.startswith("run.download_file('a/3'): the run has no such file; it has a/1, a/2, ")


def test_a_script_can_tell_by_the_class_whether_there_is_a_run(lab: Lab, tmp_path: Path) -> None:
    code = (
        "from azureml.core.run import Run, _OfflineRun, _SubmittedRun\n"
        "from azureml.exceptions import RunEnvironmentException\nrun = Run.get_context()\n"
        "print(type(run) == _OfflineRun, isinstance(run, _SubmittedRun), isinstance(run, Run), flush=True)\n"
        "try: Run.get_context(allow_offline=False)\nexcept RunEnvironmentException: print('none')"
    )
    folder = tmp_path / "offline"
    folder.mkdir()
    (folder / "train.py").write_text(code)

    assert lab.lines(lab.run(code).record.run_id) == ["False True True"]
    assert offline(tmp_path, "offline", tmp_path).splitlines() == ["True False True", "none"]


def test_other_names_of_azure_ml_can_be_imported_and_say_that_they_are_not_there() -> None:
    names = (
        "from azureml.core.compute import AmlCompute; from azureml.core import Webservice, Image, LinkedService; "
        "from azureml.data.dataset_consumption_config import DatasetConsumptionConfig; "
        "from azureml.core.model import InferenceConfig; from azureml.core import run, VERSION; "
        "from azureml.exceptions import ComputeTargetException; "
    )
    assert asked(
        f"{names}print(AmlCompute.__name__, run.Run.__name__, issubclass(ComputeTargetException, ValueError))"
    ) == ("AmlCompute Run True")
    assert "AmlCompute() isn't there: this script runs in airflow-train" in asked(f"{names}AmlCompute()")
    assert "cannot import name 'nothing'" in asked("from azureml.core.compute import nothing")


def test_a_script_can_stop_its_run(lab: Lab) -> None:
    view = lab.run(
        "from azureml.core import Run\nRun.get_context().create_children(1)[0].parent.cancel()\ntime.sleep(60)"
    )

    assert view.status == "Canceled"


def test_the_shim_reads_the_environment_that_the_protocol_names() -> None:
    text = "".join(file.read_text() for file in (SCRIPTS / "azureml_run").iterdir() if file.suffix == ".py")
    for name in (protocol.PROPERTIES, protocol.MODELS):
        assert f'"{name}"' in text


# ---------------------------------------------------------------------- without a run


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("azureml_iris", "Attempted to register model iris from outputs/model.pkl"),
        ("azureml_epochs", "Running\tTrue\tnone\tada"),
        ("azureml_folds", "6\t['mse']"),
        ("azureml_workspace", "run.input_datasets['train'] isn't there"),
        ("azureml_variables", ""),
    ],
)
def test_the_same_scripts_run_without_a_run(sources: Path, tmp_path: Path, name: str, said: str) -> None:
    assert said in offline(sources, name, tmp_path)


@pytest.mark.python38
@pytest.mark.parametrize("name", ["azureml_iris", "azureml_epochs", "azureml_folds", "azureml_workspace"])
def test_they_run_on_the_oldest_python(sources: Path, tmp_path: Path, name: str, python38: str) -> None:
    assert offline(sources, name, tmp_path, python38)


@pytest.mark.python38
def test_a_whole_run_goes_well_on_the_oldest_python(lab: Lab, sources: Path, python38: str) -> None:
    environment = {"python": {"user_managed_dependencies": True, "interpreter_path": python38}}
    for name in ("azureml_iris", "azureml_epochs", "azureml_folds"):
        completed(lab, sources, name, environment_definition={"name": "old", **environment})

    assert [one.id for one in models(lab, "iris")] == ["iris:1"]


# ---------------------------------------------------------------------- beside an installed azureml


def installed(folder: Path, name: str, code: str) -> Path:
    """A distribution in a folder as site-packages has them, in the way of Azure ML's own: one package, many parts."""
    (folder / "azureml" / name).mkdir(parents=True)
    extend = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    (folder / "azureml" / "__init__.py").write_text(extend)
    (folder / "azureml" / name / "__init__.py").write_text(code)
    return folder


def asked(question: str, *folders: Path) -> str:
    path = os.pathsep.join(map(str, (SCRIPTS, *folders)))
    done = subprocess.run(
        [sys.executable, "-c", question], env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_an_installed_azureml_takes_the_place_of_ours(tmp_path: Path) -> None:
    first = installed(tmp_path / "a", "dataprep", "word = 'prep'")
    second = installed(tmp_path / "b", "core", "class Run:\n    word = 'the real one'")

    assert asked("from azureml.core import Run; print(Run.word)", second) == "the real one"
    assert asked("from azureml.core import Run; print(Run.word)", first, second) == "the real one"
    assert asked("import azureml.dataprep as d; print(d.word)", first, second) == "prep"
    assert asked("import azureml; print(azureml.__file__)", second) == str(second / "azureml" / "__init__.py")
    assert "No module named 'azureml.data'" in asked("import azureml.data", second)


def test_parts_of_azureml_without_its_core_are_found_beside_ours(tmp_path: Path) -> None:
    folder = installed(tmp_path, "dataprep", "word = 'prep'")
    question = "import azureml.dataprep as d, azureml.core as c; print(d.word, c.Run.__module__)"

    assert asked(question, folder) == "prep azureml_run.run"


def test_an_azureml_without_an_init_file_and_one_of_a_virtual_environment_count_too(tmp_path: Path) -> None:
    folder = installed(tmp_path / "lib", "core", "class Run:\n    word = 'the real one'")
    (folder / "azureml" / "__init__.py").unlink()
    late = f"import sys; sys.path.append({str(folder)!r}); from azureml.core import Run; print(Run.word)"

    assert asked("from azureml.core import Run; print(Run.word)", folder) == "the real one"
    assert asked(late) == "the real one"


# ---------------------------------------------------------------------- notebooks


@pytest.mark.nbconvert
def test_figures_of_matplotlib_and_values_of_numpy_are_kept(lab: Lab, sources: Path, nbconvert: str) -> None:
    if subprocess.run([nbconvert, "-c", "import matplotlib"], capture_output=True, check=False).returncode:
        pytest.skip(f"{nbconvert} has no matplotlib; .ci/engines makes one that has")
    python = {"user_managed_dependencies": True, "interpreter_path": nbconvert}
    run = completed(lab, sources, "azureml_figures", environment_definition={"name": "mpl", "python": python})
    metrics = run.get_metrics()

    assert (metrics["Accuracy"], metrics["Positives"], metrics["Any"], metrics["Loss"]) == (
        0.9,
        30,
        True,
        0.5,
    )
    assert metrics["Summary"] == {"measure": ["a", "b"], "median": [0.5, 0.5]}
    assert metrics["Matrix"] == {"row": [0, 1], "share": [0.25, 0.75]}
    for name in ("ROC", "pyplot", "file"):
        picture = lab.path(run.id, "files", metrics[name]).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 5_000


def notebook_run(lab: Lab, source: Path, interpreter: str, *cells: str, **more: Any) -> Run:
    """The end of a run of these cells as `deep/train.ipynb`."""
    code = [
        {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
        for cell in cells
    ]
    kernel = {"kernelspec": {"name": "python36", "display_name": "Python 3.6", "language": "python"}}
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "train.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 2, "metadata": kernel, "cells": code})
    )
    (source / "deep" / "helper.py").write_text("zero = 0\n")
    python = {"user_managed_dependencies": True, "interpreter_path": interpreter}
    run = Experiment("old", lab.store).submit(
        {
            "type": "Estimator",
            "source_directory": str(source),
            "entry_script": "deep/train.ipynb",
            "environment_definition": {"name": "nb", "python": python},
            **more,
        }
    )
    run.wait_for_completion(raise_on_error=False)
    return run


@pytest.mark.nbconvert
def test_a_notebook_runs_as_a_script_does(lab: Lab, tmp_path: Path, nbconvert: str) -> None:
    run = notebook_run(
        lab, tmp_path / "code", nbconvert,
        "import argparse, helper\nparser = argparse.ArgumentParser()\nparser.add_argument('--c', type=float)",
        "from azureml.core import Run\nrun = Run.get_context(allow_offline=False)\nrun.log('c', parser.parse_args().c)",
        "open('outputs/model', 'w').close()\nprint('said')",
        script_params={"--c": 2.5},
    )  # fmt: skip

    assert (run.get_status(), run.get_metrics()) == ("Completed", {"c": 2.5})
    assert {"outputs/model", "outputs/train.ipynb"} <= set(run.get_file_names())
    assert "said" in words(lab, run)


@pytest.mark.nbconvert
def test_a_notebook_that_fails_names_the_cell_and_is_kept(lab: Lab, tmp_path: Path, nbconvert: str) -> None:
    run = notebook_run(lab, tmp_path / "code", nbconvert, "import helper", "print('said')\n1 / helper.zero")
    message = run.get_details()["error"]["error"]["message"]

    assert message.endswith('ZeroDivisionError: division by zero (File "deep/train.ipynb", cell 2).')
    assert "said" in words(lab, run)
    kept = json.loads(run.download_file("outputs/train.ipynb", str(tmp_path / "kept")).read_text())
    assert kept["cells"][-1]["outputs"][-1]["ename"] == "ZeroDivisionError"
