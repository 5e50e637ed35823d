"""Where the engine is: the first of option, environment and context wins, and what contradicts itself is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_train.exceptions import ConfigurationError, SecretNotFound
from airflow_train.targets import connections
from airflow_train.targets.docker import place

Contexts = Callable[..., None]
KEPT = connections.Connection


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker command's settings, and nothing in the environment."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker"


@pytest.fixture
def context(folder: Path) -> Contexts:
    """Writes a context as `docker context create` does."""

    def write(name: str, host: str, *material: str, skip: bool = False) -> None:
        number = hashlib.sha256(name.encode()).hexdigest()
        meta = folder / "contexts" / "meta" / number
        meta.mkdir(parents=True)
        endpoint = {"Host": host, "SkipTLSVerify": skip}
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
        tls = folder / "contexts" / "tls" / number / "docker"
        for one in material:
            tls.mkdir(parents=True, exist_ok=True)
            (tls / f"{one}.pem").touch()

    return write


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has Airflow keep a connection under the id `c`."""
    monkeypatch.setattr(place, "_known", {})

    def kept(**fields: Any) -> None:
        monkeypatch.setattr(connections, "_reader", lambda conn_id: KEPT(**{"kind": "docker", **fields}))

    return kept


def test_the_first_of_option_environment_and_context_wins(
    folder: Path, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hosts(**options: Any) -> str:
        return place.find(options).host

    found = [hosts()]
    for name in ("current", "named", "option"):
        context(name, f"tcp://{name}:2375")
    (folder / "config.json").write_text('{"currentContext": "current"}')
    found.append(hosts())
    monkeypatch.setenv("DOCKER_CONTEXT", "named")
    found.append(hosts())
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:2375")
    found += [hosts(), hosts(context="option"), hosts(host="unix:///mine"), hosts(context="default")]

    names = ["current:2375", "named:2375", "host:2375", "option:2375"]
    assert found == [place.SOCKET, *(f"tcp://{name}" for name in names), "unix:///mine", place.SOCKET]


def test_a_context_brings_its_certificates(folder: Path, context: Contexts) -> None:
    context("whole", "tcp://a:2376", "ca", "cert", "key")
    context("lax", "tcp://b:2376", "ca", skip=True)
    whole, lax = place.find({"context": "whole"}), place.find({"context": "lax"})

    assert whole.tls is not None
    assert lax.tls is not None
    assert (whole.host, whole.name) == ("https://a:2376", "tcp://a:2376 (context whole)")
    assert [Path(str(one)).name for one in (whole.tls.ca, whole.tls.cert, whole.tls.key)] == [
        *("ca.pem", "cert.pem", "key.pem")
    ]
    assert (whole.tls.verify, lax.tls.verify, lax.tls.cert) == (True, False, None)


def test_the_environment_brings_its_certificates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://a:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    (folder / "ca.pem").touch()
    found = place.find({})

    assert (found.host, found.tls) == ("https://a:2376", place.Tls(ca=str(folder / "ca.pem")))
    assert place.find({"host": "tcp://b:2375"}).tls is None


def test_a_connection_names_an_engine_a_login_or_both(keep: Callable[..., None]) -> None:
    found = []
    for fields in (
        {"host": "r.example", "port": 5000, "login": "me", "password": "p"},
        {"host": "tcp://e", "port": 2375},
        {
            "host": "r.example", "login": "me", "password": "p", "extra": {"docker_url": "tcp://e:2375"},
        },
        {"host": "unix:///e", "login": "me", "password": "p", "extra": {"registry": "r.example"}},
    ):  # fmt: skip
        keep(**fields)
        place._known.clear()
        one = place.find({"connection": "c"})
        found.append((one.host, one.login.registry if one.login else None))

    assert found == [
        (place.SOCKET, "r.example:5000"),
        ("tcp://e:2375", None),
        ("tcp://e:2375", "r.example"),
        ("unix:///e", "r.example"),
    ]
    assert "p" not in str(one.login).replace("password", "").replace("example", "")


def test_a_connection_says_where_certificates_lie_as_docker_operator_does(
    keep: Callable[..., None], folder: Path
) -> None:
    (folder / "mine.pem").touch()
    extra = {"docker_url": "tcp://e:2376", "tls_ca_cert": str(folder / "mine.pem"), "tls_hostname": "engine"}
    keep(extra=extra)
    found = place.find({"connection": "c"})

    assert found.tls == place.Tls(ca=str(folder / "mine.pem"), hostname="engine")
    assert (found.host, found.name) == ("https://e:2376", "tcp://e:2376 (connection c)")


def test_a_connection_that_cannot_be_asked_for_again_is_as_it_was(
    keep: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(host="tcp://a", port=1)
    found = [place.find({"connection": "c"}).host]
    keep(host="tcp://b", port=1)
    found.append(place.find({"connection": "c"}).host)
    monkeypatch.setattr(place, "_REMEMBERED", 0.0)
    found.append(place.find({"connection": "c"}).host)
    monkeypatch.setattr(connections, "_reader", connections._nobody)
    found.append(place.find({"connection": "c"}).host)

    assert found == ["tcp://a:1", "tcp://a:1", "tcp://b:1", "tcp://b:1"]


@pytest.mark.parametrize(
    ("options", "fields", "words"),
    [
        (
            {"context": "nobody"},
            {},
            "there is no Docker context 'nobody' on this machine; `docker context ls`",
        ),
        ({"host": "unix:///a", "context": "b"}, {}, "both host and context; leave one of them out"),
        ({"host": "/var/run/docker.sock"}, {}, "is no address of a Docker engine; write unix:///"),
        *(
            ({"host": host}, {}, f"{host!r} is no address of a Docker engine; write unix:///")
            for host in ("tcp://", "unix://", "tcp://a:99999", "tcp://a:port", "tcp://[a")
        ),
        ({"host": "ssh://me@there"}, {}, "by ssh, which this version can't; forward its socket"),
        ({"host": "tcp://a:1", "tls_ca": "/nowhere"}, {}, "tls_ca is /nowhere, but there is no such file"),
        ({"connection": "c"}, {"kind": "http"}, "is of type 'http' but must be docker"),
        ({"connection": "c"}, {"host": "x"}, "names neither a Docker engine nor a login"),
        ({"connection": "c", "host": "unix:///a"}, {"host": "tcp://b:1"}, "and so does the option host"),
    ],
)
def test_what_leads_nowhere_is_refused_in_one_sentence(
    keep: Callable[..., None], options: dict[str, Any], fields: dict[str, Any], words: str
) -> None:
    keep(**fields)
    with pytest.raises(ConfigurationError) as caught:
        place.find(options)

    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_certificate_without_its_key_is_refused(folder: Path) -> None:
    (folder / "cert.pem").touch()
    with pytest.raises(ConfigurationError, match="tls_cert and tls_key belong together"):
        place.find({"host": "tcp://a:1", "tls_cert": str(folder / "cert.pem")})


def test_settings_of_the_docker_command_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(
        ConfigurationError, match=r"config.json, which the docker command keeps, can't be read"
    ):
        place.find({})


def test_without_airflow_a_connection_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_known", {})
    monkeypatch.setattr(connections, "_reader", connections._nobody)
    with pytest.raises(SecretNotFound, match="is kept by Airflow, which this process can't ask"):
        place.find({"connection": "c"})
