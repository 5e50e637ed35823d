"""Trains a network to read handwritten digits, on all ranks together by Horovod; rank 0 leaves it in outputs/."""

from __future__ import annotations

import argparse
import time

import horovod.torch as hvd
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler
from train_run import Run

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--rate", type=float, default=0.02)
arguments = parser.parse_args()

hvd.init()
torch.manual_seed(hvd.rank())
torch.set_num_threads(1)  # the ranks of a node share its processors

images, labels = load_digits(return_X_y=True)
pixels = torch.tensor(images, dtype=torch.float32) / 16
x_train, x_test, y_train, y_test = train_test_split(
    pixels, torch.tensor(labels), test_size=0.3, random_state=0
)
train = TensorDataset(x_train, y_train)
share = DistributedSampler(train, num_replicas=hvd.size(), rank=hvd.rank())
batches = DataLoader(train, batch_size=16, sampler=share)

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
# a step of all ranks together is of so many batches, so it may be longer
optimizer = torch.optim.SGD(model.parameters(), lr=arguments.rate * hvd.size(), momentum=0.9)
optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=model.named_parameters())
hvd.broadcast_parameters(model.state_dict(), root_rank=0)

run = Run.get_context()
for epoch in range(arguments.epochs):
    began = time.perf_counter()
    share.set_epoch(epoch)
    total = 0.0
    for pixels, digits in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pixels), digits)
        loss.backward()
        optimizer.step()
        total += loss.item()
    loss = hvd.allreduce(torch.tensor(total / len(batches)), name="loss").item()
    if hvd.rank() == 0:
        run.log("loss", loss)
        run.log("epoch_seconds", time.perf_counter() - began)
        print(f"epoch {epoch}: loss {loss:.4f}")

mine = slice(hvd.rank(), None, hvd.size())
right = (model(x_test[mine]).argmax(1) == y_test[mine]).sum()
accuracy = hvd.allreduce(right, name="right", op=hvd.Sum).item() / len(y_test)
print(
    f"rank {hvd.rank()} of {hvd.size()}, {hvd.local_rank()} on its node: {right} of {len(x_test[mine])} right"
)
if hvd.rank() == 0:
    run.log("ranks", hvd.size())
    run.log("accuracy", accuracy)
    torch.save(model.state_dict(), "outputs/model.pt")
