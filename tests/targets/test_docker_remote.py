"""An engine elsewhere: by TCP, with certificates on both sides, and what is said when they don't fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import ConfigurationError
from airflow_train.targets.docker import plan
from airflow_train.targets.docker.engine import Engine
from airflow_train.targets.docker.errors import EngineUnreachable, NotAllowed, sentences
from tests.targets import certificates, relay
from tests.targets.lab import DOCKER, Lab, docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_engine")]


def _on(**options: Any) -> dict[str, Any]:
    return {**DOCKER, "options": {**DOCKER["options"], **options}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of an engine that is called as it is addressed."""
    return certificates.make(tmp_path_factory.mktemp("tls") / "mine", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of an engine that is called otherwise."""
    return certificates.make(tmp_path_factory.mktemp("tls") / "named", "DNS:engine.example")


def client_of(folder: Path) -> dict[str, str]:
    return {f"tls_{name}": str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    """Where the engine answers clients with a certificate."""
    with relay.by_tcp(certificates.server(folder)) as number:
        yield number


@pytest.mark.only("docker")
def test_a_run_needs_nothing_of_the_engines_machine(lab: Lab) -> None:
    with relay.by_tcp() as port:
        lab.target = _on(host=f"tcp://127.0.0.1:{port}")
        spec = lab.spec("open('outputs/kept', 'w').write('yes'); print('said', os.path.exists('train.py'))")
        spec.job["environment"]["docker_arguments"].clear()  # the mount that scripts leave their marks in
        code = b"import os\nopen('outputs/kept', 'w').write('yes'); print('said')\n"
        spec.snapshot["id"] = lab.snapshot({"train.py": code})  # type: ignore[index]
        lab.submit(spec)
        host = json.loads(docker("inspect", plan.container_name(spec.run_id)))[0]["HostConfig"]

        assert lab.wait(spec.run_id).status == "Completed"
        assert (host["Binds"], [one["Type"] for one in host["Mounts"]]) == (None, ["volume"])
        assert lab.output(spec.run_id, "outputs/kept") == "yes"
        assert lab.lines(spec.run_id) == ["said"]
        assert lab.nothing_left(spec.run_id)


@pytest.mark.only("docker")
def test_a_run_on_an_engine_with_certificates(lab: Lab, folder: Path, port: int) -> None:
    lab.target = _on(host=f"tcp://127.0.0.1:{port}", **client_of(folder))
    view = lab.run("open('outputs/kept', 'w').write('x' * 3_000_000); print('said')")

    assert view.status == "Completed", view.record.verdict
    assert len(lab.output(view.record.run_id, "outputs/kept")) == 3_000_000
    assert lab.lines(view.record.run_id) == ["said"]


def test_a_context_leads_to_an_engine_with_certificates(
    folder: Path, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    files = ",".join(f"{name}={folder}/{name}.pem" for name in ("ca", "cert", "key"))
    docker("context", "create", "there", "--docker", f"host=tcp://127.0.0.1:{port},{files}")
    number = hashlib.sha256(b"there").hexdigest()
    assert (tmp_path / "contexts" / "meta" / number).is_dir()

    assert Engine({"context": "there"}).version()["ApiVersion"]
    monkeypatch.setenv("DOCKER_CONTEXT", "there")
    assert Engine({}).where == f"tcp://127.0.0.1:{port} (context there)"
    assert Engine({}).version()["ApiVersion"]


def test_the_name_on_the_engines_certificate_is_checked(named: Path) -> None:
    with relay.by_tcp(certificates.server(named)) as port:
        options = {"host": f"tcp://127.0.0.1:{port}", **client_of(named)}
        with pytest.raises(EngineUnreachable, match="don't trust each other's certificates") as caught:
            Engine(options).version()
        found = Engine({**options, "tls_hostname": "engine.example"}).version()
        with pytest.raises(EngineUnreachable, match="certificates"):
            Engine({**options, "tls_hostname": "other.example"}).version()

    assert "tls_hostname" in str(caught.value)
    assert found["ApiVersion"]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_an_engine_of_another_authority_is_not_spoken_to(folder: Path, named: Path, port: int) -> None:
    options = {"host": f"tcp://127.0.0.1:{port}", **client_of(folder), "tls_ca": str(named / "ca.pem")}
    with pytest.raises(EngineUnreachable, match=r"don't trust .* certificate") as caught:
        Engine(options).version()

    assert len(str(caught.value).splitlines()) == 1
    assert Engine({**options, "tls_verify": False}).version()["ApiVersion"]


@pytest.mark.only("docker")
def test_certificates_that_are_not_good_end_a_run_as_nothing_that_a_retry_mends(
    lab: Lab, folder: Path, named: Path, port: int
) -> None:
    options = {"host": f"tcp://127.0.0.1:{port}", **client_of(folder)}
    lab.target = _on(**{**options, "tls_ca": str(named / "ca.pem")})
    found = lab.run("pass").record.verdict or {}

    assert found["reason"] == "could_not_start"
    assert "tls_ca" in found["message"]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol", EngineUnreachable),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", NotAllowed),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", NotAllowed),
        ("[X509: KEY_VALUES_MISMATCH] key values mismatch", NotAllowed),
        ("[Errno 13] Permission denied", NotAllowed),
        ("[Errno 111] Connection refused", EngineUnreachable),
    ],
)
def test_only_what_somebody_has_to_mend_is_not_waited_for(said: str, kind: type[EngineUnreachable]) -> None:
    with pytest.raises(EngineUnreachable) as caught, sentences("trying", "tcp://there:2376"):
        raise OSError(said)

    assert type(caught.value) is kind


def test_an_engine_that_wants_a_certificate_says_so(folder: Path, port: int) -> None:
    with pytest.raises(EngineUnreachable, match=r"tls_ca, tls_cert and tls_key"):
        Engine({"host": f"tcp://127.0.0.1:{port}", "tls_ca": str(folder / "ca.pem")}).version()


def test_an_engine_with_certificates_is_not_spoken_to_in_the_open(port: int) -> None:
    with pytest.raises(EngineUnreachable, match=r"tls_ca, tls_cert and tls_key"):
        Engine({"host": f"tcp://127.0.0.1:{port}"}).version()


def test_broken_logins_of_the_docker_command_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"auths": {"r.example": {"auth": "no base64"}}}')
    with pytest.raises(ConfigurationError, match=r"config.json .*login"):
        Engine({"host": "unix:///var/run/docker.sock"}).version()
