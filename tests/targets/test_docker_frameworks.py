"""Real frameworks whose processes are in several containers, and find each other by what the runtime tells them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_train import Chainer, Experiment, MpiConfiguration
from airflow_train.runtime import protocol
from tests.targets.lab import DOCKER, Lab, docker_objects

pytestmark = [pytest.mark.docker, pytest.mark.only("docker")]


@pytest.fixture
def framework_lab(lab: Lab, shipped: Callable[[str], str]) -> Callable[[str], Lab]:
    """The same in the image of a framework."""

    def made(name: str) -> Lab:
        lab.target = {**DOCKER, "options": {"image": shipped(name)}}
        lab.marks_folder.chmod(0o777)  # scripts are whoever their image says
        return lab

    return made


def said(lab: Lab, code: str, ranks: int, **job: Any) -> list[Any]:
    """What each rank of a run said last in JSON; the run has completed, and the engine has nothing left of it."""
    view = lab.wait(lab.start(code, **job), timeout=150)  # seconds; where all is quiet it takes 10
    run_id = view.record.run_id
    assert view.status == "Completed", (
        view.record.verdict,
        [lab.lines(run_id, rank) for rank in range(ranks)],
    )
    assert lab.nothing_left(run_id)
    words = [[line for line in lab.lines(run_id, rank) if line.startswith("[")] for rank in range(ranks)]
    return [json.loads(lines[-1]) if lines else None for lines in words]


PYTORCH: Mapping[str, Any] = {
    "distribution": {"type": "pytorch", "communication_backend": "Gloo"},
    "node_count": 2,
    "process_count_per_node": 2,
}


def test_pytorch_trains_with_gloo_on_all_nodes(framework_lab: Callable[[str], Lab]) -> None:
    """Each rank has data of its own; what all have learned is the same, and fits the data of all."""
    code = """
    import json
    import torch
    from torch import distributed, nn
    distributed.init_process_group("gloo", init_method="env://")
    rank = distributed.get_rank()
    total = torch.tensor([float(rank)])
    distributed.all_reduce(total)
    torch.manual_seed(rank)
    inputs = torch.randn(256, 2)
    wanted = inputs @ torch.tensor([[1.0], [-2.0]]) + 0.5
    model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), wanted).backward()
        optimizer.step()
    learned = [round(float(value), 3) for one in model.parameters() for value in one.flatten()]
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "GLOO_SOCKET_IFNAME")
    print(json.dumps([total.item(), learned, [os.environ[name] for name in names]]))
    distributed.destroy_process_group()
    """
    found = said(framework_lab("pytorch"), code, 4, **PYTORCH)

    assert [one[:2] for one in found] == [[6.0, [1.0, -2.0, 0.5]]] * 4
    assert [one[2] for one in found] == [
        [str(rank), "4", str(rank % 2), str(rank // 2), "eth0"] for rank in range(4)
    ]


def test_nodes_with_gpus_are_refused_by_an_engine_that_has_none(lab: Lab) -> None:
    distribution = {"type": "pytorch", "communication_backend": "Nccl"}
    view = lab.run("mark('ran')", **{**PYTORCH, "distribution": distribution, "gpu": 2})
    verdict = view.record.verdict or {}

    assert (view.status, verdict["reason"]) == ("Failed", "could_not_start")
    assert "with capabilities: [[gpu]]; leave gpu out, or use an engine that has GPUs" in verdict["message"]
    assert lab.nothing_left(view.record.run_id)
    assert "ran" not in lab.marks(view.record.run_id)


TENSORFLOW = """
import json
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
told = json.loads(os.environ["TF_CONFIG"])
task = told["task"]
"""


def test_tensorflow_workers_train_one_model_on_all_nodes(framework_lab: Callable[[str], Lab]) -> None:
    code = """
    import numpy
    import tensorflow as tf
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
        model.compile(tf.keras.optimizers.SGD(0.2), "mse")
    random = numpy.random.default_rng(task["index"])
    inputs = random.normal(size=(256, 2)).astype("float32")
    wanted = inputs @ numpy.array([[1.0], [-2.0]], "float32") + 0.5
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    data = tf.data.Dataset.from_tensor_slices((inputs, wanted)).repeat().batch(64).with_options(options)
    model.fit(data, steps_per_epoch=60, verbose=0)
    learned = [round(float(value), 2) for one in model.get_weights() for value in one.flatten()]
    print(json.dumps([strategy.num_replicas_in_sync, learned]))
    """
    distribution = {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 0}
    lab = framework_lab("tensorflow")
    found = said(lab, TENSORFLOW + textwrap.dedent(code), 2, node_count=2, distribution=distribution)

    assert found == [[2, [1.0, -2.0, 0.5]]] * 2


def test_tensorflow_workers_share_what_a_parameter_server_keeps_until_they_are_done(
    framework_lab: Callable[[str], Lab],
) -> None:
    """The server would serve for ever; each worker takes 100 steps, and waits for those of the other."""
    code = """
    import tensorflow.compat.v1 as tf
    tf.disable_eager_execution()
    cluster = tf.train.ClusterSpec(told["cluster"])
    own = "/job:%s/task:%d" % (task["type"], task["index"])
    config = tf.ConfigProto(device_filters=["/job:ps", own])
    server = tf.train.Server(cluster, task["type"], task["index"], config=config)
    if task["type"] == "ps":
        server.join()
    with tf.device(tf.train.replica_device_setter(cluster=cluster)):
        weights = tf.get_variable("weights", (2, 1))
        steps = tf.train.get_or_create_global_step()
        inputs = tf.random.normal((64, 2))
        loss = tf.reduce_mean((inputs @ weights - inputs @ tf.constant([[1.0], [-2.0]])) ** 2)
        train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, steps)
    begin, missing = tf.global_variables_initializer(), tf.report_uninitialized_variables()
    with tf.Session(server.target, config=config) as session:
        if task["index"] == 0:
            session.run(begin)
        while len(session.run(missing)):  # a MonitoredTrainingSession looks every 30 s
            time.sleep(0.05)
        for _ in range(100):
            session.run(train)
        while session.run(steps) < 200:
            time.sleep(0.05)
        learned = [round(float(value), 2) for value in session.run(weights).flatten()]
    print(json.dumps([learned, weights.device]))
    """
    distribution = {"type": "tensorflow", "worker_count": 2, "parameter_server_count": 1}
    lab = framework_lab("tensorflow")
    found = said(lab, TENSORFLOW + textwrap.dedent(code), 3, node_count=2, distribution=distribution)

    assert found == [[[1.0, -2.0], "/job:ps/task:0"], [[1.0, -2.0], "/job:ps/task:0"], None]
    assert lab.store.record(lab.run_ids[-1]).exits[2]["stopped_by"] == protocol.SERVED


def test_horovod_trains_a_model_of_tensorflow_on_all_nodes(framework_lab: Callable[[str], Lab]) -> None:
    code = """
    import json
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import horovod.tensorflow.keras as hvd
    import tensorflow as tf
    hvd.init()
    tf.random.set_seed(hvd.rank())
    inputs = tf.random.normal((256, 2))
    wanted = inputs @ tf.constant([[1.0], [-2.0]]) + 0.5
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(hvd.DistributedOptimizer(tf.keras.optimizers.SGD(0.2)), "mse")
    begin = hvd.callbacks.BroadcastGlobalVariablesCallback(0)
    model.fit(inputs, wanted, batch_size=64, epochs=15, verbose=0, callbacks=[begin])
    learned = [round(float(value), 2) for one in model.get_weights() for value in one.flatten()]
    print(json.dumps([hvd.size(), hvd.rank(), hvd.local_rank(), hvd.mpi_enabled(), learned]))
    """
    found = said(framework_lab("tensorflow"), code, 2, node_count=2, distribution={"type": "mpi"})

    assert found == [[2, rank, 0, True, [1.0, -2.0, 0.5]] for rank in range(2)]


@pytest.mark.usefixtures("lab")
def test_a_chainer_estimator_trains_by_mpi_on_all_nodes(
    shipped: Callable[[str], str], sources: Path, store_uri: str
) -> None:
    estimator = Chainer(
        source_directory=str(sources / "image_chainer"),
        entry_script="train.py",
        framework_version="7.8.1",
        custom_docker_image=shipped("chainer"),
        user_managed=True,
        node_count=2,
        process_count_per_node=2,
        distributed_training=MpiConfiguration(),
    )
    run = Experiment("frameworks", store=store_uri).submit(estimator, compute_target={"type": "docker"})
    run.wait_for_completion(show_output=False)

    assert run.get_metrics() == {"ranks": 4, "nodes": 2, "learned": [1.0, -2.0, 0.5], "agree": 1}
    assert docker_objects(run.id) == []
