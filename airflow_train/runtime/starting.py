"""The last steps before a process is the script: its environment, its arguments, what it inherits."""

from __future__ import annotations

import os
import signal

from airflow_train.runtime import cgroups, handed, processes, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: What Python, the supervisor or the wrapper ignore or catch, and a script finds as a shell would leave it.
_RESET = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGTERM,
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGXFSZ,
)


def become(
    argv: list[str],
    environment: dict[str, str],
    work: str,
    output: int,
    failure: int,
    parent: int,
    group: str | None,
    shares: bool,
) -> NoReturn:
    """In the forked child: turn into the script, or tell the parent why that can't be.

    :param shares: the script has one memory limit together with wrapper and supervisor.
    """
    try:
        os.setsid()
        processes.die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for name in _RESET:
            signal.signal(name, signal.SIG_DFL)
        if group is not None:
            cgroups.enter(group)
        if shares:
            cgroups.go_first()
        os.chdir(work)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execvpe(argv[0], argv, environment)
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not go on
        reason = error.strerror if isinstance(error, OSError) else str(error)
        os.write(failure, ("%s: %s" % (argv[0], reason)).encode("utf-8", "replace"))
    os._exit(127)


def environment(launch: dict[str, Any], rank: dict[str, Any], ports: list[int]) -> dict[str, str]:
    """What the script sees: the submitter's environment without Airflow's, secrets, the definition's, launcher's."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(protocol.WITHHELD_PREFIXES)}
    environment.update(handed.variables(launch, "inherited"))
    environment.update(handed.variables(launch, "secrets"))
    for layer in (launch["environment"], rank["environment"]):
        for name, value in layer.items():
            for index, port in enumerate(ports):
                value = value.replace(protocol.PORT_PLACEHOLDER % index, str(port))
            for node, address in enumerate(launch.get("addresses") or ()):
                value = value.replace(protocol.ADDRESS_PLACEHOLDER % node, address)
            value = value.replace(protocol.INTERFACE_PLACEHOLDER, launch.get("interface") or "")
            environment[name] = value
    if launch.get("programs"):
        environment["PATH"] = os.pathsep.join([launch["programs"], environment.get("PATH", os.defpath)])
    path = [launch["script_path"], environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    return environment


def arguments(command: list[str], environment: dict[str, str]) -> list[str]:
    """The command with `$NAME` and `${NAME}` filled in for the names a launcher sets, as Azure ML did; others stay."""
    for name in ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        if name in environment:
            value = environment[name]
            command = [_fill(part, name, value) for part in command]
    return command


def _fill(text: str, name: str, value: str) -> str:
    if "$" not in text:
        return text
    text = text.replace("${%s}" % name, value)
    pieces = text.split("$" + name)
    filled = pieces[0]
    for piece in pieces[1:]:
        whole = not (piece[:1].isalnum() or piece[:1] == "_")
        filled += (value if whole else "$" + name) + piece
    return filled
