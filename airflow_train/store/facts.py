"""Facts of files by which a change is seen: mode, inode, size, times of change of content and of facts."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

#: How old a change must be to be seen as one: more where times are whole seconds or two (NFS 2, FAT).
_FINE_NS, _COARSE_NS = 100_000_000, 2_000_000_000
#: Numbers kept per name: mode, inode, size, time of change of content and of facts.
FACTS = 5


def packed(numbers: Sequence[int]) -> bytes:
    """Facts as they are remembered."""
    try:
        return array("q", numbers).tobytes()
    except OverflowError:  # inodes of some filesystems use all 64 bits
        return array("q", [number % (1 << 63) for number in numbers]).tobytes()


def is_old(facts: tuple[int, ...], now: int) -> bool:
    """Whether a later change of the file will show in its facts."""
    changed = max(facts[3], facts[4])
    return changed < now - (_FINE_NS if changed % 1_000_000_000 else _COARSE_NS)


def by_name(names: list[str], facts: bytes) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names with their facts; folders, whose names end with a slash, have none."""
    numbers = array("q", facts)
    place = 0
    for name in names:
        if name.endswith("/"):
            yield name, ()
        else:
            yield name, tuple(numbers[place : place + FACTS])
            place += FACTS
