"""Where the source came from, in Azure ML's keys (`azureml.git.*` and their MLflow twins).

Without git, a repository or a remote the keys that can't be known are left out. Credentials never get through.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

#: A repository that doesn't answer in time has no facts; seconds.
_PATIENCE = 5.0
#: Nothing that a hostile repository configures may run, and nothing is written or asked.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks")
_TWINS = {
    "azureml.git.repository_uri": "mlflow.source.git.repoURL",
    "azureml.git.branch": "mlflow.source.git.branch",
    "azureml.git.commit": "mlflow.source.git.commit",
}
#: Environment variable → the key that it sets; it wins over what git says.
_OVERRIDES = {
    "AZUREML_GIT_REPOSITORY_URI": "azureml.git.repository_uri",
    "AZUREML_GIT_BRANCH": "azureml.git.branch",
    "AZUREML_GIT_COMMIT": "azureml.git.commit",
    "AZUREML_GIT_DIRTY": "azureml.git.dirty",
    "AZUREML_GIT_BUILD_ID": "azureml.git.build_id",
    "AZUREML_GIT_BUILD_URI": "azureml.git.build_uri",
}
_URLS = ("azureml.git.repository_uri", "azureml.git.build_uri")


def facts(source: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Repository, branch, commit and whether anything below `source` differs from that commit."""
    found = _ask(source, environment)
    found.update({key: environment[name] for name, key in _OVERRIDES.items() if environment.get(name)})
    for key in _URLS:
        if key in found:
            found[key] = without_credentials(found[key])
    found.update({twin: found[key] for key, twin in _TWINS.items() if key in found})
    return found


def without_credentials(url: str) -> str:
    """The URL without user name, password, query and fragment; the `git@` of an scp-like address stays."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        user, at, place = url.partition("@")
        return f"{user.partition(':')[0]}@{place}" if at and ":" in user else url
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    # an unescaped "/" in a password would end the host too early
    if "@" in path and "@" not in host and ":" in host:
        host, slash, path = rest.rpartition("@")[2].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _ask(source: Path, environment: Mapping[str, str]) -> dict[str, str]:
    status = _git(
        source, environment, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "."
    )
    if status is None:
        return {}
    lines = status.splitlines()
    headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    dirty = any(not line.startswith("# ") for line in lines)
    found = {"azureml.git.dirty": str(dirty)}
    if headers.get("branch.oid", "(initial)") != "(initial)":
        found["azureml.git.commit"] = headers["branch.oid"]
    if headers.get("branch.head", "(detached)") != "(detached)":
        found["azureml.git.branch"] = headers["branch.head"]
    upstream = headers.get("branch.upstream", "").partition("/")[0]
    remotes = _git(source, environment, "config", "--get-regexp", r"^remote\..*\.url$") or ""
    urls = dict(line.split(" ", 1) for line in remotes.splitlines() if " " in line)
    url = urls.get(f"remote.{upstream}.url") or urls.get("remote.origin.url")
    if url:
        found["azureml.git.repository_uri"] = url
    return found


def _git(source: Path, environment: Mapping[str, str], *arguments: str) -> str | None:
    """Output of a git command in `source`, or None when there is nothing to be had."""
    clean = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
    clean |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *_SAFE, *arguments],
            cwd=source,
            env=clean,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
