"""What the framework estimators install: facts about versions and what goes with them.

Where Azure ML has a version (`azureml/train/estimator/scenarios/*.yml` in azureml-train-core 1.62.0), these are its
packages, but for those that can't be had where scripts run today: Python 3.6.2 there, 3.8 or later here (so PyTorch
before 1.4, TensorFlow before 2.2 and scikit-learn before 0.22, which have no wheels for it, are refused), and
`horovod`, of which there are no wheels: who needs it names it, with a compiler and an MPI in the image.

Sources of the rest: wheels by Python version from the file lists of PyPI; pairs of torch and torchvision from the table
in https://github.com/pytorch/vision#installation; bounds on NumPy and protobuf from the first release of each that
an older one can't be imported with (https://numpy.org/doc/stable/release/1.24.0-notes.html,
https://numpy.org/doc/stable/numpy_2_0_migration_guide.html, https://protobuf.dev/news/2022-05-06/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_train.definitions.package_text import conda_name, is_option, pip_name
from airflow_train.exceptions import DefinitionError

#: https://packaging.python.org/en/latest/specifications/version-specifiers/, as far as frameworks use it.
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?")


@dataclass(frozen=True)
class Row:
    """What goes with the versions of a framework from `since` on, until the next row."""

    since: str
    #: Beside the framework itself.
    packages: tuple[str, ...] = ()
    #: Newest Python with wheels, where that is older than the usual one.
    python: str | None = None


@dataclass(frozen=True)
class Framework:
    """The packages of one framework."""

    #: As pip knows it.
    package: str
    #: Newest first.
    rows: tuple[Row, ...]
    #: Other names of the same thing, in pip and conda.
    also: frozenset[str] = frozenset()
    #: What a run of several processes by MPI needs.
    mpi: tuple[str, ...] = ()


PACKAGES: Mapping[str, Framework] = {
    "PyTorch": Framework(
        "torch",
        (
            Row("2.3", ("torchvision", "tensorboard")),
            Row("2.2", ("torchvision", "tensorboard", "numpy<2")),
            Row("2.0", ("torchvision", "tensorboard", "numpy<2"), "3.11"),
            Row("1.11", ("torchvision", "tensorboard", "numpy<2"), "3.10"),
            Row("1.8", ("torchvision", "tensorboard", "numpy<1.24", "setuptools<59.6"), "3.9"),
            Row("1.4", ("torchvision", "tensorboard", "future", "numpy<1.24", "setuptools<59.6"), "3.8"),
        ),
        frozenset({"pytorch", "pytorch-cpu", "pytorch-gpu"}),
    ),
    "TensorFlow": Framework(
        "tensorflow",
        (
            Row("2.16"),
            Row("2.12", (), "3.11"),
            Row("2.9", ("numpy<2",), "3.10"),
            Row("2.8", ("numpy<1.24", "protobuf<3.21"), "3.10"),
            Row("2.5", ("numpy<1.24", "protobuf<3.21"), "3.9"),
            Row("2.2", ("numpy<1.24", "protobuf<3.21"), "3.8"),
        ),
        frozenset({"tensorflow-cpu", "tensorflow-gpu", "tf-nightly"}),
    ),
    "Chainer": Framework(
        "chainer",
        # no wheels: it is built with pkg_resources, which the last setuptools for Python 3.8 still brings
        (Row("5", ("numpy<1.24", "protobuf<3.21", "setuptools<65"), "3.8"),),
        mpi=("mpi4py",),
    ),
    "ScikitLearn": Framework(
        "scikit-learn",
        (
            Row("1.5", ("scipy", "joblib")),
            Row("1.3", ("scipy", "joblib", "numpy<2")),
            Row("1.1", ("scipy", "joblib", "numpy<2"), "3.11"),
            Row("1.0", ("scipy", "joblib", "numpy<2"), "3.10"),
            Row("0.24", ("scipy", "joblib", "numpy<1.24"), "3.9"),
            Row("0.22", ("scipy", "joblib", "numpy<1.24"), "3.8"),
        ),
        frozenset({"sklearn"}),
    ),
}


@dataclass(frozen=True)
class Merged:
    """What is installed for a framework beside what its user names."""

    pip: tuple[str, ...] = ()
    python: str | None = None
    #: Names of packages that the user has chosen otherwise.
    overridden: tuple[str, ...] = ()


def merged(job: Mapping[str, Any], pip: Iterable[str], conda: Iterable[str]) -> Merged:
    """The packages of a job's framework; what the user names wins.

    Nothing where nobody asks: neither a package is named nor a version of the framework.

    :param pip: the user's lines for pip.
    :param conda: the user's packages for conda.
    :raises DefinitionError: the version is too old for any Python that scripts run with.
    """
    framework, version = PACKAGES.get(str(job["framework"])), job["framework_version"]
    pip, conda = [line for line in pip if not is_option(line)], list(conda)
    if framework is None or not job.get("framework_packages") or not (version or pip or conda):
        return Merged()
    row = _row(framework, version, str(job["framework"]))
    mpi = (job["distribution"] or {}).get("type") == "mpi"
    own = {*map(pip_name, pip), *map(conda_name, conda)}
    names = {framework.package, *framework.also}
    chosen = bool(own & names)
    wanted = {framework.package: _line(framework.package, version)}
    wanted |= {
        pip_name(line): line for line in [*_paired(row.packages, version), *(framework.mpi if mpi else ())]
    }
    overridden = [name for name in wanted if name in own or (name == framework.package and chosen)]
    kept = [_free(line) if chosen else line for name, line in wanted.items() if name not in overridden]
    return Merged(tuple(kept), None if chosen else row.python, tuple(overridden))


def _row(framework: Framework, version: str | None, name: str) -> Row:
    if version is None:
        return framework.rows[0]
    if not _VERSION.fullmatch(version):
        raise DefinitionError(
            f"framework_version of {name} is {version!r}, which is no version; write one such as "
            f"{framework.rows[0].since}."
        )
    for row in framework.rows:
        if (*_numbers(version), math.inf) >= _numbers(row.since):  # 2 is the newest 2.x
            return row
    raise DefinitionError(
        f"framework_version {version} of {name} has no wheels for any Python that scripts run with (3.8 or later); "
        f"write {framework.rows[-1].since} or later, or user_managed: true for an image that has it."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:2])


def _line(package: str, version: str | None) -> str:
    """`2.6` stands for the newest of its patch releases, `2.6.0` and `2.6rc1` for themselves."""
    if version is None:
        return package
    series = re.fullmatch(r"\d+(\.\d+)?", version)
    return f"{package}=={version}.*" if series else f"{package}=={version}"


def _paired(packages: Iterable[str], version: str | None) -> list[str]:
    """torchvision 0.N+1 goes with torch 1.N, 0.N+15 with 2.N; what goes with others, pip finds out."""
    numbers = _numbers(version or "")
    if len(numbers) < 2 or numbers[0] > 2:
        return list(packages)
    minor = numbers[1] + (1 if numbers[0] == 1 else 15)
    return [f"torchvision==0.{minor}.*" if one == "torchvision" else one for one in packages]


def _free(line: str) -> str:
    """What goes with a version isn't known where the user has chosen another one."""
    return "torchvision" if line.startswith("torchvision") else line
