"""Patterns of ignore files as regular expressions, to be used with `fullmatch` on paths with `/`.

Git's (wildmatch) and Docker's patterns look alike and differ: git matches a pattern without `/` in any folder, Docker
only in the root; Docker's `**` needs no slashes around it, and its patterns also match everything below.
"""

from __future__ import annotations

import re

_POSIX = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": r"\x21-\x7e", "lower": "a-z", "print": r"\x20-\x7e", "punct": r"!-/:-@\[-`{-~", "space": r"\s",
    "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


def git_regex(pattern: str) -> re.Pattern[str] | None:
    """A pattern of `.gitignore` without `!` and the slash at its end; None for one that can't match anything."""
    anchored = "/" in pattern
    pattern = pattern.removeprefix("/")
    if not pattern:
        return None
    text = "" if anchored else "(?:.*/)?"
    place = 0
    while place < len(pattern):
        stars = len(pattern) - place - len(pattern[place:].lstrip("*"))
        whole = stars > 1 and anchored and pattern[place - 1 : place] in ("", "/")
        if whole and pattern.startswith("/", place + stars):
            text += "(?:.*/)?"
            place += stars + 1
        elif whole and place + stars == len(pattern):
            text += ".+"
            place += stars
        elif stars:
            text += "[^/]*"
            place += stars
        else:
            piece = _piece(pattern, place, negations="!^")
            if piece is None:
                return None
            text += piece[0]
            place = piece[1]
    return _compiled(text)


def docker_regex(pattern: str) -> re.Pattern[str] | None:
    """A pattern of `.dockerignore`, cleaned and without `!`; None for one that Docker would refuse."""
    text = ""
    place = 0
    while place < len(pattern):
        if pattern.startswith("**", place):
            place += 2
            if pattern.startswith("/", place):
                place += 1
            text += ".*" if place == len(pattern) else "(?:.*/)?"
        elif pattern[place] == "*":
            text += "[^/]*"
            place += 1
        else:
            piece = _piece(pattern, place, negations="^")
            if piece is None:
                return None
            text += piece[0]
            place = piece[1]
    return _compiled(f"{text}(?:/.*)?")


def _piece(pattern: str, place: int, negations: str) -> tuple[str, int] | None:
    """One `?`, class, escaped or plain character at `place`: its expression and what comes after it."""
    character = pattern[place]
    if character == "?":
        return "[^/]", place + 1
    if character == "[":
        return _character_class(pattern, place + 1, negations)
    if character == "\\":
        if place + 1 == len(pattern):
            return None
        return re.escape(pattern[place + 1]), place + 2
    return re.escape(character), place + 1


def _character_class(pattern: str, place: int, negations: str) -> tuple[str, int] | None:
    negated = place < len(pattern) and pattern[place] in negations
    place += negated
    first, inside = place, ""
    while place < len(pattern) and (pattern[place] != "]" or place == first):
        if match := re.compile(r"\[:(\w+):\]").match(pattern, place):
            if match[1] not in _POSIX:
                return None
            inside += _POSIX[match[1]]
            place = match.end()
            continue
        if pattern[place] == "\\":
            place += 1
            if place == len(pattern):
                return None
        is_range = (
            pattern[place] == "-" and place != first and pattern[place + 1 : place + 2] not in ("", "]")
        )
        inside += "-" if is_range and pattern[place - 1] != "\\" else re.escape(pattern[place])
        place += 1
    if place == len(pattern):
        return None
    return f"(?!/)[{'^' if negated else ''}{inside}]", place + 1


def _compiled(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None
