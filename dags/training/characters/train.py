"""Learns to guess the next character of a text, on all ranks together by DistributedDataParallel with gloo.

The text is what Python's `help()` knows of the language, which every Python has. Rank 0 leaves the model in outputs/.
"""

from __future__ import annotations

import argparse
import re
import time
from pydoc_data.topics import topics

import torch
from torch import distributed, nn
from train_run import Run

ALPHABET = " abcdefghijklmnopqrstuvwxyz0123456789.,;:'\"()[]{}<>=+-*/%&|!@#_`^~?$\\"
CONTEXT = 8  # characters that a guess is made from

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--rate", type=float, default=0.003)
arguments = parser.parse_args()

distributed.init_process_group("gloo")
rank, ranks = distributed.get_rank(), distributed.get_world_size()
torch.set_num_threads(1)  # the ranks of a node share its processors

words = re.sub(r"\s+", " ", " ".join(topics[name] for name in sorted(topics)).lower())
text = torch.tensor([ALPHABET.index(one) for one in words if one in ALPHABET])
windows = text.unfold(0, CONTEXT + 1, 1)
train, test = windows[: len(windows) * 9 // 10], windows[len(windows) * 9 // 10 :: 10]

torch.manual_seed(0)
model = nn.Sequential(
    nn.Embedding(len(ALPHABET), 16),
    nn.Flatten(),
    nn.Linear(CONTEXT * 16, 128),
    nn.ReLU(),
    nn.Linear(128, len(ALPHABET)),
)
parallel = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.Adam(parallel.parameters(), lr=arguments.rate)
draw = torch.Generator().manual_seed(rank)  # every rank learns from other places of the text

run = Run.get_context()
began = time.perf_counter()
for step in range(1, arguments.steps + 1):
    batch = train[torch.randint(len(train), (128,), generator=draw)]
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(parallel(batch[:, :-1]), batch[:, -1])
    loss.backward()
    optimizer.step()
    if rank == 0 and step % 50 == 0:
        run.log("loss", loss.item())
        print(f"step {step}: loss {loss.item():.3f}")

mine = test[rank::ranks]
right = (model(mine[:, :-1]).argmax(1) == mine[:, -1]).sum()
print(f"rank {rank} of {ranks}: {right} of {len(mine)} right")
distributed.all_reduce(right)
if rank == 0:
    run.log("ranks", ranks)
    run.log("seconds", time.perf_counter() - began)
    run.log("always_a_space", (test[:, -1] == 0).float().mean().item())
    run.log("accuracy", right.item() / len(test))
    torch.save(model.state_dict(), "outputs/model.pt")
distributed.destroy_process_group()
