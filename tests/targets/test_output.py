"""Output on every target: every byte that can be shown, as it comes, and nothing a script prints can hurt the run."""

from __future__ import annotations

import time

import pytest

from airflow_train.lifecycle.follow import Follower
from tests.targets.lab import Lab, until


def test_output_and_logs_are_seen_within_two_seconds_while_the_script_runs(lab: Lab) -> None:
    run_id = lab.start(
        """
        print("training")
        open("logs/train.log", "w").write("step 1\\n")
        mark("said")
        while not os.path.exists(os.environ["MARK"] + ".go"): time.sleep(0.01)
        """
    )
    lab.marked(run_id, "said")
    said = time.monotonic()
    follower = Follower(lab.store, run_id)
    until(lambda: lab.look(run_id) and [line.text for line in follower.poll()] == ["training"])
    until(lambda: lab.has(run_id, "logs/train.log"))
    seconds = time.monotonic() - said
    lab.mark_file(run_id).with_suffix(".marks.go").touch()

    assert (lab.wait(run_id).status, seconds < 2) == ("Completed", True)


def test_lines_of_all_nodes_are_seen_live_with_node_and_rank_and_by_either(lab: Lab) -> None:
    run_id = lab.start(
        """
        print("here", flush=True)
        while not os.path.exists(os.environ["MARK"] + ".go"): time.sleep(0.01)
        print("gone")
        """,
        distribution={"type": "pytorch"},
        node_count=2,
        process_count_per_node=2,
    )
    speakers = [f"node {rank // 2} rank {rank}" for rank in range(4)]

    def said(rank: int | None = None, node: int | None = None) -> list[str]:
        lines = Follower(lab.store, run_id, rank, node).drain()
        return sorted(f"{line.speaker}: {line.text}" for line in lines)

    live = [f"{one}: here" for one in speakers]
    until(lambda: lab.look(run_id) and said() == live, 30)
    assert (said(rank=3), said(node=1)) == (live[3:], live[2:])
    lab.mark_file(run_id).with_suffix(".marks.go").touch()
    assert lab.wait(run_id).status == "Completed"
    whole = sorted([*live, *(f"{one}: gone" for one in speakers)])
    assert (said(), said(rank=3), said(node=1)) == (whole, whole[6:], whole[4:])


def test_logs_grow_shrink_and_get_replaced_as_the_script_does_it(lab: Lab) -> None:
    view = lab.run(
        """
        os.makedirs("logs/sub")
        with open("logs/sub/a.log", "w") as file:
            for n in range(30):
                print(n, file=file, flush=True)
                time.sleep(0.01)
        open("logs/b.log", "w").write("long " * 100)
        time.sleep(0.3)
        open("logs/b.log", "w").write("short")
        open("logs/.hidden", "w").write("not shown")
        """
    )
    run_id = view.record.run_id
    assert lab.output(run_id, "logs/sub/a.log").split() == [str(n) for n in range(30)]
    assert lab.output(run_id, "logs/b.log") == "short"
    assert not lab.path(run_id, "files", "logs", ".hidden").exists()


def test_each_stored_line_carries_the_time_it_came(lab: Lab) -> None:
    run_id = lab.run("print('a'); time.sleep(0.3); print('b'); print(); print('d')").record.run_id
    stored = lab.output(run_id, "user_logs/std_log_process_0.txt").splitlines()

    assert [line.partition("Z ")[2] for line in stored] == ["a", "b", "", "d"]
    assert all(line[:2] == "20" and line[23] == "Z" for line in stored)
    assert stored[0] < stored[1]


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("sys.stdout.write('no end')", ["no end"]),
        ("print('before'); os.close(1); os.close(2); time.sleep(0.2)", ["before"]),
        ("print('out'); print('err', file=sys.stderr)", ["out", "err"]),
        ("print('ümläut 数据 🚀')", ["ümläut 数据 🚀"]),
        ("[print(f'\\r{n} %', end='') for n in range(101)]; print()", ["100 %"]),
    ],
)
def test_lines_come_as_they_were_printed(lab: Lab, code: str, lines: list[str]) -> None:
    view = lab.run(code)

    assert (view.status, lab.lines(view.record.run_id)) == ("Completed", lines)


def test_binary_garbage_and_endless_lines_are_kept_and_harm_nothing(lab: Lab) -> None:
    view = lab.run(
        """
        sys.stdout.buffer.write(bytes(range(256)) * 40 + b"\\n")
        sys.stdout.buffer.write(b"x" * (1 << 20) + b"\\n")
        print("still there", flush=True)
        sys.exit(1)
        """
    )
    run_id = view.record.run_id
    stored = lab.path(run_id, "files", "user_logs", "std_log_process_0.txt").read_bytes()

    assert (view.status, (view.record.verdict or {})["exit_code"]) == ("Failed", 1)
    assert b"x" * (1 << 20) in stored
    assert lab.lines(run_id)[-1] == "still there"
    assert (view.record.verdict or {})["last_lines"][-1] == "still there"


def test_a_child_that_keeps_standard_output_open_does_not_keep_the_run(lab: Lab) -> None:
    started = time.monotonic()
    code = "subprocess.Popen(['sh', '-c', 'trap \"\" TERM; echo child; sleep 1000'])"
    view = lab.run(f"{code}; time.sleep(0.3); print('parent')")

    assert (view.status, time.monotonic() - started < 5) == ("Completed", True)
    assert lab.lines(view.record.run_id) == ["child", "parent"]
    assert lab.nothing_left(view.record.run_id)


def test_a_million_lines_arrive_whole_and_in_order(lab: Lab) -> None:
    code = "sys.stdout.write(''.join(f'{n}\\n' for n in range(300_000)))"
    run_id = lab.run(code).record.run_id

    assert lab.lines(run_id) == [str(n) for n in range(300_000)]


def test_what_was_uploaded_stays_and_another_version_in_outputs_is_kept_beside_it(lab: Lab) -> None:
    view = lab.run(
        """
        import train_run
        run = train_run.Run.get_context()
        open("mine", "w").write("uploaded")
        run.upload_file("outputs/model.txt", "mine")
        run.upload_file("outputs/same.txt", "mine")
        open("outputs/model.txt", "w").write("left in outputs")
        open("outputs/same.txt", "w").write("uploaded")
        """
    )
    run_id = view.record.run_id

    assert lab.output(run_id, "outputs/model.txt") == "uploaded"
    assert lab.output(run_id, "outputs/model.txt.conflict-1") == "left in outputs"
    assert (view.record.report or {})["conflicts"] == ["outputs/model.txt.conflict-1"]


def test_links_in_outputs_show_what_they_showed(lab: Lab) -> None:
    run_id = lab.run(
        """
        open("outputs/epoch-2.txt", "w").write("weights")
        os.symlink("epoch-2.txt", "outputs/best.txt")
        os.symlink(os.path.abspath("outputs/epoch-2.txt"), "outputs/absolute.txt")
        os.symlink("nowhere", "outputs/dangling")
        """
    ).record.run_id

    assert lab.output(run_id, "outputs/epoch-2.txt") == "weights"
    assert lab.output(run_id, "outputs/best.txt") == "weights"
    assert lab.output(run_id, "outputs/absolute.txt") == "weights"
    assert lab.nothing_left(run_id)
