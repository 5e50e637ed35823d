"""What people and programs read: standard output for the answer, standard error for everything about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_STYLES = {
    "Completed": "green",
    "Failed": "red",
    "Canceled": "yellow",
    "CancelRequested": "yellow",
    "NotResponding": "magenta",
    "Running": "cyan",
    "ok": "green",
    "problem": "red",
    "note": "yellow",
}


def say(text: str) -> None:
    """One line about what happens, for people."""
    print(text, file=sys.stderr, flush=True)


def warn(text: object) -> None:
    """Something that works but should change."""
    say(f"warning: {text}")


def error(text: object) -> None:
    """What went wrong; lines that start with a space belong to the one before."""
    for line in str(text).splitlines() or [""]:
        say(line if line.startswith((" ", "Last lines of rank")) else f"error: {line}")


def print_json(value: Any) -> None:
    """The whole answer as one JSON document, in ASCII so that any terminal and locale carries it."""
    from airflow_train.runs.metrics import json_safe

    print(json.dumps(json_safe(value), indent=2, default=str, allow_nan=False))


def print_json_lists(value: dict[str, Any]) -> None:
    """As `print_json`, where lists are long: one line per key, a million numbers in 0.1 s."""
    import msgspec

    from airflow_train.runs.metrics import json_safe

    members = []
    for key, item in value.items():
        try:
            text = msgspec.json.encode(json_safe(item)).decode("ascii")
        except ValueError:  # other letters; json writes them in ASCII
            text = json.dumps(json_safe(item))
        members.append(f"{json.dumps(key)}: {text}")
    print("{" + ",".join(f"\n  {one}" for one in members) + ("\n}" if members else "}"))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headers: a rich table on a terminal, plain columns elsewhere (nothing is cut or wrapped there)."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        lines = [list(headers), *texts]
        widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(header, no_wrap=number == 0, overflow="fold")
    for line in texts:
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in line))
    Console().print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values below each other; what is empty is left out."""
    said = [(name, str(value)) for name, value in facts if value not in (None, "", {}, [])]
    width = max((len(name) for name, _ in said), default=0)
    for name, value in said:
        print(f"{name.ljust(width)}  {value}")


@contextmanager
def working(text: str) -> Iterator[None]:
    """A spinner on standard error while something takes long; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text, spinner="dots"):
        yield


def size(count: int) -> str:
    """Bytes for people: `812 B`, `3.4 MB`."""
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def number(value: object) -> str:
    """A metric for people: five significant digits."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def pairs(values: dict[str, Any] | None) -> str:
    """`a=1, b=2`."""
    return ", ".join(f"{name}={number(value)}" for name, value in (values or {}).items())
