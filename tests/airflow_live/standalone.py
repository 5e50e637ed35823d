"""`airflow standalone` as people start it, in a home of its own and on ports of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.airflow_live import guard

#: Airflow waits 300 s before it believes that a worker is dead. A busy machine must not look like that.
WORKER_IS_DEAD_AFTER = 20
#: And 30 s before another triggerer takes the triggers of one that is silent.
TRIGGERER_IS_DEAD_AFTER = 10


class Standalone:
    """Airflow with its DAGs.

    :param home: AIRFLOW_HOME, which holds a folder `dags`.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.output = home, home / "standalone.log"
        self.store = home / "run store"
        api, *log_servers = _free_ports(3)
        self.address = f"http://127.0.0.1:{api}"
        self._environment = _environment(home, self.store, api, log_servers)
        self._guards: list[subprocess.Popen[bytes]] = []
        self.start("standalone")

    def start(self, command: str) -> None:
        """Start one of Airflow's processes, which ends with the others."""
        airflow = Path(sys.executable).with_name("airflow")
        with self.output.open("ab") as output:
            guarded = subprocess.Popen(
                [sys.executable, guard.__file__, str(os.getpid()), sys.executable, str(airflow), command],
                env=self._environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guards.append(guarded)

    def kill(self, command: str) -> None:
        """Kill one of Airflow's processes and all its children at once."""
        [root, *_] = [
            pid
            for one in self._guards
            for pid in sorted(guard.descendants(one.pid))
            if command_line(pid).endswith(f"airflow {command}")
        ]
        for pid in [root, *guard.descendants(root)]:
            os.kill(pid, signal.SIGKILL)

    def wait_until_ready(self, seconds: float = 150) -> None:
        """Wait until every part says that it is healthy."""
        deadline = time.monotonic() + seconds
        while not self._healthy():
            assert self._guards[0].poll() is None, f"airflow standalone has ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"Airflow isn't there after {seconds} s:\n{self.tail()}"
            time.sleep(0.2)

    def tail(self, lines: int = 80) -> str:
        """What Airflow's processes said last, but for the requests they served."""
        text = [
            line
            for line in self.output.read_text(errors="replace").splitlines()
            if "[http.access]" not in line
        ]
        return "\n".join([f"… of {self.output}", *text[-lines:]])

    def close(self) -> None:
        """End Airflow and all that its tasks have started."""
        for one in self._guards:
            one.terminate()
        for one in self._guards:
            one.wait(30)

    def _healthy(self) -> bool:
        try:
            found = httpx.get(f"{self.address}/api/v2/monitor/health", timeout=5, trust_env=False).json()
        except (httpx.TransportError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all(found.get(part, {}).get("status") == "healthy" for part in parts)


def command_line(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])


def _environment(home: Path, store: Path, api: int, log_servers: list[int]) -> dict[str, str]:
    foreign = ("AIRFLOW_", "_AIRFLOW_", "PYTHON", "COVERAGE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    options = {
        "CORE__LOAD_EXAMPLES": False,
        "CORE__PARALLELISM": 4,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": api,
        "API__BASE_URL": f"http://127.0.0.1:{api}",
        "API__WORKERS": 1,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 300,
        "DAG_FACTORY__ENABLE_TELEMETRY": False,
        "LOGGING__WORKER_LOG_SERVER_PORT": log_servers[0],
        "LOGGING__TRIGGER_LOG_SERVER_PORT": log_servers[1],
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": WORKER_IS_DEAD_AFTER,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 1,
        "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": TRIGGERER_IS_DEAD_AFTER,
        # a user's mark, clear or kill reaches the task at its next heartbeat
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
    }
    return {
        **inherited,
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_TRAIN_STORE": str(store),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
