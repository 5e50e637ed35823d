"""One epoch over tensors, its gradients averaged over the ranks by gloo, as whoever the image says."""

import os

import torch
from torch import distributed, nn
from train_run import Run

distributed.init_process_group("gloo")
torch.manual_seed(distributed.get_rank())
inputs = torch.randn(256, 4)
wanted = inputs @ torch.tensor([[1.0], [-2.0], [3.0], [0.5]])
model = nn.Linear(4, 1)
for parameter in model.parameters():
    distributed.broadcast(parameter.data, 0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for batch, target in zip(inputs.split(16), wanted.split(16)):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(batch), target)
    loss.backward()
    for parameter in model.parameters():
        distributed.all_reduce(parameter.grad)
        parameter.grad /= distributed.get_world_size()
    optimizer.step()
    losses.append(loss.item())
if distributed.get_rank() == 0:
    run = Run.get_context()
    run.log("improved", losses[-1] / losses[0])
    run.log("ranks", distributed.get_world_size())
    run.log("uid", os.getuid())
    torch.save(model.state_dict(), "outputs/model.pt")
distributed.destroy_process_group()
