"""A run that makes no progress: the stacks of all ranks into their logs, and which of them is the odd one."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any, NamedTuple

from airflow_train.runtime import handed, protocol
from airflow_train.runtime.stacks import Asked, ask

_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")
_THREAD = re.compile(r"^(Current thread|Thread) .*\(most recent call first\):")
#: What a rank that waits for the others is in, by the name of a function or the text of its line.
_COLLECTIVE = re.compile(
    r"barrier|all_?reduce|all_?gather|all_?to_?all|reduce_?scatter|broadcast|bcast|rendezvous|synchronize|"
    r"\b(wait|recv|irecv|gather|scatter|reduce|sendrecv|monitored_barrier)\b",
    re.IGNORECASE,
)


class Frame(NamedTuple):
    """One call of a Python stack."""

    file: str
    line: int
    function: str


def look(launch: dict[str, Any], ranks: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Write the stacks of these ranks of this node into their logs.

    :param ranks: those that haven't ended.
    :returns: rank → {"stack": [[file, line, function]], innermost call first, "waits": does it wait for the others,
        "place": where it is in words, empty when it shows no stack, "words": then, what is known of its process}.
    """
    hide = handed.redactor(launch)
    asked = ask(launch, ranks, hide)
    seconds, work = launch["no_progress_timeout"], launch["work_folder"]
    doing = {}
    for one in ranks:
        lines = ["no progress for %g s; what this rank is doing:" % seconds]
        for process in asked[one["rank"]]:
            lines += [process.words, *process.answer]
        lines = lines if hide is None else [hide.text(line) for line in lines]
        _append(os.path.join(launch["run_folder"], protocol.rank_log(one["rank"])), lines)
        stack = _main_stack(asked[one["rank"]])
        place = _place(stack, work) if stack else ""
        words = asked[one["rank"]][-1].words if asked[one["rank"]] else "none of its processes was found"
        doing[one["rank"]] = {
            "stack": [[frame.file.replace(work + os.sep, ""), *frame[1:]] for frame in stack],
            "waits": _waits(stack, work),
            "place": place if hide is None else hide.text(place),
            "words": words,
        }
    return doing


def found(launch: dict[str, Any], doing: dict[int, dict[str, Any]], last: dict[int, float]) -> dict[str, Any]:
    """Which rank is the odd one: `rank`, its `node`, and `detail` in words.

    :param doing: what `look` has given, of all nodes.
    :param last: rank → when it last wrote something.
    """
    world = (launch.get("meeting") or {}).get("world") or launch["ranks"]
    rank = odd_one(doing, last)
    node = next(one["node"] for one in world if one["rank"] == rank)
    return {"rank": rank, "node": node, "detail": _detail(rank, node, doing, len(world))}


def _append(path: str, lines: list[str]) -> None:
    """Add lines to a rank's log, to which its wrapper may be writing too."""
    stamp = protocol.timestamp()
    text = "".join("%s %s\n" % (stamp, line) for line in lines)
    try:
        with open(path, "ab+", buffering=0) as file:
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                text = text if file.read(1) == b"\n" else "\n" + text
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        print(protocol.timestamp(), "stacks could not be written: %s" % error.strerror, flush=True)


def _main_stack(asked: list[Asked]) -> list[Frame]:
    """The stack of a rank's first process that has one, innermost call first."""
    return next((stack for stack in (frames(one.answer) for one in asked) if stack), [])


def frames(answer: list[str]) -> list[Frame]:
    """The stack of the thread that took the signal, which is the main thread; of another one if that has none."""
    stacks: list[list[Frame]] = []
    first = 0
    for line in answer:
        thread, frame = _THREAD.match(line), _FRAME.match(line)
        if thread:
            first = len(stacks) if thread.group(1) == "Current thread" else first
            stacks.append([])
        elif frame and stacks:
            stacks[-1].append(Frame(_letters(frame.group(1)), int(frame.group(2)), _letters(frame.group(3))))
    ordered = stacks[first:] + stacks[:first]
    return next((stack for stack in ordered if stack), [])


def _letters(text: str) -> str:
    """A name as it was before faulthandler wrote it in ASCII."""
    return _ESCAPED.sub(lambda found: chr(int(found.group()[2:], 16)), text)


def odd_one(doing: dict[int, dict[str, Any]], last: dict[int, float]) -> int:
    """The rank that most likely keeps the others waiting.

    One that gives no sign while others do; one that isn't in a collective call while others are; one whose stack is
    another than that of most; else the one that stopped first.
    """
    suspects = set(doing)
    common, shared = (_most_common(doing, lines) for lines in (True, False))
    for innocent in (
        {rank for rank, one in doing.items() if one["stack"]},
        {rank for rank, one in doing.items() if one["waits"]},
        common,
        shared,
    ):
        if suspects - innocent:
            suspects -= innocent
    return min(suspects, key=lambda rank: (last.get(rank, 0.0), rank))


def _most_common(doing: dict[int, dict[str, Any]], lines: bool) -> set[int]:
    """Ranks whose stack is that of more than half of all."""
    keys = {
        rank: tuple((file, line if lines else 0, function) for file, line, function in one["stack"])
        for rank, one in doing.items()
    }
    key, count = Counter(keys.values()).most_common(1)[0]
    return {rank for rank in keys if keys[rank] == key} if 2 * count > len(keys) else set()


def _waits(stack: list[Frame], work: str) -> bool:
    """Is this rank in a call that needs the others?"""
    names = any(_COLLECTIVE.search(frame.function) for frame in stack[:8])
    return names or any(_COLLECTIVE.search(_source(frame, work)) for frame in stack[:2])


def _source(frame: Frame, work: str) -> str:
    """The line of source where a call stands; empty when it can't be read."""
    import linecache

    return linecache.getline(os.path.join(work, frame.file), frame.line).strip()


def _detail(rank: int, node: int, doing: dict[int, dict[str, Any]], count: int) -> str:
    who = "Rank %d of %d (node %d)" % (rank, count, node) if count > 1 else "The script"
    one = doing[rank]
    where: str = who + (" was at " + one["place"] if one["stack"] else " gave no sign: " + one["words"])
    others: list[str] = [
        other["place"] for number, other in doing.items() if number != rank and other["stack"]
    ]
    if others:
        place, alike = Counter(others).most_common(1)[0]
        where += "; %d of the others %s at %s" % (alike, "was" if alike == 1 else "were", place)
    ended = count - len(doing)
    return where + ("; %d %s had ended" % (ended, "rank" if ended == 1 else "ranks") if ended else "")


def _place(stack: list[Frame], work: str) -> str:
    """The innermost call and its line, and the innermost one of the run's own code where that is another."""
    own = next(
        (frame for frame in stack if not os.path.isabs(frame.file) or frame.file.startswith(work)), None
    )
    text = _call(stack[0], work)
    return text + " (called at %s)" % _call(own, work) if own is not None and own != stack[0] else text


def _call(frame: Frame, work: str) -> str:
    line = _source(frame, work)
    file = frame.file.replace(work + os.sep, "")
    return "%s, line %d, in %s%s" % (file, frame.line, frame.function, ": `%s`" % line if line else "")
