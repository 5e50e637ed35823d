"""Git facts of a source directory: Azure ML's keys, and no credentials."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from airflow_train.runs import git

WHO = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")


def run_git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("print(1)\n")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_a_clean_checkout_names_commit_and_branch_and_no_repository(repository: Path) -> None:
    commit = run_git(repository, "rev-parse", "HEAD")
    assert git.facts(repository / "src", {"PATH": os.environ["PATH"]}) == {
        "azureml.git.dirty": "False",
        "azureml.git.commit": commit,
        "azureml.git.branch": "trunk",
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": "trunk",
    }


def test_only_changes_below_the_source_directory_make_it_dirty(repository: Path) -> None:
    (repository / "elsewhere.txt").write_text("x")
    assert git.facts(repository / "src")["azureml.git.dirty"] == "False"
    (repository / "src" / "new.py").write_text("x")
    assert git.facts(repository / "src")["azureml.git.dirty"] == "True"


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    run_git(repository, "checkout", "-q", "--detach")
    found = git.facts(repository)
    assert "azureml.git.branch" not in found
    assert "azureml.git.commit" in found


def test_the_remote_is_named_without_its_credentials(repository: Path) -> None:
    run_git(repository, "remote", "add", "origin", "https://user:ghp_secret@example.org/team/x.git")
    found = git.facts(repository)
    assert found["azureml.git.repository_uri"] == "https://example.org/team/x.git"
    assert found["mlflow.source.git.repoURL"] == "https://example.org/team/x.git"
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("ssh://git:pw@host:22/x.git?token=1#f", "ssh://host:22/x.git"),
        ("git@github.com:team/x.git", "git@github.com:team/x.git"),
        ("me:pw@host:team/x", "me@host:team/x"),
        ("https://u:a/b@host/x", "https://host/x"),
        ("/srv/git/x.git", "/srv/git/x.git"),
    ],
)
def test_no_form_of_url_keeps_a_secret(url: str, kept: str) -> None:
    assert git.without_credentials(url) == kept


def test_the_environment_wins_and_is_cleaned_too(repository: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "AZUREML_GIT_BRANCH": "release",
        "AZUREML_GIT_BUILD_URI": "https://ci:key@example.org/1",
    }
    found = git.facts(repository, environment)
    assert found["azureml.git.branch"] == found["mlflow.source.git.branch"] == "release"
    assert found["azureml.git.build_uri"] == "https://example.org/1"


def test_without_repository_or_git_there_are_no_facts(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    assert git.facts(tmp_path, environment) == {}
    assert git.facts(tmp_path, {"PATH": str(tmp_path)}) == {}


def test_nothing_that_a_repository_configures_is_run(repository: Path) -> None:
    mark = repository / "ran"
    program = repository / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    run_git(repository, "config", "core.fsmonitor", str(program))
    assert git.facts(repository)["azureml.git.dirty"] == "True"
    assert not mark.exists()
