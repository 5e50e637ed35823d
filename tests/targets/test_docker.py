"""What only containers can: resources, users, images, and faults of what is around them."""

from __future__ import annotations

import hashlib
import json
import signal
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.exceptions import ConfigurationError
from airflow_train.lifecycle import cancel
from airflow_train.targets.docker import plan
from tests.targets.lab import DOCKER, IMAGE, Lab, changed_image, docker, until

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]

WAITING = "mark('ready')\nwhile True: time.sleep(0.05)"


def verdict(lab: Lab, code: str, **job: Any) -> dict[str, Any]:
    """How a run of this script ended; nothing of it may be left."""
    view = lab.run(code, **job)
    assert lab.nothing_left(view.record.run_id)
    return dict(view.record.verdict or {})


def said(lab: Lab, expression: str, **job: Any) -> Any:
    """What an expression is worth inside the container."""
    view = lab.run(f"import json; print(json.dumps({expression}))", **job)
    assert view.status == "Completed", view.record.verdict
    return json.loads(lab.lines(view.record.run_id)[0])


def arguments(*words: str) -> dict[str, Any]:
    """A job that gives these arguments to `docker run`."""
    return {"environment": {"docker_arguments": list(words)}}


def on(**options: Any) -> dict[str, Any]:
    """The docker target with these options."""
    return {**DOCKER, "options": {**DOCKER["options"], **options}}


# ---------------------------------------------------------------------- resources


def test_a_script_that_meets_its_memory_limit_is_told_so_with_the_limit(lab: Lab) -> None:
    found = verdict(
        lab, "print('before', flush=True); x = bytearray(1 << 30)", memory="64Mi", memory_bytes=64 << 20
    )

    assert (found["status"], found["reason"], found["rank"]) == ("Failed", "out_of_memory", 0)
    assert "64 MiB" in found["message"]


def test_of_several_ranks_the_one_that_was_killed_for_memory_is_named(lab: Lab) -> None:
    found = verdict(
        lab,
        "x = bytearray(1 << 30) if os.environ['RANK'] == '1' else signal.pause()",
        distribution={"type": "pytorch"},
        process_count_per_node=2,
        memory_bytes=96 << 20,
    )

    assert (found["reason"], found["rank"]) == ("out_of_memory", 1)


def test_amounts_reach_the_engine_as_they_were_asked_for(lab: Lab) -> None:
    job = {"cpu": 1.5, "memory_bytes": 512 << 20, "shm_size": "32m"}
    words = ["--ulimit", "nofile=1000:2000", "--pids-limit=500", "-e", "A=b c"]
    run_id = lab.start("print(os.environ['A']); mark('ready'); signal.pause()", **job, **arguments(*words))
    lab.marked(run_id, "ready")
    host = json.loads(docker("inspect", plan.container_name(run_id)))[0]["HostConfig"]
    cancel.cancel(lab.store, run_id)

    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (1_500_000_000, 512 << 20, 512 << 20)
    assert (host["ShmSize"], host["PidsLimit"]) == (32 << 20, 500)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1000, "Hard": 2000}]
    lab.wait(run_id)
    assert lab.lines(run_id)[0] == "b c"


def test_any_user_a_read_only_root_and_no_capabilities_do_no_harm(lab: Lab) -> None:
    lab.marks_folder.chmod(0o777)
    job = arguments("--user", "1234:2345", "--read-only")
    lab.run_ids.append(run_id := "uid-test")
    lab.mark_file(run_id).touch()
    lab.mark_file(run_id).chmod(0o666)
    view = lab.run(
        """
        open("/tmp/scratch", "w").close()
        open("outputs/kept", "w").write("yes")
        try:
            open("/etc/new", "w")
        except OSError as error:
            print(os.getuid(), os.getgid(), error.strerror)
        caps = [line for line in open("/proc/self/status") if line.startswith("Cap")]
        print({line.split()[1] for line in caps} == {"0" * 16})
        """,
        run_id=run_id,
        **job,
    )

    assert view.status == "Completed", view.record.verdict
    assert [one.name for one in view.record.phases] == ["start", "stage", "run", "collect"]
    assert lab.lines(run_id) == ["1234 2345 Read-only file system", "True"]
    assert [phase.name for phase in view.record.phases] == ["start", "stage", "run", "collect"]
    assert lab.output(run_id, "outputs/kept") == "yes"


def test_volumes_limits_and_capabilities_are_there_inside(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set").write_text("1 2 3")
    lab.target = on(
        volumes=[f"{tmp_path}/data:/data:ro"], cap_add=["NET_RAW"], arguments=["--tmpfs", "/fast:size=1m"]
    )
    mount = f"type=bind,source={tmp_path}/data,target=/again,readonly"
    found = said(
        lab,
        """[
            open('/data/set').read(), open('/again/set').read(), os.access('/data', os.W_OK),
            os.statvfs('/fast').f_blocks * os.statvfs('/fast').f_frsize,
            os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize,
            __import__('resource').getrlimit(7)[0],
            [line.split()[1] for line in open('/proc/self/status') if line.startswith('CapBnd')],
            os.environ['A'],
        ]""",
        shm_size="32m",
        **arguments("--ulimit", "nofile=1000:2000", "--env", "A=b", "--mount", mount),
    )

    assert found == ["1 2 3", "1 2 3", False, 1 << 20, 32 << 20, 1000, [f"{1 << 13:016x}"], "b"]


def test_gpus_are_asked_of_the_engine_which_refuses_what_it_has_not(lab: Lab) -> None:
    found = verdict(lab, "pass", gpu=1)

    assert found["reason"] == "could_not_start"
    assert 'could not select device driver "" with capabilities: [[gpu]]; leave gpu out' in found["message"]


def test_a_user_is_found_by_name(lab: Lab) -> None:
    lab.marks_folder.chmod(0o777)
    found = said(lab, "[os.getuid(), os.access('outputs', os.W_OK)]", **arguments("-u", "root:daemon"))

    assert found == [0, True]


def test_the_script_runs_under_the_images_python_or_the_one_that_is_named(lab: Lab) -> None:
    assert said(lab, "sys.executable").startswith("/usr/bin/python3")
    assert said(lab, "sys.executable", interpreter_path="/usr/bin/python3.11") == "/usr/bin/python3.11"


def test_the_first_process_is_the_supervisor_and_leaves_no_zombie(lab: Lab) -> None:
    view = lab.run(
        """
        orphan, born = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                os.write(born, str(os.getpid()).encode())
            os._exit(0)
        os.wait()
        gone, until = f"/proc/{os.read(orphan, 20).decode()}", time.monotonic() + 20
        while os.path.exists(gone) and time.monotonic() < until:
            time.sleep(0.05)
        states = [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
                  for pid in os.listdir("/proc") if pid.isdigit()]
        print("Z" in states, open("/proc/1/cmdline").read().split("\\0")[4])
        """
    )

    assert lab.lines(view.record.run_id) == [f"False {plan.RUNTIME}"]


# ---------------------------------------------------------------------- what can't be started


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (arguments("--user", "nobody-knows"), "has no user 'nobody-knows'; correct the option user"),
        (arguments("--network", "nowhere"), "network nowhere not found"),
        (arguments("--gpus", "all"), "could not select device driver"),
        (arguments("--device", "/dev/nothing"), "/dev/nothing"),
    ],
)
def test_what_cannot_be_started_is_told_in_one_sentence(lab: Lab, job: dict[str, Any], words: str) -> None:
    found = verdict(lab, "pass", **job)

    assert found["reason"] == "could_not_start"
    assert words in found["message"]
    assert len(found["message"].splitlines()) == 1


def test_a_registry_that_does_not_answer_is_bad_luck(lab: Lab) -> None:
    found = verdict(lab, "pass", environment={"image": "localhost:9/nobody/has:this"})

    assert found["reason"] == "infrastructure"
    assert "localhost:9/nobody/has:this isn't on the Docker engine" in found["message"]
    assert "its registry doesn't answer" in found["message"]
    assert len(found["message"].splitlines()) == 1


def test_an_image_without_python_is_told_so(lab: Lab) -> None:
    image = changed_image("no-python", "rm", "-f", "/usr/bin/python3")
    found = verdict(lab, "pass", environment={"image": image})

    assert found["reason"] == "could_not_start"
    assert "airflow-train-test/no-python has neither python3 nor python on its PATH" in found["message"]


def test_an_image_whose_python_is_too_old_is_told_so(lab: Lab) -> None:
    script = "#!/bin/sh\necho SyntaxError: what is this\nexit 1\n"
    code = f"import os; os.remove('/usr/bin/python3'); open('/usr/bin/python3', 'w').write({script!r}); "
    image = changed_image("old-python", "python3", "-c", code + "os.chmod('/usr/bin/python3', 0o755)")
    found = verdict(lab, "pass", environment={"image": image})

    assert found["reason"] == "could_not_start"
    assert "needs Python 3.8 or later (SyntaxError: what is this)" in found["message"]


def test_an_image_for_other_processors_is_told_so(lab: Lab, tmp_path: Path) -> None:
    layer, image = tmp_path / "layer.tar", tmp_path / "image.tar"
    tarfile.open(layer, "w").close()
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    described = {"architecture": "arm64", "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = [{"Config": "c.json", "RepoTags": ["airflow-train-test/arm:latest"], "Layers": ["layer.tar"]}]
    for name, content in (("c.json", described), ("manifest.json", manifest)):
        (tmp_path / name).write_text(json.dumps(content))
    with tarfile.open(image, "w") as tar:
        for name in ("layer.tar", "c.json", "manifest.json"):
            tar.add(tmp_path / name, name)
    docker("load", "-i", str(image))
    found = verdict(lab, "pass", environment={"image": "airflow-train-test/arm"})

    assert found["reason"] == "could_not_start"
    assert "airflow-train-test/arm is made for arm64 but the Docker engine" in found["message"]


@pytest.mark.parametrize("more", [{}, {"pip_packages": ["six"]}])
def test_an_image_for_another_platform_than_the_wanted_one_is_told(lab: Lab, more: dict[str, Any]) -> None:
    found = verdict(lab, "pass", environment={"image": IMAGE, "platform": "linux/s390x", **more})

    assert f"the image {IMAGE} for linux/s390x isn't on the Docker engine" in found["message"]


def test_a_name_that_a_stranger_has_taken_is_told_with_the_mend(lab: Lab) -> None:
    spec = lab.spec("mark('ran')")
    name = plan.container_name(spec.run_id)
    docker("create", "--name", name, IMAGE, "true")
    try:
        lab.submit(spec)
        found = lab.wait(spec.run_id).record.verdict or {}
    finally:
        docker("rm", "-f", name)

    assert f"docker rm -f {name}" in found["message"]
    assert lab.marks(spec.run_id) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the package docker
def test_an_engine_that_is_not_there_is_told_with_the_mend(lab: Lab) -> None:
    lab.target = on(host="unix:///nowhere/docker.sock")
    with pytest.raises(Exception, match=r"no Docker engine answers at unix:///nowhere/docker.sock") as caught:
        lab.start("pass")

    assert "DOCKER_HOST" in str(caught.value)


def test_an_engine_that_is_too_old_is_told_so(lab: Lab) -> None:
    class Old(BaseHTTPRequestHandler):
        """An engine of 2016, as far as it gets."""

        def do_GET(self) -> None:
            content = json.dumps({"Version": "1.12.6", "ApiVersion": "1.24"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Old) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lab.target = on(host=f"tcp://127.0.0.1:{server.server_port}")
        spec = lab.spec("pass")
        lab.submit(spec)
        found = lab.store.record(spec.run_id).report or {}
        server.shutdown()

    assert found["reason"] == "could_not_start"
    assert "is too old: it speaks API 1.24, but 1.40 is needed" in found["error"]


def test_an_engine_without_space_is_told_so(lab: Lab) -> None:
    spec = lab.spec("pass")
    small = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=64k")
    docker("volume", "create", *small, plan.volume_name(spec.run_id))
    lab.submit(spec)
    found = lab.wait(spec.run_id).record.verdict or {}

    assert found["reason"] == "infrastructure"
    assert "the Docker engine has no space left" in found["message"]
    assert lab.marks(spec.run_id) == []
    assert lab.nothing_left(spec.run_id)


def test_options_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'imag', which targets of type docker don't know"):
        targets.get({**DOCKER, "options": {"imag": "x"}})


# ---------------------------------------------------------------------- faults


def test_outputs_come_home_when_the_container_is_killed(lab: Lab) -> None:
    run_id = lab.start("open('outputs/half', 'w').write('kept'); print('said', flush=True)\n" + WAITING)
    lab.marked(run_id, "ready")
    until(lambda: lab.lines(run_id) == ["said"])  # its wrapper has heard it
    docker("kill", plan.container_name(run_id))
    record = lab.wait(run_id).record

    assert (record.verdict or {})["reason"] == "infrastructure"
    assert "its container ended with exit code 137" in (record.verdict or {})["message"]
    assert lab.output(run_id, "outputs/half") == "kept"
    assert lab.lines(run_id) == ["said"]
    assert lab.nothing_left(run_id)


def test_outputs_come_home_when_the_container_is_removed_by_hand(lab: Lab) -> None:
    run_id = lab.start("open('outputs/half', 'w').write('kept')\n" + WAITING)
    lab.marked(run_id, "ready")
    docker("rm", "-f", plan.container_name(run_id))
    found = lab.wait(run_id).record.verdict or {}

    assert "its container was removed from outside" in found["message"]
    assert lab.output(run_id, "outputs/half") == "kept"
    assert lab.marks(run_id).count("start 0") == 1
    assert lab.nothing_left(run_id)


def test_a_container_that_the_engine_stops_has_its_grace_and_says_who_did_it(lab: Lab) -> None:
    run_id = lab.start(
        """
        def save(*_):
            open("outputs/checkpoint", "w").write("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        mark("ready")
        while True: time.sleep(0.05)
        """
    )
    lab.marked(run_id, "ready")
    docker("stop", plan.container_name(run_id))
    found = lab.wait(run_id).record.verdict or {}

    assert "told to stop from outside" in found["message"]
    assert found["reason"] == "infrastructure"
    assert lab.output(run_id, "outputs/checkpoint") == "saved"


def test_a_paused_container_does_not_respond_and_can_be_cancelled(lab: Lab) -> None:
    run_id = lab.start(WAITING)
    lab.marked(run_id, "ready")
    until(lambda: lab.look(run_id).status == "Running")
    docker("pause", plan.container_name(run_id))
    until(lambda: lab.look(run_id).status == "NotResponding")
    cancel.cancel(lab.store, run_id)

    assert lab.wait(run_id).status == "Canceled"
    assert lab.nothing_left(run_id)


def test_a_paused_container_goes_on_when_it_is_let_to(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); time.sleep(0.5)")
    lab.marked(run_id, "ready")
    docker("pause", plan.container_name(run_id))
    lab.look(run_id)
    docker("unpause", plan.container_name(run_id))

    assert lab.wait(run_id).status == "Completed"


def test_a_container_that_was_claimed_but_not_started_is_started_by_whoever_looks(lab: Lab) -> None:
    """Its submitter was killed between the two."""
    spec = lab.spec("mark('ran')")
    target: Any = targets.get(spec.target)
    target._engine.start = lambda name: None
    lab.store.create(spec)
    target.submit(spec, lab.store)
    assert docker("inspect", "-f", "{{.State.Status}}", plan.container_name(spec.run_id)) == "created"

    assert lab.wait(spec.run_id).status == "Completed"
    assert lab.marks(spec.run_id) == ["start 0", "ran"]


def test_secrets_reach_the_script_and_nothing_else(lab: Lab) -> None:
    spec = lab.spec(
        """
        print(os.environ["TOKEN"], len(os.environ["TOKEN"]))
        mark("ready")
        while True: time.sleep(0.05)
        """,
        secrets={"TOKEN": "env:TOKEN"},
    )
    lab.store.create(spec)
    targets.get(spec.target).submit(spec, lab.store, {"TOKEN": "s3cr3t-value"})
    lab.marked(spec.run_id, "ready")
    inside = docker("exec", plan.container_name(spec.run_id), "ls", "/airflow-train/node_0")
    described = docker("inspect", plan.container_name(spec.run_id))
    cancel.cancel(lab.store, spec.run_id)
    lab.wait(spec.run_id)

    assert "handed" not in inside
    assert "s3cr3t-value" not in described
    assert lab.lines(spec.run_id)[0] == "*** 12"
    stored = [path for path in lab.path(spec.run_id).rglob("*") if path.is_file()]
    assert [path for path in stored if b"s3cr3t-value" in path.read_bytes()] == []


def test_a_run_is_killed_when_its_supervisor_hangs_and_does_not_heed_a_cancel(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_train.runtime.protocol.LEASE_SECONDS", 1.0)
    monkeypatch.setattr("airflow_train.targets.docker.plan.MARGIN", 0.5)
    run_id = lab.start(WAITING, grace_seconds=0.5)
    lab.marked(run_id, "ready")
    until(lambda: lab.look(run_id).record.heartbeat is not None)
    # the first process of a pid namespace heeds STOP only from outside it
    pid = docker("inspect", "-f", "{{.State.Pid}}", plan.container_name(run_id))
    docker(
        "run",
        "--rm",
        "--pid=host",
        IMAGE,
        "python3",
        "-c",
        f"import os; os.kill({pid}, {int(signal.SIGSTOP)})",
    )
    cancel.cancel(lab.store, run_id)

    assert lab.wait(run_id).status == "Canceled"
    assert lab.nothing_left(run_id)


# ---------------------------------------------------------------------- the way home

SAVING = """
os.makedirs("outputs/empty")
with open("outputs/model", "wb") as file:
    file.write(os.urandom(1) * int(sys.argv[1]))
print("saved")
"""


def test_a_small_run_comes_home_with_the_last_words_of_its_container(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_train.targets.docker.engine.Engine.get", None)
    monkeypatch.setattr("airflow_train.targets.docker.attend._ALONE", 60.0)
    run_id = lab.run(SAVING, arguments=["1000"]).record.run_id

    assert lab.path(run_id, "files", "outputs", "model").stat().st_size == 1000
    assert lab.path(run_id, "files", "outputs", "empty").is_dir()
    assert lab.lines(run_id) == ["saved"]
    assert lab.nothing_left(run_id)


@pytest.mark.parametrize(
    ("size", "said"), [(3 << 20, None), (1000, b""), (1000, b"airflow-train-parcel 1 2 x")]
)
def test_all_comes_home_where_the_last_words_do_not_hold_it(
    lab: Lab, size: int, said: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said is not None:
        monkeypatch.setattr("airflow_train.targets.docker.engine.Engine.last_words", lambda *_: said)
    run_id = lab.run(SAVING, arguments=[str(size)]).record.run_id

    assert lab.path(run_id, "files", "outputs", "model").stat().st_size == size
    assert lab.path(run_id, "files", "outputs", "empty").is_dir()
    assert lab.lines(run_id) == ["saved"]
