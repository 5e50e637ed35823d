"""Secrets that were written where everybody can read them: names that look like one get a warning with the mend.

A name is taken apart into words. `--api-key`, `--password` and `HF_TOKEN` are suspects; `--tokenizer`, `--max-tokens`,
`--key-dim` and `--eos-token` are everyday names of training scripts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from airflow_train.definitions.report import At

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: A name that ends with one of these words says that its value is a secret …
_ENDS = frozenset({
    "password", "passwd", "pwd", "passphrase", "secret", "secrets", "apikey", "credential", "credentials", "token",
    "key", "authtoken", "accesskey", "secretkey", "privatekey", "dsn",
})  # fmt: skip
#: … but a key only after one of these, as other keys belong to dictionaries and attention …
_KEYS_OF = frozenset({
    "api", "access", "secret", "private", "auth", "encryption", "signing", "account", "storage", "license", "ssh",
    "service", "shared", "master", "wandb", "comet", "neptune", "app", "application", "admin", "deploy", "subscription",
})  # fmt: skip
#: … and a token not after these, which are parts of text.
_TOKENS_OF_TEXT = frozenset({
    "eos", "bos", "pad", "padding", "mask", "unk", "unknown", "cls", "sep", "special", "stop", "start", "end", "begin",
    "first", "last", "next", "prev", "image", "audio", "video", "text", "prompt", "per", "max", "min", "num", "n",
    "new", "extra", "blank", "separator", "class", "distill", "target", "source", "oov", "sos", "of", "on", "each",
    "by", "trigger", "placeholder", "register", "query", "user", "assistant", "system", "tool",
})  # fmt: skip
_SCHEMES = ("connection:", "variable:", "env:")
_PLAIN = re.compile(r"true|false|yes|no|on|off|none|null|-?\d{1,6}(\.\d*)?|", re.IGNORECASE)
_PATH = re.compile(r"(/|\./|\.\./|~/|[A-Za-z]:\\)")


def looks_secret(name: str) -> bool:
    """Whether a variable or argument of that name most likely holds a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] not in _ENDS:
        return False
    before = words[-2] if len(words) > 1 else ""
    if words[-1] == "key":
        return before in _KEYS_OF
    if words[-1] == "token":
        return before not in _TOKENS_OF_TEXT
    return True


def note_value(name: str, value: Any, at: At) -> None:
    """Warn of a name and value that stand in the open and are most likely a secret."""
    text = value if isinstance(value, str) else ""
    if text.startswith(_SCHEMES) and not text.startswith("env://"):
        at.note(
            UserWarning,
            f"{at} begins like a reference to a secret, which is resolved under secrets only; "
            f"write {_mend(name)}, or ignore this if the script wants that text.",
        )
    elif looks_secret(name) and not (_PLAIN.fullmatch(text) or _PATH.match(text)):
        at.note(
            UserWarning,
            f"{at} looks like a secret, but everything here is stored and shown; write {_mend(name)} and let the "
            "script read that environment variable.",
        )


def note_words(words: Sequence[Any], at: At) -> None:
    """The same for a command line, `--name value` or `--name=value`."""
    texts = [word if isinstance(word, str) else "" for word in (*words, None)]
    for number, (word, after) in enumerate(pairwise(texts)):
        name, equals, value = word.partition("=")
        if name.startswith("-") and not value.startswith("-"):
            found = value if equals else after
            if not found.startswith("-"):
                note_value(name, found, at / (number if equals else number + 1))


def _mend(name: str) -> str:
    variable = re.sub(r"\W+", "_", name.strip("-")).upper() or "NAME"
    variable = f"_{variable}" if variable[0].isdigit() else variable
    return f'secrets: {{{variable}: "connection:ID/password"}}'
