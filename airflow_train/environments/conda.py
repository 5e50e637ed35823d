"""Packages of conda, by whichever of its programs is there."""

from __future__ import annotations

import os
import shutil

from airflow_train.environments.recipe import Recipe
from airflow_train.exceptions import UnsupportedByTarget

#: Fastest first, with the variable in which each leaves its own path.
_PROGRAMS = {"micromamba": "MAMBA_EXE", "mamba": "", "conda": "CONDA_EXE"}


def find() -> str:
    """Path of micromamba, mamba or conda.

    :raises UnsupportedByTarget: there is none.
    """
    for name, variable in _PROGRAMS.items():
        for one in (name, os.environ.get(variable, "") if variable else ""):
            if one and (found := shutil.which(one)):
                return os.path.abspath(found)
    raise UnsupportedByTarget(
        "conda_packages need micromamba, mamba or conda, and none of them is on this machine's PATH; install one, name "
        "pip_packages instead, or use a compute target that has it."
    )


def command(program: str, recipe: Recipe, python: str, prefix: str) -> list[str]:
    """What makes an environment at `prefix`.

    :param python: version for recipes that want none.
    """
    own = any(one.split("=")[0].split("[")[0].strip() == "python" for one in recipe.conda)
    wanted = [] if own else [f"python={recipe.python or python}"]
    channels = [part for one in recipe.conda_channels for part in ("--channel", one)]
    only = ["--override-channels"] if channels else []
    return [program, "create", "--yes", "--prefix", prefix, *only, *channels, *wanted, *recipe.conda]
