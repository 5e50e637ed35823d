"""Pulls from a registry with a login: whose login goes where, what is said without one, and that none is kept."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.environments import image as images
from airflow_train.environments.recipe import Recipe
from airflow_train.exceptions import SecretNotFound
from airflow_train.lifecycle import cancel
from airflow_train.lifecycle import secrets as keeping
from airflow_train.targets import connections
from airflow_train.targets.docker import build, place
from tests.targets import registry
from tests.targets.lab import DOCKER, IMAGE, Lab, docker

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

SAID = {"username": registry.USER, "password": "env:REGISTRY_PASSWORD"}


@pytest.fixture(scope="module")
def address(docker_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has the image `private/tool:1`."""
    with registry.running(tmp_path_factory.mktemp("registry")) as found:
        registry.push(IMAGE, found, "private/tool:1")
        yield found


@pytest.fixture(autouse=True)
def nobody(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The docker command here knows no login, and the engine doesn't have the image."""
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("REGISTRY_PASSWORD", registry.PASSWORD)
    yield tmp_path / "docker"
    subprocess.run(["docker", "rmi", f"{address}/private/tool:1"], capture_output=True, check=False)


def submitted(lab: Lab, image: str, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How a run of this image ended, submitted as `lifecycle.submit` does."""
    spec = lab.spec("print('ran')", environment={"image": image, **({"registry": said} if said else {})})
    lab.store.create(spec)
    found = keeping.of_spec(spec, keeping.ENVIRONMENT)
    targets.get(spec.target).submit(spec, lab.store, found)
    verdict = dict(lab.wait(spec.run_id).record.verdict or {})
    assert lab.nothing_left(spec.run_id)
    return {**verdict, "run_id": spec.run_id}


def test_a_login_by_reference_is_used_and_kept_nowhere(lab: Lab, address: str) -> None:
    found = submitted(lab, "private/tool:1", {"address": address, **SAID})

    assert found["status"] == "Completed", found
    stored = [path for path in lab.path(found["run_id"]).rglob("*") if path.is_file()]
    assert [path for path in stored if registry.PASSWORD.encode() in path.read_bytes()] == []
    assert lab.lines(found["run_id"]) == ["ran"]


def test_a_login_never_reaches_the_container(lab: Lab, address: str) -> None:
    spec = lab.spec(
        "mark('ready'); signal.pause()", environment={"image": f"{address}/private/tool:1", "registry": SAID}
    )
    lab.store.create(spec)
    targets.get(spec.target).submit(spec, lab.store, keeping.of_spec(spec, keeping.ENVIRONMENT))
    lab.marked(spec.run_id, "ready")
    name = f"airflow-train-{spec.run_id}-node0"
    described = docker("inspect", name) + docker("image", "inspect", f"{address}/private/tool:1")
    inside = docker(
        "exec", name, "python3", "-c", f"print({registry.PASSWORD!r} in str(__import__('os').environ))"
    )
    volume = docker("run", "--rm", "--volumes-from", name, IMAGE, "grep", "-rlF", registry.PASSWORD, "/airflow-train",
                    check=False)  # fmt: skip
    cancel.cancel(lab.store, spec.run_id)
    lab.wait(spec.run_id)

    assert registry.PASSWORD not in described
    assert (inside, volume) == ("False", "")


def test_an_image_is_built_on_a_private_one_and_knows_nothing_of_the_login(lab: Lab, address: str) -> None:
    text = f"ARG BASE={address}/private/tool:1\nFROM ${{BASE}}\nRUN echo a layer\n"
    spec = lab.spec(
        "print('ran')", environment={"dockerfile": text, "registry": {"address": address, **SAID}}
    )
    lab.store.create(spec)
    targets.get(spec.target).submit(spec, lab.store, keeping.of_spec(spec, keeping.ENVIRONMENT))
    view = lab.wait(spec.run_id)
    name = images.tag(build.recipe_for(spec.job, {}) or Recipe())
    described = docker("image", "inspect", name) + docker("history", "--no-trunc", name)
    docker("image", "rm", name)

    assert view.status == "Completed", view.record.verdict
    assert lab.lines(spec.run_id, 0) == ["ran"]
    assert registry.PASSWORD not in described
    stored = [path for path in lab.path(spec.run_id).rglob("*") if path.is_file()]
    assert [path for path in stored if registry.PASSWORD.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "the registry wants a login"),
        ({**SAID, "password": "env:WRONG"}, "the registry refuses the login of image_registry_details"),
    ],
    ids=["no login", "bad login"],
)
def test_a_login_that_is_not_good_enough_is_the_users_to_mend(
    lab: Lab, address: str, said: Mapping[str, Any] | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "wrong-password")
    found = submitted(lab, f"{address}/private/tool:1", said)

    assert found["reason"] == "could_not_start"
    assert words in found["message"], found
    assert "wrong-password" not in found["message"]
    assert len(found["message"].splitlines()) == 1


def test_an_image_that_the_registry_does_not_have_is_the_users_to_mend(lab: Lab, address: str) -> None:
    found = submitted(lab, f"{address}/private/tool:2", SAID)

    assert found["reason"] == "could_not_start"
    assert "correct custom_docker_image" in found["message"], found


def test_the_docker_commands_own_login_is_used(lab: Lab, address: str, nobody: Path) -> None:
    word = base64.b64encode(f"{registry.USER}:{registry.PASSWORD}".encode()).decode()
    (nobody / "config.json").write_text(json.dumps({"auths": {address: {"auth": word}}}))

    assert submitted(lab, f"{address}/private/tool:1")["status"] == "Completed"


def test_a_credential_helper_of_the_docker_command_is_asked(
    lab: Lab, address: str, nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.dumps({"Username": registry.USER, "Secret": registry.PASSWORD})
    helper = nobody / "docker-credential-tests"
    helper.write_text(f"#!/bin/sh\necho '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(nobody), prepend=":")
    (nobody / "config.json").write_text(json.dumps({"credHelpers": {address: "tests"}}))

    assert submitted(lab, f"{address}/private/tool:1")["status"] == "Completed"


def test_a_credential_helper_that_is_not_there_is_named(lab: Lab, address: str, nobody: Path) -> None:
    (nobody / "config.json").write_text(json.dumps({"credHelpers": {address: "absent"}}))
    found = submitted(lab, f"{address}/private/tool:1")

    assert found["reason"] == "could_not_start"
    assert "credential helper" in found["message"]
    assert "docker-credential-absent" in found["message"]


def test_the_login_of_the_targets_connection_is_used(
    lab: Lab, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = connections.Connection("docker", address, None, registry.USER, registry.PASSWORD)
    monkeypatch.setattr(connections, "_reader", lambda conn_id: kept)
    monkeypatch.setattr(place, "_known", {})
    lab.target = {**DOCKER, "options": {**DOCKER["options"], "connection": "hub"}}

    assert submitted(lab, f"{address}/private/tool:1")["status"] == "Completed"


def test_no_registry_gets_to_know_the_login_of_another(
    lab: Lab, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = connections.Connection("docker", "other.example", None, registry.USER, registry.PASSWORD)
    monkeypatch.setattr(connections, "_reader", lambda conn_id: kept)
    monkeypatch.setattr(place, "_known", {})
    lab.target = {**DOCKER, "options": {**DOCKER["options"], "connection": "hub"}}

    assert "the registry wants a login" in submitted(lab, f"{address}/private/tool:1")["message"]


def test_a_login_that_leads_to_nothing_is_named(lab: Lab) -> None:
    spec = lab.spec(
        "pass", environment={"image": "x", "registry": {**SAID, "password": "env:NOBODY_SET_THIS"}}
    )
    with pytest.raises(SecretNotFound, match=r"image_registry_details.password is env:NOBODY_SET_THIS, but"):
        keeping.of_spec(spec, keeping.ENVIRONMENT)


@pytest.mark.parametrize("good", [True, False])
def test_doctor_tries_the_login(lab: Lab, address: str, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    password = registry.PASSWORD if good else "wrong-password"
    kept = connections.Connection("docker", address, None, registry.USER, password)
    monkeypatch.setattr(connections, "_reader", lambda conn_id: kept)
    monkeypatch.setattr(place, "_known", {})
    target = targets.get({**DOCKER, "options": {**DOCKER["options"], "connection": "hub"}})
    found = {what: (works, text) for what, works, text in target.doctor(lab.store)}

    assert found["login"][0] == good
    assert f"{address} {'takes' if good else 'refuses'} the login of connection hub" in found["login"][1]
    assert "wrong-password" not in str(found)
    assert [found[what][0] for what in ("engine", "memory limits", "gpu", "image")] == [True] * 4
