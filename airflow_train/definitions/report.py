"""What is found wrong while a definition is read: every problem at once, each with its place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_train.definitions.values import HIDDEN, may_hold_secret, shown
from airflow_train.exceptions import DefinitionError, printable

#: Where in a definition: parameter names, keys and positions, outermost first.
Path = tuple["str | int", ...]
#: Where every path was written: its line in a YAML file, from 1, or the words for another place, as `--set cpu=0`.
Lines = Mapping[Path, "int | str"]

_END = 1 << 30
#: After so many problems nobody reads on, and looking for more would take its time.
MOST = 100


class Report:
    """Problems and notes about one definition.

    :param where: what the sentences start with: a class name, or the file when `lines` are known.
    :param lines: line of every path of a YAML file, or the place that was written to instead of the file.
    :param strict: templates and XCom arguments are refused where a checked value must stand.
    :param warn: False where all was read before: what is accepted was warned of then.
    :param spelled: turns a sentence with our names into one with those of the file, where they differ.
    """

    def __init__(
        self,
        where: str,
        lines: Lines | None = None,
        *,
        strict: bool = False,
        warn: bool = True,
        spelled: Callable[[str], str] = str,
    ) -> None:
        self.where = where
        self.spelled = spelled
        self.warn = warn
        self.lines = {} if lines is None else lines
        self.strict = strict
        self._problems: list[tuple[int, str]] = []
        self._notes: list[tuple[type[Warning], str]] = []
        self._failed: set[Path] = set()

    def problem(self, path: Path, sentence: str) -> None:
        """Remember one sentence about the value at `path`.

        :raises DefinitionError: there are too many by now.
        """
        self._problems.append((_order(self._line(path)), self.placed(path, sentence)))
        self._failed.update(path[:length] for length in range(1, len(path) + 1))
        if len(self._problems) >= MOST:
            sentence = f"{self.where}: reading stopped after {MOST} problems; mend these first."
            raise DefinitionError([*self._sorted(), sentence])

    def placed(self, path: Path, sentence: str) -> str:
        """A sentence about the value at `path`, which says where that is."""
        line = self._line(path)
        place = line if isinstance(line, str) else f"{self.where}:{line}" if line else self.where
        return f"{place}: {self.spelled(sentence)}"

    def add(self, path: Path, sentences: Iterable[str]) -> None:
        """Remember sentences about the value at `path` that name their place themselves."""
        line = self._line(path)
        self._problems.extend((_order(line), sentence) for sentence in sentences)

    def note(self, path: Path, category: type[Warning], sentence: str) -> None:
        """Remember one warning about the value at `path`."""
        self._notes.append((category, self.placed(path, sentence)))

    def excuse(self, path: Path) -> None:
        """Say no more about `path`: what is wrong there was reported somewhere else."""
        self._failed.add(path)

    def failed(self, path: Path) -> bool:
        """Whether something at or below `path` was refused, so that other rules needn't look at it."""
        return path in self._failed

    def finish(self, stacklevel: int) -> None:
        """Give out the warnings, then raise if anything was wrong.

        :raises DefinitionError: with one sentence per problem, in the order of the file.
        """
        for category, sentence in self._notes if self.warn else ():
            warnings.warn(printable(sentence), category, stacklevel=stacklevel + 1)
        if self._problems:
            raise DefinitionError(self._sorted())

    def _sorted(self) -> list[str]:
        ordered = sorted(self._problems, key=lambda found: found[0])
        return list(dict.fromkeys(sentence for _, sentence in ordered))

    def _line(self, path: Path) -> int | str | None:
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return None


def _order(line: int | str | None) -> int:
    return line if isinstance(line, int) else _END


class At:
    """A place in a definition, and the report that hears about it."""

    __slots__ = ("path", "report")

    def __init__(self, report: Report, path: Path = ()) -> None:
        self.report = report
        self.path = path

    @classmethod
    def nowhere(cls) -> At:
        """For a rule that is applied again to what it accepted."""
        return cls(Report(""))

    def __truediv__(self, key: str | int) -> At:
        return At(self.report, (*self.path, key))

    @property
    def strict(self) -> bool:
        """Whether templates are refused where a checked value must stand."""
        return self.report.strict

    def wrong(self, value: object, allowed: str, mend: str = "") -> Any:
        """Report `node_count is 0 but must be at least 1; leave it out to run on one node.`; gives None."""
        found = HIDDEN if may_hold_secret(self) else shown(value)
        self.say(f"{self} is {found} but must be {allowed}", mend)

    def say(self, finding: str, mend: str = "") -> Any:
        """Report a problem: what was found and what is allowed, then how to mend it; gives None."""
        self.report.problem(self.path, _sentence(finding, mend))

    def note(self, category: type[Warning], sentence: str) -> None:
        """Report something that is accepted but should change."""
        self.report.note(self.path, category, sentence)

    def failed(self, *names: str) -> bool:
        """Whether one of these parameters was refused already."""
        return any(self.report.failed((*self.path, name)) for name in names)

    def __str__(self) -> str:
        text = ""
        for part in self.path:
            if isinstance(part, str) and part.isidentifier() and len(part) < 80:
                text += f".{part}" if text else part
            else:
                text += f"[{shown(part)}]"
        return text or "the definition"


def _sentence(finding: str, mend: str) -> str:
    if not mend:
        return f"{finding}."
    return f"{finding}; {mend}" if mend.endswith("?") else f"{finding}; {mend}."
