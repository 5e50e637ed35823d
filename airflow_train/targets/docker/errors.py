"""What an engine answers when it can't, in sentences: the one place where Docker's errors are translated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_train.exceptions import ConfigurationError, InfrastructureFailure
from airflow_train.targets.base import BackendAway

NO_PACKAGE = (
    "compute targets of type docker need the package docker, which isn't installed; "
    "pip install 'airflow-train[docker]'."
)

#: What says something in a nested error.
_TELLING = re.compile(
    r"(?:Connection refused|No such file or directory|timed out|[\w ]*not known|EOF[\w ]*|closed connection[\w ]*|"
    r"certificate [\w ,:'.]*)"
)


#: TLS that fails by what either side is or holds; one that breaks off (EOF, reset) is an engine on its way down or up.
_UNTRUSTED = re.compile(
    r"certificate|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|unknown ca|\[(?:SSL|X509)[^\]]*(?:KEY|PEM|ALERT)",
    re.IGNORECASE,
)


class EngineUnreachable(BackendAway):
    """The engine doesn't answer: what it runs is unknown."""


class NotAllowed(EngineUnreachable):
    """It answers, but not to us: certificates or rights are wrong, which somebody has to mend."""


class TooOld(ConfigurationError):
    """The engine lacks what we ask engines for."""


class NoSuchFolder(InfrastructureFailure):
    """The engine's machine has no folder that is to be shared with it."""


class Gone(InfrastructureFailure):
    """The engine has no such object."""


class Taken(InfrastructureFailure):
    """An object of that name is there, or in a state that doesn't allow this."""


class Refusal(Exception):
    """The run can't be started as it is written; `reason` is the verdict's."""

    def __init__(self, message: str, reason: str = "could_not_start") -> None:
        super().__init__(message)
        self.reason = reason


@contextmanager
def sentences(doing: str, where: str) -> Iterator[None]:
    """Inside, errors of the package docker become ours.

    :param doing: half a sentence: what was tried.
    :param where: address of the engine.
    :raises EngineUnreachable, NotAllowed, Gone, Taken, InfrastructureFailure: as they say.
    """
    try:
        import docker.errors
    except ImportError as error:
        raise ConfigurationError(NO_PACKAGE) from error
    try:
        yield
    except docker.errors.APIError as error:
        raise _of_answer(error, doing) from error
    except (docker.errors.DockerException, OSError) as error:  # requests raises kinds of OSError
        if refused := _not_allowed(where, str(error)):
            raise NotAllowed(refused) from error
        raise EngineUnreachable(unreachable(where, error)) from error


def _not_allowed(where: str, text: str) -> str:
    """Why it speaks to others, but not to us; empty when that isn't so."""
    if "Permission denied" in text or "PermissionError" in text:
        return f"this user may not speak to the Docker engine at {where}; add it to the group docker."
    if _UNTRUSTED.search(text):
        return (
            f"the Docker engine at {where} and this machine don't trust each other's certificates "
            f"({_last_words(text)}); correct tls_ca, tls_cert and tls_key of the compute target, or tls_hostname where "
            "the engine is addressed by another name than its certificate bears."
        )
    return ""


def unreachable(where: str, error: object) -> str:
    """No engine answers."""
    text = str(error)
    mend = "start it, or name another by DOCKER_HOST or the option host of the compute target."
    if where.startswith("tcp://") and ("closed connection" in text or "HTTPS server" in text):
        mend = "if it wants certificates, give the compute target tls_ca, tls_cert and tls_key."
    return f"no Docker engine answers at {where} ({_last_words(text)}); {mend}"


def _last_words(text: str) -> str:
    """The part of a nested error that says something."""
    found = _TELLING.findall(text)
    return (
        found[-1].strip().lower()
        if found
        else text.strip().splitlines()[-1][:200]
        if text.strip()
        else "silence"
    )


def _of_answer(error: Any, doing: str) -> InfrastructureFailure:
    said = str(error.explanation or error).strip().rstrip(".")
    code = error.response.status_code if error.response is not None else 0
    if "no space left on device" in said.lower():
        return InfrastructureFailure(
            f"the Docker engine has no space left ({doing}); free some, for example by `docker system prune`."
        )
    if "bind source path does not exist" in said:
        folder = said.partition("not exist:")[2].strip()
        return NoSuchFolder(
            f"the Docker engine's machine has no folder {folder}, where shared_store of the compute target says that "
            "the run store is; correct it, or leave it out"
        )
    kind: type[InfrastructureFailure] = {404: Gone, 409: Taken}.get(code, InfrastructureFailure)
    mend = "; leave gpu out, or use an engine that has GPUs" if "[[gpu]]" in said else ""
    return kind(f"the Docker engine refused ({doing}): {said}{mend}.")


def why_not_started(error: Exception) -> str:
    """The verdict's reason, where an engine has refused to start a container.

    An engine that was killed over it finds, when it is back, what it had left half way (moby, containerd's `shim`).
    """
    return "infrastructure" if "failed to start shim" in str(error) else "could_not_start"


def not_found_in_path(said: str) -> bool:
    """Is this the engine's way of saying that a program isn't in the image?"""
    return "executable file not found" in said or "no such file or directory" in said
