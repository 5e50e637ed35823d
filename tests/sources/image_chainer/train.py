"""A line through points that are spread over the ranks, by ChainerMN: each gets a share, all learn the same."""

import chainer
import chainermn
import numpy as np
from chainer import functions, links
from train_run import Run

communicator = chainermn.create_communicator("naive")
points = None
if communicator.rank == 0:
    inputs = np.random.default_rng(0).normal(size=(512, 2)).astype("float32")
    wanted = inputs @ np.array([[1.0], [-2.0]], "float32") + np.float32(0.5)
    points = chainer.datasets.TupleDataset(inputs, wanted)
share = chainermn.scatter_dataset(points, communicator, shuffle=True, seed=0)
model = links.Linear(2, 1)
optimizer = chainermn.create_multi_node_optimizer(chainer.optimizers.SGD(0.2), communicator).setup(model)
batches = chainer.iterators.SerialIterator(share, 32)


def loss(inputs, wanted):
    return functions.mean_squared_error(model(inputs), wanted)


while optimizer.t < 60:
    optimizer.update(loss, *chainer.dataset.concat_examples(next(batches)))
learned = [round(float(value), 2) for one in (model.W, model.b) for value in one.array.flatten()]
everybody = communicator.gather_obj([communicator.intra_rank, len(share), learned])
if communicator.rank == 0:
    run = Run.get_context()
    run.log("ranks", communicator.size)
    run.log("nodes", communicator.inter_size)
    run.log_list("learned", learned)
    run.log("agree", int(all(one[2] == learned for one in everybody)))
    print([one[:2] for one in everybody])
