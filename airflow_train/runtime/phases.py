"""What a run waits for now, as its supervisor says it: in events, with a limit for each phase."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

#: Seconds until a phase that goes on is said to go on; doubled each time.
FIRST_WORD = 5.0


class LimitPassed(Exception):
    """A phase has gone on for longer than it may; the message says what was being done."""


class Phases:
    """The phases of one node, one after the other.

    :param limits: phase → seconds; one that isn't named may take as long as it likes.
    :param say: writes an event of a phase and a reason.
    """

    def __init__(self, limits: dict[str, float], say: Callable[[str, str], None]) -> None:
        self.limits, self._say = limits, say
        self.name, self.reason = "", ""
        self._began = self._next_word = 0.0
        self._pause = FIRST_WORD

    def enter(self, name: str, reason: str) -> None:
        """The next phase begins."""
        self.name, self.reason = name, reason
        self._began, self._pause = time.monotonic(), FIRST_WORD
        self._next_word = self._began + self._pause
        self._say(name, reason)

    def passed(self) -> bool:
        """Has this phase gone on for longer than it may?"""
        limit = self.limits.get(self.name)
        return limit is not None and time.monotonic() - self._began > limit

    def check(self, done: str = "") -> None:
        """Say from time to time how far this phase has come.

        :raises LimitPassed: it has gone on for longer than it may.
        """
        if self.passed():
            raise LimitPassed("%s took longer than %g s" % (self.reason, self.limits[self.name]))
        if done and time.monotonic() >= self._next_word:
            self._pause *= 2
            self._next_word = time.monotonic() + self._pause
            self._say(self.name, "%s, %s" % (self.reason, done))
