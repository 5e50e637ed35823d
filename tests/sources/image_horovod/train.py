"""Learns the irises that come with scikit-learn, its gradients averaged by Horovod, as whoever the image says."""

import os

import horovod.torch as hvd
import torch
from sklearn.datasets import load_iris
from torch import nn
from train_run import Run

hvd.init()
torch.set_num_threads(1)
torch.manual_seed(hvd.rank())
flowers, names = load_iris(return_X_y=True)
mine = slice(hvd.rank(), None, hvd.size())
inputs, wanted = torch.tensor(flowers[mine], dtype=torch.float32), torch.tensor(names[mine])
model = nn.Linear(4, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=model.named_parameters())
hvd.broadcast_parameters(model.state_dict(), root_rank=0)
for _ in range(100):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs), wanted).backward()
    optimizer.step()
weights = hvd.allgather(model.weight.detach()[None], name="weights")
if hvd.rank() == 0:
    run = Run.get_context()
    guessed = model(torch.tensor(flowers, dtype=torch.float32)).argmax(1).numpy()
    run.log("accuracy", (guessed == names).mean())
    run.log("apart", (weights - weights[0]).abs().max().item())
    run.log("ranks", hvd.size())
    run.log("uid", os.getuid())
    torch.save(model.state_dict(), "outputs/model.pt")
