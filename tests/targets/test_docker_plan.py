"""The docker target's plan is pure and complete; what it can't honour is refused in one sentence, without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.definitions.job import Job
from airflow_train.exceptions import ConfigurationError
from airflow_train.runs.spec import RunSpec
from airflow_train.store.run_store import RunStore, open_store
from airflow_train.targets.docker import arguments, build, plan

NOWHERE = "unix:///nowhere/docker.sock"


def target(**options: Any) -> Any:
    return targets.get({"name": "d", "type": "docker", "options": {"image": "i", "host": NOWHERE, **options}})


@pytest.fixture
def store(store_uri: str) -> RunStore:
    return open_store(store_uri)


def planned(store: RunStore, options: dict[str, Any] | None = None, **job: Any) -> plan.DockerPlan:
    whole = asdict(Job("Estimator", ".", entry_script="train.py", **job))
    spec = RunSpec(
        run_id="run-1",
        experiment="e",
        created="2026-01-01T00:00:00.000Z",
        definition={},
        job=whole,
        target={"name": "d", "type": "docker", "options": {}},
        snapshot={"id": "s", "files": 1, "bytes": 1},
        origin={"kind": "cli"},
    )
    made: plan.DockerPlan = target(**(options or {})).plan(spec, store)
    return made


def problems(store: RunStore, options: dict[str, Any] | None = None, **job: Any) -> list[str]:
    found: list[str] = target(**(options or {})).check(asdict(Job("Estimator", ".", **job)), store)
    return found


def test_the_whole_container(store: RunStore) -> None:
    made = planned(store)
    labels = {
        "airflow-train": "",
        "airflow-train.run": "run-1",
        "airflow-train.owner": "cli",
        "airflow-train.store": store.identity(),
    }

    assert (made.container, made.volume) == ("airflow-train-run-1-node0", "airflow-train-run-1")
    assert made.configuration == {
        "Image": "i",
        "Entrypoint": [
            *("python3", "-I", "-S", "-B", "/airflow-train/runtime/runtime.pyz"),
            *("container", "/airflow-train/run/node_0/launch.json"),
        ],
        "Cmd": [],
        "WorkingDir": "/airflow-train",
        "Labels": {**labels, "airflow-train.node": "0"},
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "StopTimeout": 40,
        "HostConfig": {
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "airflow-train-run-1",
                    "Target": "/airflow-train",
                    "VolumeOptions": {"NoCopy": True, "Labels": labels},
                }
            ],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
        },
    }
    assert made.to_json() == planned(store).to_json()
    json.dumps(made.to_json(), allow_nan=False)


def test_resources_of_a_definition(store: RunStore) -> None:
    made = planned(store, cpu=2, memory_bytes=1 << 30, gpu=2, shm_size="2g")
    host = made.configuration["HostConfig"]

    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (2_000_000_000, 1 << 30, 1 << 30)
    assert (host["ShmSize"], host["DeviceRequests"][0]["Count"]) == (2 << 30, 2)
    assert made.launch["memory_bytes"] == 1 << 30


def test_arguments_of_the_target_come_first_those_of_the_definition_win(store: RunStore) -> None:
    options = {"user": "1000", "read_only": True, "volumes": ["data:/data:ro"], "arguments": ["-e", "A=1"]}
    made = planned(
        store, options, environment={"docker_arguments": ["-u", "2000:3000", "--env=B=2", "--init"]}
    )
    host = made.configuration["HostConfig"]

    assert made.configuration["User"] == "2000:3000"
    assert (host["ReadonlyRootfs"], host["Tmpfs"], host["Binds"]) == (True, {"/tmp": ""}, ["data:/data:ro"])
    assert {name: made.launch["environment"][name] for name in "AB"} == {"A": "1", "B": "2"}


def test_who_asks_for_privileges_gets_them_whole(store: RunStore) -> None:
    host = planned(store, environment={"docker_arguments": ["--privileged"]}).configuration["HostConfig"]

    assert host["Privileged"]
    assert not {"CapDrop", "SecurityOpt"} & set(host)


@pytest.mark.parametrize(
    ("job", "image"),
    [
        ({}, "i"),
        ({"environment": {"image": "own:1"}}, "own:1"),
        ({"environment": {"image": "own:1", "registry": {"address": "r.example"}}}, "r.example/own:1"),
        ({"environment": {"image": "r.example/own", "registry": {"address": "r.example"}}}, "r.example/own"),
    ],
)
def test_the_image_is_the_definitions_else_the_targets(
    store: RunStore, job: dict[str, Any], image: str
) -> None:
    assert planned(store, **job).image == image


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--ulimit", "nofile=10"], {"Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 10}]}),
        (["-m", "1g"], {"Memory": 1 << 30, "MemorySwap": 1 << 30}),
        (["-m1g"], {"Memory": 1 << 30, "MemorySwap": 1 << 30}),
        (["--gpus=all"], {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}),
        (
            ["--device", "/dev/fuse"],
            {
                "Devices": [
                    {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}
                ]
            },
        ),
        (["--cap-add", "SYS_PTRACE", "--cap-add=NET_ADMIN"], {"CapAdd": ["SYS_PTRACE", "NET_ADMIN"]}),
        (["--net", "mine", "--rm"], {"NetworkMode": "mine"}),
        (["--tmpfs", "/x:size=1m"], {"Tmpfs": {"/x": "size=1m"}}),
        (["-m1g", "--memory-swap=-1"], {"Memory": 1 << 30, "MemorySwap": -1}),
        (
            ["--gpus", '"device=0,GPU-1"'],
            {"DeviceRequests": [{"Driver": "", "DeviceIDs": ["0", "GPU-1"], "Capabilities": [["gpu"]]}]},
        ),
        (
            ["--mount", "type=bind,source=/a:b,target=/data,readonly"],
            {"Mounts": [{"Type": "bind", "Source": "/a:b", "Target": "/data", "ReadOnly": True}]},
        ),
        (
            ["-p", "127.0.0.1:8080:80"],
            {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}},
        ),
    ],
)
def test_arguments_of_docker_run(words: list[str], part: dict[str, Any]) -> None:
    wanted = arguments.parse(words)

    assert (wanted.host, wanted.problems) == (part, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--entrypoint", "x"], "--entrypoint is none of those that can be honoured"),
        (["-it"], "-it is none of those that can be honoured"),
        (["--restart=always"], "--restart is none of those"),
        (["--cpus", "many"], "--cpus 'many' must be a number"),
        (["--mount", "type=cluster,target=/x"], "must be type=bind|volume|tmpfs,source=…,target=/path"),
        (["-p", "web"], "-p 'web' must be [[address:]port:]port[/udp]"),
        (["--gpus=device="], "--gpus 'device=' must be a number, all, or device=0,1"),
        (["--cpus=0"], "--cpus '0' must be a number above 0"),
        (["--cpus=inf"], "--cpus 'inf' must be a number above 0"),
        (["--device", "gpu0"], "--device 'gpu0' must be /dev/name"),
        (["--tmpfs", "cache"], "--tmpfs 'cache' must be /path"),
        (["--ulimit", "nofile=9:1"], "must be a soft limit that is at most the hard one"),
        (["--ulimit", "x"], "--ulimit 'x' must be name=soft or name=soft:hard"),
        (["-v", "/only"], "-v '/only' must be source:/path"),
        (["-e", "HOME"], "-e 'HOME' must be NAME=value"),
        (["--shm-size"], "--shm-size '' must be followed by a value"),
        (["--read-only=maybe"], "--read-only=maybe must be true or false"),
    ],
)
def test_an_argument_that_cannot_be_honoured_is_named(store: RunStore, words: list[str], said: str) -> None:
    found = problems(store, environment={"docker_arguments": words})

    assert [one for one in found if said in one], found
    assert all(len(one.splitlines()) == 1 for one in found)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"inputs": ["x"]}, "inputs can't be honoured on the docker target"),
        (
            {"environment": {"pip_packages": ["x"]}, "interpreter_path": "/opt/python"},
            "interpreter_path is /opt/python, but packages are installed for the image's own Python",
        ),
        ({"node_count": 2, "environment": {"docker_arguments": ["--network=host"]}}, "in the network host"),
        ({"node_count": 2, "environment": {"docker_arguments": ["-p", "80:80"]}}, "leave --publish out"),
        ({"use_docker": False}, "use_docker is false"),
        (
            {"environment": {"dockerfile": "FROM a", "registry": {"username": "u", "password": "env:P"}}},
            "has a login but no address",
        ),
        (
            {"environment": {"dockerfile": "FROM a\nRUN --mount=type=cache,target=/c x"}},
            "has --mount, which asks",
        ),
        ({"environment": {"image": "x", "registry": {"username": "u"}}}, "has a username but no password"),
        (
            {"environment": {"image": "x", "registry": {"registry_identity": "i"}}},
            "registry_identity can't be",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused(store: RunStore, job: dict[str, Any], said: str) -> None:
    [found] = problems(store, **job)

    assert said in found


def test_a_store_that_both_sides_see_is_mounted_and_belongs_to_its_owner(
    store: RunStore, tmp_path: Path
) -> None:
    store.prepare()
    made = planned(store, {"shared_store": "/there/store/"})
    _, mount = made.configuration["HostConfig"]["Mounts"]

    assert mount == {"Type": "bind", "Source": "/there/store/runs/run-1", "Target": plan.RUN_FOLDER}
    assert made.configuration["User"] == f"{os.getuid()}:{os.getgid()}"
    assert made.launch["outbox"] is None
    assert planned(store, {"shared_store": True, "user": "7"}).configuration["User"] == "7"


def test_a_store_that_cannot_be_shared_is_refused(store: RunStore) -> None:
    [relative] = problems(store, {"shared_store": "there"})
    found = target(shared_store=True).check(asdict(Job("Estimator", ".")), open_store("memory://train"))

    assert "must be true or the absolute path of the run store on the engine's machine" in relative
    assert "the run store memory://train is no folder" in "".join(found)


def test_volumes_that_must_not_be_shared_are_refused_where_some_would_be(store: RunStore) -> None:
    apart = {"shared_volumes": False}

    assert problems(store, environment=apart) == []
    for options in ({"volumes": ["/a:/b"]}, {"shared_store": True}, {"arguments": ["--mount", "target=/x"]}):
        [found] = problems(store, options, environment=apart)
        assert "shared_volumes is false, but compute target 'd'" in found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": 12}, "option image of compute target 'd' is 12 but must be the name of an image"),
        ({"image": "Foo Bar"}, "is 'Foo Bar' but must be the name of an image"),
        ({"arguments": 5}, "option arguments of compute target 'd' is 5 but must be a list of texts"),
        ({"arguments": "--rm"}, "is '--rm' but must be a list of texts; write arguments: ["),
        ({"volumes": [7]}, "is [7] but must be a list of texts"),
        ({"cap_add": {"a": "b"}}, "must be a list of texts"),
        (
            {"read_only": "maybe"},
            "option read_only of compute target 'd' is 'maybe' but must be true or false",
        ),
        ({"tls_verify": "maybe"}, "must be true or false"),
        ({"user": [1]}, "must be a user as docker run takes it"),
        ({"network": ["a"]}, "option network of compute target 'd' is ['a'] but must be text"),
        ({"interpreter_path": 5}, "must be text"),
        ({"host": {}}, "must be text"),
        (
            {"imag": "x"},
            "has the option 'imag', which targets of type docker don't know; they know arguments,",
        ),
    ],
)
def test_options_that_hold_something_else_are_refused_before_anything_is_asked(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        target(**options)

    assert said in str(caught.value)


def test_what_a_template_says_is_known_when_it_is_rendered() -> None:
    assert target(image="{{ params.image }}", read_only="{{ params.closed }}")


def test_all_mistakes_of_options_are_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        target(imag="x", user=[1], network=[7])

    assert str(caught.value).count("compute target 'd'") == 3


def test_without_any_image_the_mend_is_named(store: RunStore) -> None:
    [found] = problems(store, {"image": None})

    assert "give custom_docker_image, or set the option image of compute target 'd'" in found


def test_packages_need_no_image_as_there_is_a_public_one_for_each_python() -> None:
    asked = {"conda_packages": ["python=3.11"], "pip_packages": ["six"]}
    recipe = build.recipe_for(asdict(Job("Estimator", ".", environment=asked)), {})

    assert recipe is not None
    assert recipe.base_image == "python:3.11-slim"


def test_neither_plan_nor_check_imports_docker() -> None:
    code = (
        "import sys; from airflow_train import targets; "
        "targets.get({'name': 'd', 'type': 'docker', 'options': {'image': 'i'}}); "
        "assert not [name for name in sys.modules if name.split('.')[0] in ('docker', 'requests')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nodes_of_a_run_differ_in_names_and_meet_where_node_0_has_an_alias(store: RunStore) -> None:
    made = planned(store, node_count=3, distribution={"type": "mpi"})
    own, named = plan.network_name("run-1"), planned(store, {"network": "ours"}, node_count=2)
    meetings = [one.launch["meeting"] for one in made.nodes]
    endpoints = [one.configuration["NetworkingConfig"]["EndpointsConfig"] for one in made.nodes]

    assert [one.container for one in made.nodes] == [f"airflow-train-run-1-node{node}" for node in range(3)]
    assert len({one.volume for one in made.nodes}) == 3
    assert [one["node"] for one in meetings] == [0, 1, 2]
    assert endpoints == [
        {own: {"Aliases": [meetings[0]["host"]]}},
        {own: {"Aliases": []}},
        {own: {"Aliases": []}},
    ]
    assert made.network == own
    assert (named.network, named.configuration["HostConfig"]["NetworkMode"]) == ("", "ours")
    assert planned(store).network == ""


@pytest.mark.parametrize(("major", "part"), [("4", "plm_rsh"), ("5", "plm_ssh")])
def test_of_more_than_64_nodes_each_is_started_by_node_0_and_none_by_another(
    store: RunStore, major: str, part: str
) -> None:
    made = planned(store, distribution={"type": "mpi"}, node_count=200)
    arguments = " ".join(made.launch["mpirun"]["arguments"][major])

    assert len(made.nodes) == 200
    assert f"{part}_no_tree_spawn 1" in arguments
    assert f"{part}_num_concurrent 200" in arguments


def test_nodes_that_meet_by_nccl_have_gpus_of_their_own_shared_memory_and_the_name_of_their_interface(
    store: RunStore,
) -> None:
    job = {"distribution": {"type": "pytorch", "communication_backend": "Nccl"}, "node_count": 2}
    made = planned(store, **job, process_count_per_node=4, gpu=4, shm_size="2g")
    hosts = [one.configuration["HostConfig"] for one in made.nodes]
    own = planned(store, **job, environment_variables={"NCCL_SOCKET_IFNAME": "ib0"})

    assert [one["DeviceRequests"][0]["DeviceIDs"] for one in hosts] == [list("0123"), list("4567")]
    assert [one["ShmSize"] for one in hosts] == [2 << 30] * 2
    assert [one.launch["environment"]["NCCL_SOCKET_IFNAME"] for one in made.nodes] == ["@INTERFACE@"] * 2
    assert [one["environment"]["LOCAL_RANK"] for one in made.nodes[1].launch["ranks"]] == ["0", "1", "2", "3"]
    assert own.launch["environment"]["NCCL_SOCKET_IFNAME"] == "ib0"
    assert "NCCL_SOCKET_IFNAME" not in planned(store).launch["environment"]
