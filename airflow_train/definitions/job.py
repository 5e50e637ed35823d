"""`Job`: what a definition comes to, in the one form that every later room reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Job:
    """A definition with everything resolved that needs no file, target or clock.

    `environment` is plain data, `{}` when nothing is asked for; its keys, each present only if asked for: `name`,
    `pip_packages` (lines of a requirements file), `conda_packages`, `conda_channels`, `apt_packages` (lists), `image`,
    `dockerfile` (its text), `registry` (`address`, `username`, `password` as a reference, `registry_identity`),
    `use_docker` (True: a container was asked for), `docker_arguments`, `platform`, `shared_volumes`. `use_docker` of
    the job itself is False where the author refuses a container.

    Before a run is submitted `environments/preparing.py` puts what they stand for in place of these: `registered` (the
    name of a registered environment), `pip_requirements_file`, `conda_dependencies_file` (paths below the source
    directory), `build_context` (as in `DockerBuildContext`), which becomes `dockerfile` and `context`, its snapshot.

    `distribution` is None for a single process, else `{"type": "mpi" | "pytorch" | "tensorflow" | "paralleltask", …}`
    with numbers that agree with `node_count` and `process_count_per_node`. TensorFlow: `node_count` counts the workers,
    one per node.
    """

    type: str
    source_directory: str
    entry_script: str | None = None
    command: list[str] | str | None = None
    arguments: list[str] = field(default_factory=list)
    experiment: str | None = None
    compute_target: str | dict[str, Any] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    use_docker: bool = True
    user_managed: bool = False
    interpreter_path: str | None = None
    environment_variables: dict[str, str] = field(default_factory=dict)
    #: Variable → reference (`definitions/secrets.py`).
    secrets: dict[str, str] = field(default_factory=dict)
    distribution: dict[str, Any] | None = None
    node_count: int = 1
    process_count_per_node: int = 1
    inputs: list[Any] = field(default_factory=list)
    use_gpu: bool = False
    gpu: int = 0
    cpu: float | None = None
    memory: str | None = None
    memory_bytes: int | None = None
    shm_size: str | None = None
    max_run_duration_seconds: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    grace_seconds: float = 30
    no_progress_timeout: float | None = None
    framework: str | None = None
    framework_version: str | None = None
    resume_from: str | None = None
    #: Whether the packages of its framework are installed, if anything is.
    framework_packages: bool = False

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Job:
        """The job that `to_dict` described."""
        return cls(**data)
