"""Values of secrets in what a script says: each of their forms becomes `***` before anything is stored.

Looked for: the value as it is, quoted for URLs, escaped as in JSON and in Python's `repr`, in Base64, and each longer
line of a value of several lines; of a URL also its password, of JSON what its names call secret. A form of fewer than
`SHORTEST` characters is left alone, as by Airflow's own masker: it would turn up in everything. So is what a script
makes of a secret in any other way.

Scripts get this file too, as `train_redaction`: it imports nothing of ours, and nothing dear at the top.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASK = "***"
#: Fewer characters are no secret worth the name; `min_length_masked_secret` of Airflow has the same default.
SHORTEST = 5
#: Lines of a longer value are hidden one by one from this length on.
SHORTEST_LINE = 8
#: Keys of a line of metrics under which a script's own words stand: name, value, description, removed tags.
_SAID = frozenset("nvdr")
_SECRET_NAME = re.compile(r"pass(word|wd|phrase)?$|pwd$|secret|token$|key$|key_id$|credential", re.IGNORECASE)
_PASSWORD = re.compile(r"[A-Za-z][\w+.-]*://[^/@:\s]*:([^@\s]+)@")


class Redactor:
    """Hides the values of secrets. Without a value worth hiding it is false and changes nothing."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {form for value in values for form in _forms(value)}
        self._forms = sorted(
            found, key=lambda form: (-len(form), form)
        )  # the longest of two that begin alike wins
        self._bytes = [form.encode("utf-8", "surrogateescape") for form in self._forms]
        self._pattern = re.compile(b"|".join(map(re.escape, self._bytes)))
        self._text_pattern = re.compile("|".join(map(re.escape, self._forms)))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self._text_pattern.sub(MASK, text) if any(form in text for form in self._forms) else text

    def plain(self, value: Any) -> Any:
        """Plain data without secrets, in names as in values. Numbers stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.plain(key): self.plain(item) for key, item in value.items()}
        return [self.plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    def line(self, line: str) -> str:
        """A line of metrics (`script/train_run.py`) without secrets in what the script said; still JSON."""
        if not any(form in line for form in self._forms):
            return line
        import json

        record = {key: self.plain(item) if key in _SAID else item for key, item in json.loads(line).items()}
        return json.dumps(record, separators=(",", ":")) + "\n"

    def stream(self) -> Stream:
        """The same for bytes that come in pieces."""
        return Stream(self._bytes, self._pattern)


def of_script(environment: Mapping[str, str]) -> Redactor | None:
    """What hides the secrets of the run that a script belongs to; None where there is nothing to hide."""
    names = environment.get("AIRFLOW_TRAIN_SECRETS")
    if not names:
        return None
    return Redactor([environment[name] for name in names.split(",") if name in environment]) or None


class Stream:
    """Bytes without secrets, piece by piece. What may be the beginning of a secret waits for the next piece."""

    def __init__(self, forms: list[bytes], pattern: re.Pattern[bytes]) -> None:
        self._forms, self._pattern = forms, pattern
        self._held = b""

    def feed(self, data: bytes, last: bool = False) -> bytes:
        """What can be shown after these bytes; all of it when they are the `last`."""
        data = self._held + data
        wait = len(data) if last else self._open(data, 0)
        if not any(form in data for form in self._forms):
            self._held = data[wait:]
            return data[:wait]
        pieces, done = [], 0
        for found in self._pattern.finditer(data):
            if found.start() >= wait:
                break
            pieces += [data[done : found.start()], MASK.encode()]
            done = found.end()
            if done > wait:
                wait = len(data) if last else self._open(data, done)
        self._held = data[wait:]
        return b"".join([*pieces, data[done:wait]])

    def _open(self, data: bytes, start: int) -> int:
        """Where the first form begins that goes on beyond the end; that end when none does."""
        best = len(data)
        for form in self._forms:
            at = data.find(form[:1], max(start, len(data) - len(form) + 1))
            while 0 <= at < best:
                if form.startswith(data[at:]):
                    best = at
                at = data.find(form[:1], at + 1)
        return best


def _forms(value: str) -> Iterator[str]:
    for one in {value, value.strip(), *_inside(value)}:
        if len(one) >= SHORTEST:
            yield one
            yield from (form for form in _spelled(one) if len(form) >= SHORTEST)
    for line in value.splitlines()[: None if "\n" in value.strip() else 0]:
        if len(line.strip()) >= SHORTEST_LINE:
            yield line.strip()


def _spelled(value: str) -> Iterator[str]:
    import json
    from base64 import b64encode
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "surrogateescape")
    yield from (quote(data, safe=""), quote(data), quote_plus(data))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    encoded = b64encode(data).decode("ascii").rstrip("=")
    yield from (encoded, encoded.replace("+", "-").replace("/", "_"))


def _inside(value: str) -> Iterator[str]:
    """Secrets that a script finds when it takes this one apart."""
    from urllib.parse import parse_qsl, unquote

    password = _PASSWORD.match(value)
    if password:
        yield from (password.group(1), unquote(password.group(1)))
    if "://" in value and "?" in value:
        for name, item in parse_qsl(value.partition("?")[2]):
            if name == "__extra__":
                yield from _inside(item)
            elif _SECRET_NAME.search(name):
                yield item
    if value.lstrip()[:1] in ("{", "["):
        import json

        try:
            yield from _leaves(json.loads(value))
        except ValueError:
            return


def _leaves(value: Any, secret: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, secret or _SECRET_NAME.search(name) is not None)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, secret)
    elif isinstance(value, str) and secret:
        yield from (
            value,
            value.strip(),
            *(line for line in value.splitlines() if len(line) >= SHORTEST_LINE),
        )
