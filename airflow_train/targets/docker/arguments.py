"""Arguments of `docker run` as `DockerConfiguration.arguments` and the target's options take them.

Each becomes a part of the container's configuration as the engine's API spells it. What would break the run (another
entry point, another restart policy, a terminal) is not in the table, and so is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_train.definitions.sizes import size_in_bytes

_PORTABLE_ULIMIT = re.compile(r"(\w+)=(-?\d+)(?::(-?\d+))?")


@dataclass
class Wanted:
    """What arguments ask for."""

    #: Parts of the API's `HostConfig`.
    host: dict[str, Any] = field(default_factory=dict)
    #: Parts of the container's own configuration.
    container: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    platform: str | None = None
    #: One half sentence each.
    problems: list[str] = field(default_factory=list)


def _append(name: str) -> Callable[[Wanted, str], None]:
    return lambda wanted, value: wanted.host.setdefault(name, []).append(value)


def _host(name: str) -> Callable[[Wanted, str], None]:
    return lambda wanted, value: wanted.host.__setitem__(name, value)


def _own(name: str) -> Callable[[Wanted, str], None]:
    return lambda wanted, value: wanted.container.__setitem__(name, value)


def _size(name: str) -> Callable[[Wanted, str], None]:
    def apply(wanted: Wanted, value: str) -> None:
        size = size_in_bytes(value, binary=True)
        if size is None:
            raise ValueError("an amount of memory such as 512m")
        wanted.host[name] = size
        if name == "Memory":
            wanted.host["MemorySwap"] = size

    return apply


def _cpus(wanted: Wanted, value: str) -> None:
    wanted.host["NanoCpus"] = cpus(value)


def cpus(value: str | float) -> int:
    """Billionths of a processor."""
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError("a number above 0")
    return int(number * 1_000_000_000)


def _ulimit(wanted: Wanted, value: str) -> None:
    found = _PORTABLE_ULIMIT.fullmatch(value)
    if found is None:
        raise ValueError("name=soft or name=soft:hard")
    name, soft, hard = found.groups()
    if int(soft) > int(hard or soft) >= 0:
        raise ValueError("a soft limit that is at most the hard one")
    limit = {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    wanted.host.setdefault("Ulimits", []).append(limit)


def _volume(wanted: Wanted, value: str) -> None:
    parts = value.split(":")
    if len(parts) not in (2, 3) or not parts[0] or not parts[1].startswith("/"):
        raise ValueError("source:/path or source:/path:ro")
    wanted.host.setdefault("Binds", []).append(value)


def _environment(wanted: Wanted, value: str) -> None:
    name, equals, content = value.partition("=")
    if not equals or not name:
        raise ValueError("NAME=value; the value of another machine's variable isn't known here")
    wanted.environment[name] = content


def _tmpfs(wanted: Wanted, value: str) -> None:
    path, _, options = value.partition(":")
    if not path.startswith("/"):
        raise ValueError("/path or /path:options")
    wanted.host.setdefault("Tmpfs", {})[path] = options


def _mapping(name: str) -> Callable[[Wanted, str], None]:
    def apply(wanted: Wanted, value: str) -> None:
        key, equals, content = value.partition("=")
        if not equals:
            raise ValueError("name=value")
        wanted.host.setdefault(name, {})[key] = content

    return apply


def _gpus(wanted: Wanted, value: str) -> None:
    named = value.strip('"').removeprefix("device=")
    if named != value.strip('"') and named:
        wanted.host["DeviceRequests"] = _named_gpus(named.split(","))
        return
    if value != "all" and not value.isdecimal():
        raise ValueError("a number, all, or device=0,1")
    wanted.host["DeviceRequests"] = gpus(-1 if value == "all" else int(value))


def _mount(wanted: Wanted, value: str) -> None:
    said = dict(one.partition("=")[::2] for one in value.split(","))
    kind = said.pop("type", "volume")
    source = said.pop("source", said.pop("src", ""))
    target = said.pop("target", said.pop("destination", said.pop("dst", "")))
    read_only = said.pop("readonly", said.pop("ro", "false")) in ("", "true", "1")
    if said or kind not in ("bind", "volume", "tmpfs") or not target.startswith("/"):
        raise ValueError("type=bind|volume|tmpfs,source=…,target=/path[,readonly]")
    mount = {"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only}
    wanted.host.setdefault("Mounts", []).append({key: one for key, one in mount.items() if one != ""})


def _publish(wanted: Wanted, value: str) -> None:
    found = re.fullmatch(r"(?:(?:([\d.]+):)?(\d*):)?(\d+)(?:/(tcp|udp))?", value)
    if found is None:
        raise ValueError("[[address:]port:]port[/udp]")
    address, outside, inside, kind = found.groups()
    port = f"{inside}/{kind or 'tcp'}"
    wanted.container.setdefault("ExposedPorts", {})[port] = {}
    binding = {"HostIp": address or "", "HostPort": outside or ""}
    wanted.host.setdefault("PortBindings", {}).setdefault(port, []).append(binding)


def _bytes(name: str) -> Callable[[Wanted, str], None]:
    def apply(wanted: Wanted, value: str) -> None:
        size = -1 if value == "-1" else size_in_bytes(value, binary=True)
        if size is None:
            raise ValueError("an amount of memory such as 512m")
        wanted.host[name] = size

    return apply


def gpus(count: int) -> list[dict[str, Any]]:
    """A request for that many GPUs; -1 for all of them."""
    return [{"Driver": "", "Count": count, "Capabilities": [["gpu"]]}]


def gpus_from(first: int, count: int) -> list[dict[str, Any]]:
    """A request for that many GPUs, by the engine's numbers."""
    return _named_gpus([str(number) for number in range(first, first + count)])


def _named_gpus(names: list[str]) -> list[dict[str, Any]]:
    return [{"Driver": "", "DeviceIDs": names, "Capabilities": [["gpu"]]}]


def _device(wanted: Wanted, value: str) -> None:
    outside, _, rest = value.partition(":")
    inside, _, rights = rest.partition(":")
    if not outside.startswith("/"):
        raise ValueError("/dev/name, /dev/name:/dev/inside or /dev/name:/dev/inside:rwm")
    device = {
        "PathOnHost": outside,
        "PathInContainer": inside or outside,
        "CgroupPermissions": rights or "rwm",
    }
    wanted.host.setdefault("Devices", []).append(device)


def _whole(name: str) -> Callable[[Wanted, str], None]:
    return lambda wanted, value: wanted.host.__setitem__(name, int(value))


def _platform(wanted: Wanted, value: str) -> None:
    wanted.platform = value


#: flag → what it does with its value
VALUES: dict[str, Callable[[Wanted, str], None]] = {
    "--add-host": _append("ExtraHosts"),
    "--cap-add": _append("CapAdd"),
    "--cap-drop": _append("CapDrop"),
    "--cpu-period": _whole("CpuPeriod"),
    "--cpu-quota": _whole("CpuQuota"),
    "--cpu-shares": _whole("CpuShares"),
    "--cpus": _cpus,
    "--cpuset-cpus": _host("CpusetCpus"),
    "--cpuset-mems": _host("CpusetMems"),
    "--device": _device,
    "--dns": _append("Dns"),
    "--dns-option": _append("DnsOptions"),
    "--dns-search": _append("DnsSearch"),
    "--env": _environment,
    "--gpus": _gpus,
    "--group-add": _append("GroupAdd"),
    "--hostname": _own("Hostname"),
    "--ipc": _host("IpcMode"),
    "--memory": _size("Memory"),
    "--memory-reservation": _bytes("MemoryReservation"),
    "--memory-swap": _bytes("MemorySwap"),
    "--mount": _mount,
    "--network": _host("NetworkMode"),
    "--oom-score-adj": _whole("OomScoreAdj"),
    "--pids-limit": _whole("PidsLimit"),
    "--platform": _platform,
    "--publish": _publish,
    "--runtime": _host("Runtime"),
    "--security-opt": _append("SecurityOpt"),
    "--shm-size": _size("ShmSize"),
    "--sysctl": _mapping("Sysctls"),
    "--tmpfs": _tmpfs,
    "--ulimit": _ulimit,
    "--user": _own("User"),
    "--userns": _host("UsernsMode"),
    "--uts": _host("UTSMode"),
    "--volume": _volume,
}
_SHORT = {
    "-e": "--env",
    "-h": "--hostname",
    "-m": "--memory",
    "-p": "--publish",
    "-u": "--user",
    "-v": "--volume",
    "--net": "--network",
}
#: flag → part of `HostConfig` that it switches on; None: it is so anyway (the first process reaps and forwards signals,
#: and the container is removed in the end).
SWITCHES: dict[str, str | None] = {
    "--privileged": "Privileged",
    "--read-only": "ReadonlyRootfs",
    "--init": None,
    "--rm": None,
}


def parse(arguments: Sequence[str], wanted: Wanted | None = None) -> Wanted:
    """What these arguments ask for, on top of `wanted`; what can't be had is among its `problems`."""
    wanted = wanted or Wanted()
    rest = iter(arguments)
    for argument in rest:
        _apply(wanted, argument, rest)
    return wanted


def _apply(wanted: Wanted, argument: str, rest: Iterator[str]) -> None:
    name, equals, value = argument.partition("=") if argument.startswith("--") else (argument, "", "")
    if argument[:2] in _SHORT and not argument.startswith("--") and len(argument) > 2:
        name, equals, value = argument[:2], "=", argument[2:].removeprefix("=")
    flag = _SHORT.get(name, name)
    if flag in SWITCHES:
        if equals and value not in ("true", "false"):
            wanted.problems.append(f"{argument} must be true or false")
        elif (part := SWITCHES[flag]) is not None:
            wanted.host[part] = value != "false"
        return
    if flag not in VALUES:
        known = ", ".join(sorted([*VALUES, *SWITCHES]))
        wanted.problems.append(f"{name} is none of those that can be honoured: {known}")
        return
    if not equals:
        value = next(rest, "")
    try:
        if not value:
            raise ValueError("followed by a value")
        VALUES[flag](wanted, value)
    except ValueError as error:
        allowed = str(error) if "literal" not in str(error) and "convert" not in str(error) else "a number"
        wanted.problems.append(f"{name} {value!r} must be {allowed}")
