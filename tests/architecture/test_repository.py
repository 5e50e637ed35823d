"""What is in the repository as a whole: links that lead somewhere, a lock that fits, a wheel that holds everything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
REGISTRY = re.compile(
    r"""(index-url|find-links|resolved|registry|url) *[=:"]+ *"?https?://|https?://[^ "]*/(simple|packages)/"""
)

#: Distributions that are named otherwise than what they install.
DISTRIBUTIONS = {"airflow": "apache-airflow", "yaml": "pyyaml"}


@pytest.fixture
def tracked(repository: Path) -> list[Path]:
    """Every file that git would hand to others."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    return [
        repository / name for name in listing.stdout.split("\0") if name and (repository / name).is_file()
    ]


def test_every_relative_link_in_the_docs_leads_to_a_file_and_a_heading(
    tracked: list[Path], repository: Path
) -> None:
    pages = [file for file in tracked if file.suffix == ".md"]
    dead = [
        f"{page.relative_to(repository)}: {link}"
        for page in pages
        for link in LINK.findall(_prose(page))
        if not re.match(r"[a-z]+:", link) and not _leads_somewhere(page, link)
    ]
    assert pages
    assert dead == []


def test_no_file_names_the_address_of_a_package_registry(tracked: list[Path], repository: Path) -> None:
    found = [
        f"{file.relative_to(repository)}:{number}"
        for file in tracked
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if REGISTRY.search(line)
    ]
    assert found == []


def test_the_lock_holds_a_fitting_version_of_everything_the_project_asks_for(repository: Path) -> None:
    project = tomllib.loads(repository.joinpath("pyproject.toml").read_text(encoding="utf-8"))
    groups = [
        entry for group in project["dependency-groups"].values() for entry in group if isinstance(entry, str)
    ]
    lock = repository.joinpath("requirements", "dev.txt").read_text(encoding="utf-8")
    locked = _locked(lock)
    asked = [Requirement(text) for text in [*project["project"]["dependencies"], *groups]]
    wrong = [str(one) for one in asked if not one.specifier.contains(locked.get(_key(one.name), "0"))]

    assert wrong == [], "run `make lock`"
    assert "--hash=sha256:" in lock


def test_the_image_of_airflow_holds_what_the_package_asks_for_in_the_versions_of_the_lock(
    repository: Path,
) -> None:
    project = tomllib.loads(repository.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock, image = (
        _locked(repository.joinpath(*name).read_text(encoding="utf-8"))
        for name in (("requirements", "dev.txt"), ("docker", "airflow", "requirements.txt"))
    )
    asked = [*project["dependencies"], *project["optional-dependencies"]["docker"]]

    assert {_key(Requirement(text).name) for text in asked} - image.keys() == set(), "run `make lock`"
    assert image.items() - lock.items() == set(), "run `make lock`"


def test_the_package_declares_what_it_imports_and_nothing_else(repository: Path) -> None:
    project = tomllib.loads(repository.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {_key(Requirement(text).name) for text in project["dependencies"]}
    sources = repository.joinpath("airflow_train").rglob("*.py")
    roots = {name.partition(".")[0] for file in sources for name in _imported(file)}
    foreign = (
        roots
        - sys.stdlib_module_names
        - {"airflow_train", "azureml_run", "train_run", "train_mpi", "train_redaction"}
    )

    extras = {
        _key(Requirement(text).name) for each in project["optional-dependencies"].values() for text in each
    }

    assert {DISTRIBUTIONS.get(root, root) for root in foreign} - extras == declared


def test_the_wheel_holds_every_file_of_the_package(
    tracked: list[Path], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flit_core import buildapi

    monkeypatch.chdir(repository)
    wheel = zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path)))
    package = repository / "airflow_train"
    wanted = {str(file.relative_to(repository)) for file in tracked if package in file.parents}

    assert wanted - set(wheel.namelist()) == set()


def _imported(file: Path) -> list[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]


def _locked(text: str) -> dict[str, str]:
    """Distribution → its version, the last where it depends on the Python."""
    return {_key(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)}


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _prose(page: Path) -> str:
    """The page without code, where brackets mean something else."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as code hosts make them."""
    headings = re.findall(r"^#+ +(.+?) *$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
