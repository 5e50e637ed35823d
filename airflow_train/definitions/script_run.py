"""`ScriptRunConfig`: a script or a command with an `Environment`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_train.definitions.distributed import AnyDistribution, described, distribution_part, laid_out
from airflow_train.definitions.docker_section import DockerConfiguration
from airflow_train.definitions.environment import Environment, EnvironmentPart, give
from airflow_train.definitions.job import Job
from airflow_train.definitions.kinds import Integer, PathText
from airflow_train.definitions.lists import Arguments
from airflow_train.definitions.own_run_config import OwnRunConfig, RunConfigPart
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.run_configuration import RunConfiguration
from airflow_train.definitions.runnable import RESUME_DOC, Runnable, gpu_param
from airflow_train.definitions.target_value import Target

THIRTY_DAYS = 30 * 24 * 3600
_SHELL = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "<", "2>&1"})
#: Parameters that don't count beside `run_config`.
_IN_RUN_CONFIG = (
    "compute_target",
    "environment",
    "distributed_job_config",
    "max_run_duration_seconds",
    "docker_runtime_config",
)
_NUMBERS = "nodes and processes are part of the distribution; write distributed_job_config"


class ScriptRunConfig(Runnable):
    """A script with arguments, or a command, and the environment that it runs in.

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    STARTS = ("script", "command", "run_config")
    ABSENT: ClassVar[Mapping[str, str]] = {
        "entry_script": "the script is called otherwise; write script",
        "script_params": "arguments are words here; write arguments",
        "node_count": _NUMBERS,
        "process_count_per_node": _NUMBERS,
        "distributed_training": "a distribution is called otherwise; write distributed_job_config",
        "environment_definition": "an environment is called otherwise; write environment",
        "environment_variables": "variables are part of the environment; write them there",
    }

    script: str | os.PathLike[str] | None = param(
        PathText(inside=True), default=None, kw_only=False, doc="The script, a path below `source_directory`."
    )
    arguments: Sequence[Any] | str | None = param(
        Arguments(),
        default=None,
        kw_only=False,
        doc="The script's command line, a list or one text; values reach the script as written.",
    )
    run_config: RunConfiguration | Mapping[str, Any] | None = param(
        RunConfigPart(),
        default=None,
        kw_only=False,
        doc="Target, environment, distribution, docker and time limit instead of those given here, which are ignored "
        "then; its script, arguments and command count where none is given here. Without one, its names stand for "
        "parameters of this class: `src.run_config.target` is `src.compute_target`.",
    )
    compute_target: str | Mapping[str, Any] | None = param(
        Target(),
        default=None,
        kw_only=False,
        doc="Where to run: a name, or `{type: …}` with options; default the configured one.",
    )
    environment: Environment | Mapping[str, Any] | str | None = param(
        EnvironmentPart(),
        default=None,
        kw_only=False,
        doc="Packages, interpreter and image; or the name of a registered environment, `NAME` or `NAME:VERSION`.",
    )
    distributed_job_config: AnyDistribution | Mapping[str, Any] | str | None = param(
        distribution_part(),
        default=None,
        kw_only=False,
        doc="How many processes on how many nodes, and how they find each other.",
    )
    resume_from: str | os.PathLike[str] | None = param(
        PathText(), default=None, kw_only=False, doc=RESUME_DOC
    )
    max_run_duration_seconds: int | str | None = param(
        Integer(mend="leave it out for 30 days"),
        default=THIRTY_DAYS,
        kw_only=False,
        doc="Seconds after which the run is stopped and has failed; None means the default, 30 days.",
    )
    command: Sequence[Any] | str | None = param(
        Arguments(whole=True),
        default=None,
        kw_only=False,
        doc="A command instead of a script: words, or one text for the shell.",
    )
    docker_runtime_config: DockerConfiguration | Mapping[str, Any] | None = param(
        Part(DockerConfiguration), default=None, kw_only=False, doc="How the container is run."
    )
    gpu: int | str | None = gpu_param()

    def check(self, at: At) -> None:
        """A script or a command, and numbers that agree."""
        super().check(at)
        if self.run_config is None:
            object.__setattr__(self, "run_config", OwnRunConfig(self))
        if isinstance(self.run_config, RunConfiguration):
            self._check_run_config(self.run_config, at)
        if not at.failed("script", "command", "run_config"):
            self._check_start(at)
        if not at.failed("distributed_job_config"):
            laid_out(self.distributed_job_config, at, "distributed_job_config")

    def main_script(self) -> Any:
        """The script, from here or from `run_config`; None for a command."""
        return self._start()[0]

    def open_variables(self) -> Any:
        """Environment variables of the script that are no secrets."""
        if isinstance(self.run_config, RunConfiguration):
            return self.run_config.variables()
        return getattr(self.environment, "environment_variables", None)

    def _check_run_config(self, run_config: RunConfiguration, at: At) -> None:
        """What is given twice: which of the two counts is the original's rule."""
        for name in _IN_RUN_CONFIG:
            if self.given(name):
                reason = "run_config is given, which says it"
                (at / name).note(UserWarning, f"{name} has no effect: {reason}.")
        for name in ("script", "arguments", "command"):
            if self.given(name) and run_config.given(name):
                (at / name).note(UserWarning, f"{name} is given here and in run_config; this one is used.")

    def _check_start(self, at: At) -> None:
        script, arguments, command = self._start()
        if script is None and command is None:
            (at / "script").say("script is missing", "name the script to run, or give a command")
        elif command is not None:
            for name, value in (("script", script), ("arguments", arguments)):
                if value:
                    place = at / name if self.given(name) else at / "run_config" / name
                    place.say(
                        f"{name} can't be given when command is given",
                        "write the whole command line in command",
                    )
            if not isinstance(command, str) and _SHELL.intersection(map(str, command)):
                (at / "command").say(
                    "command is a list with operators of a shell, but its words are run as they are",
                    "write it as one text, which a shell runs",
                )

    def _start(self) -> tuple[Any, Any, Any]:
        """Script, arguments and command: given here, else in `run_config`."""
        names = ("script", "arguments", "command")
        other = self.run_config
        script, arguments, command = (
            getattr(other if isinstance(other, RunConfiguration) and not self.given(name) else self, name)
            for name in names
        )
        return script, arguments, command

    def to_job(self) -> Job:
        """Script or command, environment, nodes and processes."""
        script, arguments, command = self._start()
        shared = self._shared()
        environment, docker, training = (
            self.environment,
            self.docker_runtime_config,
            self.distributed_job_config,
        )
        layout = laid_out(training, At.nowhere(), "distributed_job_config")
        if isinstance(given := self.run_config, RunConfiguration):
            environment, docker, training, layout = (
                given.environment,
                given.docker,
                given.training(),
                given.layout(),
            )
            shared["compute_target"] = given.target
            shared["max_run_duration_seconds"] = given.max_run_duration_seconds
        job = Job(
            **shared,
            entry_script=None if script is None else str(script),
            command=command if command is None or isinstance(command, str) else list(command),
            arguments=list(arguments or ()),
            node_count=layout.node_count,
            process_count_per_node=layout.process_count_per_node,
            distribution=described(training, layout),
            gpu=int(self.gpu or 0),
            use_gpu=bool(self.gpu),
        )
        give(environment, job)
        if isinstance(given, RunConfiguration):
            job.environment_variables = given.variables()
        if isinstance(docker, DockerConfiguration):
            job.environment |= _docker(docker)
            job.shm_size = job.shm_size if docker.shm_size is None else str(docker.shm_size)
        return job


def _docker(docker: DockerConfiguration) -> dict[str, Any]:
    said = {"use_docker": docker.use_docker or None, "docker_arguments": docker.arguments}
    return {key: value for key, value in said.items() if value} | (
        {} if docker.shared_volumes else {"shared_volumes": False}
    )
