"""`src.run_config` of a `ScriptRunConfig` that was made without one, as notebooks of Azure ML fill it in."""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.docker_section import DockerConfiguration
from airflow_train.definitions.environment import Environment
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.run_configuration import DEFAULT_ENVIRONMENT, RunConfiguration
from airflow_train.exceptions import DefinitionError

#: Parameters of a run configuration → those of the `ScriptRunConfig` that say the same.
_SAME = {
    "script": "script",
    "arguments": "arguments",
    "command": "command",
    "target": "compute_target",
    "environment": "environment",
    "docker": "docker_runtime_config",
    "max_run_duration_seconds": "max_run_duration_seconds",
}
_DISTRIBUTION = (
    "node_count",
    "framework",
    "communicator",
    "mpi",
    "pytorch",
    "tensorflow",
    "paralleltask",
)


class OwnRunConfig:
    """The parameters of a `ScriptRunConfig` by the names of `RunConfiguration`: what is set here is set there."""

    __slots__ = ("_of",)
    _of: Any

    def __init__(self, of: Definition) -> None:
        object.__setattr__(self, "_of", of)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={getattr(self._of, own)!r}" for name, own in _SAME.items())
        return f"run_config({said})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "environment_variables":
            return self._variables()
        own = _own(name)
        if name == "environment":
            return self._environment()
        if name == "docker" and self._of.docker_runtime_config is None:
            self._of.docker_runtime_config = DockerConfiguration()
        value = getattr(self._of, own)
        return "local" if name == "target" and value is None else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):  # a copy is being made
            object.__setattr__(self, name, value)
        elif name == "environment_variables":
            self._own().environment_variables = value
        else:
            setattr(self._of, _own(name), value)

    def _environment(self) -> Any:
        """The environment, made when it is asked for, so that parts of it can be set."""
        if self._of.environment is None:
            self._of.environment = Environment(DEFAULT_ENVIRONMENT)
        return self._of.environment

    def _own(self) -> Any:
        """The environment, to change it.

        :raises DefinitionError: it is a registered one.
        """
        if isinstance(named := self._environment(), str):
            raise DefinitionError(
                f"run_config: environment is {named}, which is registered and doesn't change; write "
                f"environment = Environment.get({named.partition(':')[0]!r}) to have one that does."
            )
        return self._environment()

    def _variables(self) -> Any:
        environment = self._own()
        if environment.environment_variables is None:
            environment.environment_variables = {}
        return environment.environment_variables


def _own(name: str) -> str:
    """The parameter of a `ScriptRunConfig` that says the same.

    :raises DefinitionError: it has none.
    """
    if name in _SAME:
        return _SAME[name]
    if name in _DISTRIBUTION:
        raise DefinitionError(
            f"ScriptRunConfig: run_config.{name} is about several processes, which it has a parameter for; write "
            "distributed_job_config=MpiConfiguration(…) or PyTorchConfiguration(…), or give a RunConfiguration as "
            "run_config."
        )
    raise DefinitionError(
        f"ScriptRunConfig: run_config.{name} can't be used where no run_config was given, only {', '.join(_SAME)} and "
        "environment_variables; write run_config=RunConfiguration() to have them all."
    )


class RunConfigPart(Part):
    """The parameter `run_config`: what isn't given says nothing of its own."""

    def __init__(self) -> None:
        super().__init__(RunConfiguration)

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, OwnRunConfig):
            return at.say(
                f"{at} is that of another ScriptRunConfig, which was made without one",
                "write run_config=RunConfiguration() in both",
            )
        return super().read(value, at)

    def plain(self, value: Any) -> Any:
        return None if isinstance(value, OwnRunConfig) else super().plain(value)
