"""Virtual environments of this machine: built once for each content, in a folder that all runs share.

    KEY              leads to the environment; whole as soon as it is there
    builds/KEY-…     the environment itself, or what a killed builder left of one
    builders/KEY/    who builds (`once.py`)
    locks/KEY        held by every run that uses it (`runtime/building.py`); its time is that of the last use

An environment can't be moved, as its programs know where it lies. So it is built under a name of its own, and a link
puts it in place.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_train.environments import conda, failures, interpreters
from airflow_train.environments.log import BuildLog, redacted
from airflow_train.environments.once import once
from airflow_train.environments.pip_settings import for_uv, no_index
from airflow_train.environments.recipe import Recipe
from airflow_train.exceptions import InfrastructureFailure, UnsupportedByTarget
from airflow_train.runtime import protocol
from airflow_train.store.files import Files

#: In an environment: what it is made of.
FACTS = "airflow-train.json"
_REQUIREMENTS = "airflow-train-requirements.txt"
_PR_SET_PDEATHSIG = 1
#: Loaded before any fork: a child between fork and exec must not take the loader's locks.
_libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


@dataclass(frozen=True)
class Virtualenv:
    """The environment of a recipe in a folder of environments, whether it is there or not."""

    folder: Path
    recipe: Recipe
    #: Interpreter that is used where the recipe wants no version.
    there: str

    @property
    def key(self) -> str:
        """By its recipe, the kind of machine and, where no Python is wanted, the one that is there."""
        found = "" if self.recipe.python else os.path.realpath(shutil.which(self.there) or self.there)
        machine = f"{platform.system()} {platform.machine()}"  # a home directory can be that of many
        return hashlib.sha256(f"{self.recipe.key} {machine} {found}".encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        return self.folder / self.key

    @property
    def interpreter(self) -> str:
        """Its Python."""
        return str(self.path / "bin" / "python")

    @property
    def lock(self) -> Path:
        """What runs hold that use it."""
        return self.folder / "locks" / self.key

    def find(self) -> Path | None:
        """Where it is; None when it isn't there, or the Python that it was made of isn't there any more."""
        there = (self.path / FACTS).exists() and os.path.exists(self.interpreter)
        return self.path if there else None

    def problems(self) -> list[str]:
        """What keeps it from being built here, one sentence each; nothing when it is there."""
        if self.find() is not None:
            return []
        try:
            if self.recipe.conda:
                conda.find()
            else:
                interpreters.find(self.recipe.python, self.there)
            interpreters.uv()
        except UnsupportedByTarget as error:
            return [str(error)]
        return []

    def words(self) -> str:
        """What is built, for people."""
        lines = [line.partition(" --hash")[0] for line in self.recipe.pip if not line.startswith("-")]
        named = [*self.recipe.conda, *map(redacted, lines)]
        more = f" and {len(named) - 5} more" if len(named) > 6 else ""
        what = ", ".join(named if not more else named[:5])
        return f"environment {self.key}" + (f" with {what}{more}" if named else "")

    def build(self, log: BuildLog, say: Callable[[str], object], run_id: str) -> Path:
        """Find it or build it, or wait for somebody who does.

        :param say: told what is waited for.
        :raises BuildFailed, InfrastructureFailure, UnsupportedByTarget: it can't be built.
        """

        def tell(words: str) -> None:
            say(words)
            log.say(words)

        try:
            return once(
                Files.open(str(self.folder)),
                f"builders/{self.key}",
                find=self.find,
                build=lambda: self._build(log, tell),
                say=tell,
                run_id=run_id,
            )
        except OSError as error:
            raise InfrastructureFailure(
                f"the environment could not be built: {error.filename or self.folder}: {error.strerror or error}"
            ) from error

    def _build(self, log: BuildLog, say: Callable[[str], object]) -> Path:
        builds = self.folder / "builds"
        for left in builds.glob(f"{self.key}-*"):  # by builders that were killed
            remove(left)
        self.path.unlink(missing_ok=True)
        prefix = builds / f"{self.key}-{secrets.token_hex(4)}"
        builds.mkdir(parents=True, exist_ok=True)
        say(f"building {self.words()}")
        try:
            self._fill(prefix, log)
            facts = {"at": protocol.timestamp(), "key": self.key, "recipe": self.recipe.to_json()}
            (prefix / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            self.path.symlink_to(prefix.relative_to(self.folder), target_is_directory=True)
        except FileExistsError:  # somebody else who was taken for dead
            remove(prefix)
        except BaseException:
            remove(prefix)
            raise
        log.say(f"built {self.path}")
        return self.path

    def _fill(self, prefix: Path, log: BuildLog) -> None:
        uv, python = interpreters.uv(), str(prefix / "bin" / "python")
        if self.recipe.conda:
            usual = ".".join(interpreters.version_of(self.there).split(".")[:2])
            run(conda.command(conda.find(), self.recipe, usual, str(prefix)), log, os.environ)
        else:
            base = interpreters.find(self.recipe.python, self.there)
            run([uv, "venv", "--quiet", "--no-project", "--python", base, str(prefix)], log, for_uv())
        if self.recipe.pip:
            file = prefix / _REQUIREMENTS
            file.write_text("".join(f"{line}\n" for line in self.recipe.pip), encoding="utf-8")
            command = [
                uv,
                "pip",
                "install",
                "--compile-bytecode",
                "--python",
                python,
                "--requirement",
                str(file),
                *(["--no-index"] if no_index() else []),
                *(["--require-hashes"] if self.recipe.hashed else []),  # as pip has it without being told
            ]
            run(command, log, for_uv())


def run(command: list[str], log: BuildLog, environment: Mapping[str, str]) -> None:
    """Run a builder's program to its end; it dies with this process.

    :raises BuildFailed, InfrastructureFailure: it failed.
    """
    log.say("$ " + " ".join(command))
    began = len(log.lines)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**environment, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        cwd="/",
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - calls the kernel and nothing else
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            log.say(line)
    if code := process.wait():
        raise failures.translated(log.lines[began:], code, os.path.basename(command[0]))


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def remove(path: Path) -> None:
    """Remove a folder, whatever it holds."""
    shutil.rmtree(path, ignore_errors=True)
