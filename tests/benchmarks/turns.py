"""Runs of ours and the same by hand, which take turns: how they compare, and how far that can be trusted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import chain
from statistics import median, stdev
from typing import Any

from tests.benchmarks.by_hand import Hung

#: Put before a script of 2 nodes with 2 ranks each: a node's ranks stay on one processor, as if it were a machine
#: with one. Left alone, four ranks on two processors are moved a few times in a run, and a sum of 64 MB takes 0.14 s
#: while a node's ranks are together and 0.2 s otherwise, whoever starts them. By which of these a run happens to live,
#: the ratio of hundreds of sums was 1.00 one time and 1.14 another, and that of epochs 0.998 and 1.068.
PINNED = """
import os
processors = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, {processors[int(os.environ["OMPI_COMM_WORLD_RANK"]) // 2 % len(processors)]})
"""
#: How many times the pairs are drawn again for the standard error (the bootstrap).
_DRAWS = 1000

Pairs = Sequence[tuple[list[float], list[float]]]


def measured(
    ours: Callable[[], list[float]], by_hand: Callable[[], list[float]], rounds: int
) -> dict[str, Any]:
    """`times_by_hand`, its standard error over the pairs of runs, and each run's median in seconds.

    :param ours: one run; gives the seconds of everything that was timed in it.
    :raises Hung: by hand, as often as there are rounds; fewer aren't held against it.
    """
    pairs: list[tuple[list[float], list[float]]] = []
    hung = 0
    while len(pairs) < rounds:
        try:
            first = by_hand() if len(pairs) % 2 else None
            mine = ours()
            pairs.append((mine, first or by_hand()))
        except Hung:
            hung += 1
            if hung == rounds:
                raise
    again = random.Random(0)
    ratios = [_ratio(again.choices(pairs, k=rounds)) for _ in range(_DRAWS)]
    return {
        "times_by_hand": round(_ratio(pairs), 3),
        "standard_error": round(stdev(ratios), 3),
        "hung": hung,
        "seconds": {
            name: [round(median(pair[which]), 4) for pair in pairs]
            for which, name in enumerate(("ours", "by_hand"))
        },
    }


def _ratio(pairs: Pairs) -> float:
    """Median of everything that ours timed over that of everything by hand."""
    return median(chain(*(mine for mine, _ in pairs))) / median(chain(*(hand for _, hand in pairs)))
