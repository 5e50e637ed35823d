"""The text of Dockerfiles: of what a recipe installs on an image, and of an author's own. Pure.

Every image on the way carries the label `LABEL` with the value `BUILDING`, the finished one that label with the
recipe's key, so that whatever a killed build leaves on an engine is known for what it is.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from airflow_train.environments.recipe import Recipe

LABEL = "airflow-train.environment"
BUILDING = "building"
#: Build argument: the user of the image that is installed on. Packages are installed as root.
USER = "AIRFLOW_TRAIN_USER"
#: Folder of a build context, and where it comes to lie in the image.
FOLDER, INSIDE = "airflow-train-environment", "/opt/airflow-train/environment"
REQUIREMENTS, PIP = "requirements.txt", "pip.pyz"

_MARK = f"LABEL {LABEL}={BUILDING}"
_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_ARG = re.compile(r"\s*ARG\s+(\w+)=(\S+)\s*$", re.IGNORECASE)
_COPY = re.compile(r"\s*COPY\s+(?:--\S+\s+)*?--from=(\S+)\s", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
#: https://docs.docker.com/reference/dockerfile/: options, and text in the place of a file.
_BUILDKIT = re.compile(
    r"\s*(?:RUN|COPY|ADD)\s(?:--\S+\s+)*?(--(?:mount|network|security|link|chmod|parents|exclude|checksum|keep-git-dir)\b"
    r"|(?:.*\s)?<<-?[\"']?[A-Za-z_]\w*)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)\s*$", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")


def packages(recipe: Recipe, base: str) -> str:
    """What a recipe installs on an image: apt first, as it changes least, then conda, then pip."""
    lines = [f"FROM {base}", _MARK, "USER root"]
    if recipe.apt:
        lines.append(_run(_apt(recipe)))
    if recipe.conda:
        lines.append(_run(_conda(recipe, _NO_CONDA)))
    elif recipe.python:
        lines.append(_run(_python(recipe)))
    if recipe.pip:
        lines += [f"COPY {FOLDER} {INSIDE}", _run(_pip())]
    return "\n".join([*lines, f"ARG {USER}", f"USER ${{{USER}}}", ""])


def installs(recipe: Recipe) -> bool:
    """Does a recipe ask for more than an author's own Dockerfile?"""
    return bool(recipe.apt or recipe.conda or recipe.pip or recipe.python)


def _run(commands: list[str]) -> str:
    return "RUN " + " \\\n && ".join(commands)


def _unless(condition: str, sentence: str) -> str:
    """Say that the image isn't fit for this, and stop."""
    return f"if ! {condition}; then echo {shlex.quote(f'ERROR: {sentence}')} >&2; exit 1; fi"


def _apt(recipe: Recipe) -> list[str]:
    return [
        _unless(
            "command -v apt-get >/dev/null",
            "the image has no apt-get for the apt packages; use one of Debian or Ubuntu, or a Dockerfile",
        ),
        "export DEBIAN_FRONTEND=noninteractive",
        "apt-get update -q",
        f"apt-get install -q -y --no-install-recommends {shlex.join(recipe.apt)}",
        "apt-get clean",
        "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin",
    ]


def _conda(recipe: Recipe, problem: str) -> list[str]:
    """Install by conda, whichever the image has.

    :param problem: what is wrong when it has none.
    """
    wanted = shlex.join([*([f"python={recipe.python}"] if recipe.python else []), *recipe.conda])
    channels = shlex.join(word for one in recipe.conda_channels for word in ("-c", one))
    # micromamba has no channels of its own
    usual = '$([ "$conda" != micromamba ] || echo -c conda-forge)'
    return [
        'for conda in micromamba mamba conda ""; do command -v "$conda" >/dev/null && break; done; '
        + _unless('[ -n "$conda" ]', problem),
        f'"$conda" install -q -y -n base {channels or usual} {wanted}',
        '"$conda" clean -q -a -y',
    ]


_NO_CONDA = (
    "the image has none of micromamba, mamba and conda on its PATH for the conda packages; use an image that has one, "
    "such as mambaorg/micromamba"
)
_FIND_PYTHON = "python=$(command -v python3 || command -v python || echo false)"


def _python(recipe: Recipe) -> list[str]:
    """The wanted version is there, or conda brings it."""
    sentence = (
        f"Python {recipe.python} is wanted, which the image hasn't and no conda of it can bring; use an image that has "
        f"it, such as python:{recipe.python}-slim, or leave the version out"
    )
    found = (
        f"""'import sys; sys.exit(not ("%d.%d.%d." % sys.version_info[:3]).startswith("{recipe.python}."))'"""
    )
    bring = " \\\n      && ".join(_conda(recipe, sentence))
    return [_FIND_PYTHON, f'if ! "$python" -c {found}; then {bring}; fi']


def _pip() -> list[str]:
    """The image's own pip, else the one that came along."""
    options = "PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1"
    return [
        _FIND_PYTHON,
        _unless(
            '"$python" -c ""', "the image has no Python on its PATH; use an image with Python 3.8 or later"
        ),
        f'if "$python" -m pip --version >/dev/null 2>&1; then pip="-m pip"; else pip={INSIDE}/{PIP}; fi',
        f"export {options} PIP_ROOT_USER_ACTION=ignore PIP_PROGRESS_BAR=off",
        f'"$python" $pip install -r {INSIDE}/{REQUIREMENTS}',
        f"rm {INSIDE}/{PIP}",
    ]


# ---------------------------------------------------------------------- an author's own


def marked(text: str) -> str:
    """A Dockerfile whose every stage begins with the label."""
    lines: list[str] = []
    for instruction in _instructions(text):
        lines.append(instruction)
        if _FROM.match(_joined(instruction, text)):
            lines.append(_MARK)
    return "\n".join(lines) + "\n"


def buildkit_only(text: str) -> str | None:
    """What of a Dockerfile only BuildKit knows, which engines don't use for builds through their own API."""
    for instruction in _instructions(text):
        if found := _BUILDKIT.match(_joined(instruction, text)):
            return found[1]
    return None


def bases(text: str) -> list[str]:
    """Images that a Dockerfile builds on or copies from, as far as it says their names itself."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    found: list[str] = []
    for instruction in _instructions(text):
        line = _joined(instruction, text)
        if not stages and not found and (argument := _ARG.match(line)):
            arguments[argument[1]] = _filled(argument[2].strip("\"'"), arguments)
        stage, copy = _FROM.match(line), _COPY.match(line)
        name = _filled(stage[1], arguments) if stage else copy[1] if copy else "scratch"
        own = name == "scratch" or name.lower() in stages or (copy and name.isdecimal())
        if not own and "$" not in name and name not in found:
            found.append(name)
        if stage:
            stages.add((stage[2] or "").lower())
    return found


def _filled(text: str, arguments: dict[str, str]) -> str:
    """Text with the arguments that are known; the others stay as they are."""
    return _VARIABLE.sub(lambda one: arguments.get(one[1] or one[3]) or one[2] or one[0], text)


def _escape(text: str) -> str:
    """The character that continues a line, which directives at the top may change."""
    for line in text.splitlines():
        if found := _ESCAPE.match(line.strip()):
            return found[1]
        if not _DIRECTIVE.match(line.strip()):
            break
    return "\\"


def _instructions(text: str) -> Iterator[str]:
    """Instructions with all their lines, and what lies between them."""
    escape = _escape(text)
    pending: list[str] = []
    for line in text.splitlines():
        inside = bool(pending)
        pending.append(line)
        passed_over = line.lstrip().startswith("#") or (inside and not line.strip())
        if not (inside if passed_over else line.rstrip().endswith(escape)):
            yield "\n".join(pending)
            pending = []
    if pending:
        yield "\n".join(pending)


def _joined(instruction: str, text: str) -> str:
    """An instruction in one line."""
    escape = _escape(text)
    lines = [line.rstrip() for line in instruction.splitlines() if not line.lstrip().startswith("#")]
    return " ".join(line.removesuffix(escape) for line in lines)
