"""How runs end on every target: what the script did decides, and is said in words."""

from __future__ import annotations

import shutil
import signal
import threading

import pytest

from airflow_train import targets
from tests.targets.lab import Lab, processes_of, until


def verdict(lab: Lab, code: str, **job: object) -> dict[str, object]:
    record = lab.run(code, **job).record
    assert lab.nothing_left(record.run_id)
    assert lab.marks(record.run_id).count("start 0") <= 1
    return dict(record.verdict or {})


def test_a_script_that_returns_makes_a_completed_run_with_its_outputs(lab: Lab) -> None:
    view = lab.run("print('hello'); open('outputs/model.txt', 'w').write('weights')")

    assert (view.status, lab.lines(view.record.run_id)) == ("Completed", ["hello"])
    assert lab.output(view.record.run_id, "outputs/model.txt") == "weights"
    assert [event["status"] for event in view.record.events] == ["Preparing", "Running", "Finalizing"]
    assert lab.nothing_left(view.record.run_id)


def test_submitted_many_times_a_run_starts_once(lab: Lab) -> None:
    spec = lab.spec("mark('end')")
    submitters = [threading.Thread(target=lab.submit, args=[spec]) for _ in range(4)]
    for one in submitters:
        one.start()
    for one in submitters:
        one.join()
    view = lab.wait(spec.run_id)
    targets.get(spec.target).submit(spec, lab.store)

    assert view.status == "Completed"
    assert lab.nothing_left(spec.run_id)
    assert lab.marks(spec.run_id) == ["start 0", "end"]


@pytest.mark.parametrize("code", [1, 3, 255])
def test_an_exit_code_is_named(lab: Lab, code: int) -> None:
    said = verdict(lab, f"sys.exit({code})")

    assert (said["status"], said["reason"], said["exit_code"]) == ("Failed", "script", code)
    assert said["message"] == f"The script exited with code {code}."


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (signal.SIGSEGV, "script", "SIGSEGV (segmentation fault)"),
        (signal.SIGABRT, "script", "SIGABRT (abort)"),
        (signal.SIGKILL, "infrastructure", "SIGKILL (killed from outside"),
        (signal.SIGTERM, "infrastructure", "SIGTERM (asked to stop from outside)"),
    ],
)
def test_a_signal_is_named_in_words(lab: Lab, number: int, reason: str, words: str) -> None:
    said = verdict(lab, f"os.kill(os.getpid(), {int(number)})")

    assert (said["status"], said["reason"], said["signal"]) == ("Failed", reason, number)
    assert words in str(said["message"])


def test_an_exception_is_named_with_its_message_and_place(lab: Lab) -> None:
    said = verdict(
        lab,
        """
        def fit():
            raise ValueError("the data is bäd")
        try:
            fit()
        except ValueError as error:
            raise RuntimeError("no model: two lines\\nof words") from error
        """,
    )

    assert said["exception"] == {
        "type": "RuntimeError",
        "message": "no model: two lines",
        "place": 'File "train.py", line 12, in <module>',
    }
    assert "exited with code 1: RuntimeError: no model" in str(said["message"])


def test_a_script_that_does_not_parse_is_told_so(lab: Lab) -> None:
    said = verdict(lab, "x = = 1")

    assert said["exception"] == {
        "type": "SyntaxError",
        "message": "invalid syntax",
        "place": 'File "train.py", line 6',
    }


def test_the_last_twenty_lines_of_a_failed_script_are_kept(lab: Lab) -> None:
    said = verdict(lab, "[print('line', n, 'x' * 1000) for n in range(50)]; sys.exit(1)")

    lines = [str(line).split() for line in list(said["last_lines"])]  # type: ignore[call-overload]
    assert [line[1] for line in lines] == [str(n) for n in range(30, 50)]


def test_outputs_and_logs_come_home_from_a_failed_script_too(lab: Lab) -> None:
    run_id = lab.start(
        """
        os.makedirs("outputs/tiefer drin/leer")
        open("outputs/tiefer drin/modell ä.txt", "w").write("half")
        open("logs/train.log", "w").write("step 1")
        sys.exit(1)
        """
    )

    assert lab.wait(run_id).status == "Failed"
    assert lab.output(run_id, "outputs/tiefer drin/modell ä.txt") == "half"
    assert lab.output(run_id, "logs/train.log") == "step 1"
    assert lab.path(run_id, "files", "outputs", "tiefer drin", "leer").is_dir()


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"interpreter_path": "/nowhere/python"}, "/nowhere/python: No such file or directory"),
        ({"command": ["./train.py"]}, "./train.py: Permission denied"),
        ({"command": ["no-such-program", "x"]}, "no-such-program: No such file or directory"),
    ],
)
def test_a_command_that_can_not_be_executed_is_named(lab: Lab, job: dict[str, object], words: str) -> None:
    said = verdict(lab, "", **job)

    assert (said["status"], said["reason"]) == ("Failed", "could_not_start")
    assert said["message"] == f"The script could not be started: {words}."


def test_a_run_that_takes_too_long_is_stopped_and_says_so(lab: Lab) -> None:
    said = verdict(
        lab,
        "open('outputs/a', 'w').write('kept'); signal.pause()",
        max_run_duration_seconds=1,
        grace_seconds=0.5,
    )

    assert (said["status"], said["reason"]) == ("Failed", "time_limit")
    assert "longer than its limit of 1 s" in str(said["message"])
    assert lab.output(lab.run_ids[0], "outputs/a") == "kept"


def test_a_script_killed_from_outside_is_bad_luck_not_a_bug(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); signal.pause()")
    lab.marked(run_id, "ready")
    lab.kill(run_id, "script", signal.SIGKILL)

    said = lab.wait(run_id).record.verdict or {}
    assert (said["status"], said["reason"], said["signal"]) == ("Failed", "infrastructure", signal.SIGKILL)


def test_a_killed_wrapper_takes_its_script_along_and_is_bad_luck(lab: Lab) -> None:
    run_id = lab.start("mark('ready'); subprocess.Popen(['sleep', '1000'], start_new_session=True).wait()")
    lab.marked(run_id, "ready")
    lab.kill(run_id, "wrapper", signal.SIGKILL)

    said = lab.wait(run_id).record.verdict or {}
    assert (said["status"], said["reason"]) == ("Failed", "infrastructure")
    assert "its wrapper process was killed from outside" in said["message"]
    assert lab.nothing_left(run_id)


def test_nothing_that_a_script_left_running_outlives_it_or_keeps_the_run(lab: Lab) -> None:
    view = lab.run("subprocess.Popen(['sleep', '1000'], start_new_session=True); print('done')")

    assert (view.status, lab.lines(view.record.run_id)) == ("Completed", ["done"])
    assert view.record.exits[0]["ended_leftovers"] == 1
    assert lab.nothing_left(view.record.run_id)


def test_a_damaged_snapshot_starts_nothing_and_says_so(lab: Lab) -> None:
    spec = lab.spec("mark('ran')")
    for blob in (lab.path(spec.run_id).parents[1] / "blobs").rglob("*"):
        if blob.is_file():
            blob.write_bytes(b"something else")
    lab.submit(spec)

    said = lab.wait(spec.run_id).record.verdict or {}
    assert (said["reason"], lab.marks(spec.run_id)) == ("infrastructure", [])
    assert "train.py is damaged" in said["message"]
    assert lab.nothing_left(spec.run_id)


@pytest.mark.deviates("docker", "the container doesn't see the store; `airflow-train cleanup` finds it")
def test_a_run_that_was_removed_from_the_store_leaves_nothing_running(lab: Lab) -> None:
    run_id = lab.start("mark('ready')\nwhile True: time.sleep(0.05)")
    lab.marked(run_id, "ready")
    shutil.rmtree(lab.path(run_id))
    until(lambda: not processes_of(run_id), seconds=5)
    assert not (lab.path(run_id) / "node_0" / "report.json").exists()
