"""Packages as conda and pip write them: their names, and what a line may be."""

from __future__ import annotations

import re
from typing import Any

from airflow_train.definitions.kinds import Text
from airflow_train.definitions.lists import TextList
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.requirement_lines import conda_problem, problem
from airflow_train.exceptions import DefinitionError

_NAME_ENDS = re.compile(r"[\s\[=<>~!;@,]")
_PASSWORD = re.compile(r"://[^/\s]*:[^/\s]*@")


def conda_name(package: Any) -> str:
    """`numpy` of `conda-forge::numpy=2.1`."""
    return _NAME_ENDS.split(str(package).rpartition("::")[2].strip(), maxsplit=1)[0].lower()


def pip_name(package: Any) -> str:
    """`scikit-learn` of `Scikit_Learn[all]>=1.0`, and of the name or address of its wheel."""
    text = str(package).strip()
    if text.endswith(".whl") and "@" not in text:
        text = text.rpartition("/")[2].partition("-")[0]
    return re.sub(r"[-_.]+", "-", _NAME_ENDS.split(text, maxsplit=1)[0]).lower()


def is_option(line: Any) -> bool:
    """Whether a line of pip's is an option of it."""
    return str(line).startswith("-")


def package_text(name: str, value: Any) -> str:
    """Text that holds no password.

    :param name: what the text is, for messages.
    :raises DefinitionError: it is no text, or holds one.
    """
    report = Report("CondaDependencies")
    read = Text().read(value, At(report) / name)
    if read is not None and _PASSWORD.search(read):
        (At(report) / name).say(
            f"{name} (not shown) is an address with a password, which definitions never hold",
            "let pip or conda find it in their own configuration",
        )
    report.finish(stacklevel=3)
    return str(read).strip()


def package_texts(name: str, values: Any) -> list[str]:
    """The same of a list.

    :raises DefinitionError: it is no list, or one of it isn't such text.
    """
    report = Report("CondaDependencies")
    read = TextList().read(() if values is None else values, At(report) / name)
    report.finish(stacklevel=3)
    return [package_text(name, one) for one in read]


def pip_package_text(value: Any) -> str:
    """A package of pip's.

    :raises DefinitionError: it is an option.
    """
    text = package_text("pip_package", value)
    if text.startswith("-"):
        raise DefinitionError(
            f"CondaDependencies: pip_package is {text!r}, an option; add it by set_pip_option."
        )
    return text


def pip_option_text(value: Any) -> str:
    """An option of pip's.

    :raises DefinitionError: it is none.
    """
    text = package_text("pip_option", value)
    if not text.startswith("-"):
        raise DefinitionError(
            f"CondaDependencies: pip_option is {text!r} but must begin with a dash; add a package by add_pip_package."
        )
    return text


def pip_line_texts(name: str, values: Any) -> list[str]:
    """Packages and options of pip's.

    :raises DefinitionError: it is no list, or one of it is neither.
    """
    return [honoured(name, one) for one in package_texts(name, values)]


def honoured(name: str, text: str, *, pip: bool = True) -> str:
    """The line for pip, or what conda is told, if it means the same wherever it is installed.

    :raises DefinitionError: it doesn't.
    """
    if wrong := (problem if pip else conda_problem)(text):
        raise DefinitionError(f"CondaDependencies: {wrong.of(name)}; {wrong.mend}.")
    return text
