"""Several ranks on every target: what the frameworks need to find each other, and who is to blame."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest

from airflow_train.runs.spec import RunSpec
from airflow_train.store.run_store import RunStore
from airflow_train.targets.local.plan import LocalPlan
from airflow_train.targets.local.target import LocalTarget
from tests.targets.lab import Lab

PYTORCH = {"type": "pytorch"}
SHOW = "import json; print(json.dumps(dict(os.environ)))"


def environments(lab: Lab, run_id: str, ranks: int) -> list[dict[str, str]]:
    return [json.loads(lab.lines(run_id, rank)[0]) for rank in range(ranks)]


def test_pytorch_ranks_get_the_variables_of_torch_distributed(lab: Lab) -> None:
    view = lab.run(SHOW, distribution=PYTORCH, node_count=2, process_count_per_node=2)
    names = ["RANK", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"]
    said = environments(lab, view.record.run_id, 4)

    assert [[one[name] for name in names] for one in said] == [
        ["0", "0", "0", "4", "2"],
        ["1", "0", "1", "4", "2"],
        ["2", "1", "0", "4", "2"],
        ["3", "1", "1", "4", "2"],
    ]
    assert len({(one["MASTER_ADDR"], one["MASTER_PORT"]) for one in said}) == 1
    assert (said[0]["MASTER_ADDR"] == "127.0.0.1") == (lab.target["type"] == "local")


def test_the_master_port_can_be_listened_on(lab: Lab) -> None:
    code = "import socket; socket.create_server(('127.0.0.1', int(os.environ['MASTER_PORT'])))"

    assert lab.run(code, distribution=PYTORCH).status == "Completed"


def test_tensorflow_ranks_get_a_cluster_and_parameter_servers_serve_until_workers_are_done(lab: Lab) -> None:
    view = lab.run(
        """
        import json
        config = json.loads(os.environ["TF_CONFIG"])
        print(json.dumps(config))
        if config["task"]["type"] == "ps":
            mark("serves")
            signal.pause()
        while "serves" not in open(os.environ["MARK"]).read():
            time.sleep(0.01)
        """,
        distribution={"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1},
    )
    said = [json.loads(lab.lines(view.record.run_id, rank)[0]) for rank in range(3)]

    assert view.status == "Completed"
    assert [one["task"] for one in said] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
        {"type": "ps", "index": 0},
    ]
    assert said[0]["cluster"] == said[1]["cluster"] == said[2]["cluster"]
    addresses = [*said[0]["cluster"]["worker"], *said[0]["cluster"]["ps"]]
    assert len(set(addresses)) == 3
    assert all(one.startswith("127.0.0.1:") and one[10:].isdigit() for one in addresses)


def test_a_parameter_server_that_fails_fails_the_run(lab: Lab) -> None:
    view = lab.run(
        "signal.pause() if 'worker\", \"index' in os.environ['TF_CONFIG'] else sys.exit(7)",
        distribution={"type": "tensorflow", "worker_count": 1, "parameter_server_count": 1},
    )

    assert (view.record.verdict or {})["message"] == "Rank 1 of 2 (node 0) exited with code 7."


def test_the_first_rank_that_fails_is_named_and_the_others_are_stopped(lab: Lab) -> None:
    view = lab.run(
        """
        if os.environ["RANK"] == "2":
            raise ValueError("rank 2 has no data")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
        mark("waits")
        while True: time.sleep(0.05)
        """,
        distribution=PYTORCH,
        node_count=2,
        process_count_per_node=2,
    )
    said = view.record.verdict or {}

    assert (view.status, said["rank"], said["node"], said["exit_code"]) == ("Failed", 2, 1, 1)
    assert said["message"].startswith(
        "Rank 2 of 4 (node 1) exited with code 1: ValueError: rank 2 has no data"
    )
    assert "rank 2 has no data" in said["last_lines"][-1]
    assert view.record.exits[0]["stopped_by"] == view.record.exits[3]["stopped_by"] == "supervisor"
    assert lab.nothing_left(view.record.run_id)


def test_a_rank_that_dies_later_because_another_died_is_not_blamed(lab: Lab) -> None:
    """Rank 0 notices the end of rank 1 and fails of it before anybody could stop it."""
    view = lab.run(
        """
        import socket
        if os.environ["RANK"] == "1":
            until = time.monotonic() + 10
            while time.monotonic() < until:
                try:
                    connection = socket.create_connection(("127.0.0.1", int(os.environ["MASTER_PORT"])))
                    break
                except ConnectionRefusedError:
                    time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGSEGV)
        server = socket.create_server(("127.0.0.1", int(os.environ["MASTER_PORT"])))
        peer, _ = server.accept()
        if not peer.recv(1):
            raise ConnectionError("connection closed by peer")
        """,
        distribution=PYTORCH,
        process_count_per_node=2,
    )
    said = view.record.verdict or {}

    assert (said["rank"], said["signal"]) == (1, signal.SIGSEGV)


def test_a_rank_killed_from_outside_is_named_and_counts_as_bad_luck(lab: Lab) -> None:
    code = "mark('ready ' + os.environ['RANK']); signal.pause()"
    run_id = lab.start(code, distribution=PYTORCH, process_count_per_node=3)
    for rank in range(3):
        lab.marked(run_id, f"ready {rank}")
    lab.kill(run_id, "script", signal.SIGKILL, rank=1, ranks=3)
    said = lab.wait(run_id).record.verdict or {}

    assert (said["reason"], said["rank"], said["signal"]) == ("infrastructure", 1, signal.SIGKILL)
    assert lab.nothing_left(run_id)


def test_ranks_share_the_working_directory_and_log_under_their_own_names(lab: Lab) -> None:
    code = "print('rank', os.environ['RANK']); open('outputs/' + os.environ['RANK'], 'w').close()"
    run_id = lab.run(code, distribution=PYTORCH, process_count_per_node=3).record.run_id

    assert [lab.lines(run_id, rank) for rank in range(3)] == [["rank 0"], ["rank 1"], ["rank 2"]]
    assert sorted(one.name for one in lab.path(run_id, "files", "outputs").iterdir()) == ["0", "1", "2"]


def test_arguments_name_the_rank_as_azure_ml_did(lab: Lab) -> None:
    arguments = ["--rank=$LOCAL_RANK", "${NODE_RANK}/$WORLD_SIZE", "$LOCAL_RANKS", "$HOME $$", "%d"]
    view = lab.run(
        "print(sys.argv[1:])",
        arguments=arguments,
        distribution=PYTORCH,
        node_count=2,
        process_count_per_node=2,
    )

    assert lab.lines(view.record.run_id, 3) == ["['--rank=1', '1/4', '$LOCAL_RANKS', '$HOME $$', '%d']"]


@pytest.mark.only("local")
def test_where_not_all_ranks_can_be_started_none_waits_for_the_others(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor needs a file descriptor for each rank."""
    plan, few = LocalTarget.plan, ("sh", "-c", 'ulimit -n 30 && exec "$@"', "sh")

    def limited(self: LocalTarget, spec: RunSpec, store: RunStore) -> LocalPlan:
        made = plan(self, spec, store)
        return replace(made, supervisor=(*few, *made.supervisor))

    monkeypatch.setattr(LocalTarget, "plan", limited)
    view = lab.run("signal.pause()", distribution=PYTORCH, process_count_per_node=40)
    verdict = view.record.verdict or {}

    assert verdict["reason"] == "infrastructure"
    assert verdict["message"].endswith("the ranks could not be started: Too many open files.")
    assert lab.nothing_left(view.record.run_id)
