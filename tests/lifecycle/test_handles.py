"""`Experiment` and `Run` as people of Azure ML call them: what they accept, and one sentence for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_train.definitions import Estimator, ScriptRunConfig, SKLearn
from airflow_train.exceptions import DefinitionError, ModelError
from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.run import Run
from tests.targets.lab import Lab

# ---------------------------------------------------------------------- Experiment


@pytest.mark.parametrize("name", ["", "-a", "a b", "digits\n", "ä", "x" * 256])
def test_a_name_that_is_none_is_one_sentence(lab: Lab, name: Any) -> None:
    with pytest.raises(DefinitionError, match=r"the experiment name .* must start with a letter or digit"):
        Experiment(name, lab.store)


@pytest.mark.parametrize("name", [None, 7, ["a"], object()])
def test_a_workspace_in_place_of_a_name_is_one_sentence(lab: Lab, name: Any) -> None:
    with pytest.raises(DefinitionError, match=r"the experiment's name is .* workspaces aren't known here"):
        Experiment(name, lab.store)


def estimator(sources: Path, **more: Any) -> Estimator:
    return Estimator(source_directory=str(sources / "prints_and_logs"), entry_script="train.py", **more)


def test_a_submit_may_add_arguments_and_leaves_the_definition_as_it_is(lab: Lab, sources: Path) -> None:
    own = estimator(sources, script_params={"--v": "", "--lr": 0.1})
    run = Experiment("digits", lab.store).submit(own, script_params={"--lr": 0.2, "--n": 3})

    assert lab.store.spec(run.id).job["arguments"] == ["--v", "--lr", "0.2", "--n", "3"]
    assert own.script_params == {"--v": "", "--lr": "0.1"}
    run.wait_for_completion()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"node_count": 2}, "node_count can't be changed by submit, which takes script_params, inputs"),
        ({"script_params": ["--lr"]}, "script_params is ['--lr'] but must be a mapping"),
        ({"tags": {"a": ["b"]}}, "tags.a is ['b'] but must be text"),
        ({"tags": "a"}, "tags is 'a' but must be a mapping"),
    ],
)
def test_what_a_submit_can_not_change_is_one_sentence(
    lab: Lab, sources: Path, overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        Experiment("digits", lab.store).submit(estimator(sources), **overrides)
    assert len(caught.value.problems) == 1
    assert words in str(caught.value)
    assert lab.store.files.list("runs") == []


def test_a_script_run_has_arguments_and_takes_no_script_params(lab: Lab, sources: Path) -> None:
    script = ScriptRunConfig(str(sources / "prints_and_logs"), "train.py")
    with pytest.raises(DefinitionError, match=r"ScriptRunConfig has no script_params: .*write arguments"):
        Experiment("digits", lab.store).submit(script, script_params={"--a": 1})


def test_a_definition_of_another_experiment_is_refused(lab: Lab, sources: Path) -> None:
    with pytest.raises(DefinitionError, match=r"experiment is letters but it is submitted to digits"):
        Experiment("digits", lab.store).submit(estimator(sources, experiment="letters"))


def test_runs_are_asked_for_by_a_status_that_there_is(lab: Lab) -> None:
    lab.run("pass")
    experiment = Experiment("lab", lab.store)

    assert len(list(experiment.get_runs(status="completed"))) == 1
    with pytest.raises(DefinitionError, match=r"status is 'nope' but must be one of NotStarted"):
        experiment.get_runs(status="nope")


# ---------------------------------------------------------------------- Run


@pytest.fixture
def run(lab: Lab) -> Run:
    """A completed run with an output."""
    view = lab.run(
        "open('outputs/model', 'w').close()", framework="ScikitLearn", framework_version="1.7", tags={}
    )
    return Run(view.record.run_id, lab.store)


def test_tags_are_text_and_come_and_go_one_by_one(run: Run) -> None:
    run.tag("stage", None)
    run.set_tags({"year": 2026, "st": "x"})  # type: ignore[dict-item]
    assert run.tags == {"stage": "", "year": "2026", "st": "x"}
    run.remove_tags("stage")
    assert run.tags == {"year": "2026", "st": "x"}
    run.remove_tags(["year", "st"])
    assert run.tags == {}
    with pytest.raises(DefinitionError, match=rf"Run {run.id}: tags is \['a'\] but must be a mapping"):
        run.set_tags(["a"])  # type: ignore[arg-type]


def test_waiting_takes_its_arguments_in_the_originals_order(lab: Lab) -> None:
    failed = Run(lab.run("sys.exit(3)").record.run_id, lab.store)
    assert failed.wait_for_completion(False, True, False)["status"] == "Failed"


def test_a_model_has_the_framework_of_its_run_unless_another_is_named(run: Run) -> None:
    model = run.register_model("digits", "outputs/model")
    assert (model.framework, model.framework_version) == ("ScikitLearn", "1.7")
    other = run.register_model("other", "outputs/model", model_framework="Custom")
    assert (other.framework, other.framework_version) == ("Custom", None)
    newer = run.register_model("newer", "outputs/model", model_framework_version="2")
    assert (newer.framework, newer.framework_version) == ("ScikitLearn", "2")


@pytest.mark.parametrize(
    "name", ["datasets", "sample_input_dataset", "sample_output_dataset", "resource_configuration"]
)
def test_what_models_do_not_keep_must_be_empty(run: Run, name: str) -> None:
    with pytest.raises(ModelError, match=rf"{name} of model digits can't be kept; leave it out"):
        run.register_model("digits", "outputs/model", **{name: object()})  # type: ignore[arg-type]
    assert run.register_model("digits", "outputs/model", **{name: None}).version == 1  # type: ignore[arg-type]


def test_a_framework_estimator_names_the_framework(sources: Path) -> None:
    job = SKLearn(
        source_directory=str(sources), entry_script="train.py", framework_version="1.7"
    ).normalized()
    assert (job.framework, job.framework_version) == ("ScikitLearn", "1.7")
