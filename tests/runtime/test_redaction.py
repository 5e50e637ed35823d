"""Secrets are found in every form and however the bytes come; nothing else is touched, and it costs next to nothing."""

from __future__ import annotations

import base64
import json
import random
from urllib.parse import quote, quote_plus

import pytest

from airflow_train.runtime.redaction import Redactor
from tests.secrecy import KEY, SECRET

DATA = (
    f"a {SECRET} b {quote(SECRET)} {json.dumps(SECRET)} {SECRET!r}\n{KEY}\nabcabcabcabx abcab {SECRET[:-1]} {SECRET}"
).encode()


def cleaned(text: str, *values: str) -> str:
    """What is shown of a text."""
    return Redactor(values).stream().feed(text.encode(), last=True).decode()


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_every_spelling_is_hidden(spelled: str) -> None:
    assert cleaned(f"<{spelled}>", SECRET) == "<***>"


@pytest.mark.parametrize("seed", range(50))
def test_pieces_of_any_size_show_the_same_as_the_whole(seed: int) -> None:
    hide = Redactor([SECRET, KEY, "abcabcabx"])
    whole = hide.stream().feed(DATA, last=True)
    dice, stream, shown, at = random.Random(seed), hide.stream(), b"", 0
    while at < len(DATA):
        step = dice.choice([1, 2, 7, 50])
        shown += stream.feed(DATA[at : at + step])
        at += step
    assert shown + stream.feed(b"", last=True) == whole
    assert whole.count(b"***") == 7


def test_each_line_of_a_key_is_hidden_alone_but_for_short_ones() -> None:
    assert cleaned("x MIIEvQIBADANBgkqhkiG9w0 y", KEY) == "x *** y"
    assert cleaned("{\n}\n", '{\n"password": "hunter2-x"\n}\n') == "{\n}\n"


def test_what_a_script_takes_out_of_a_url_or_json_is_hidden() -> None:
    uri = (
        "postgres://me:p%40ss%2Fword@host/db?__extra__=%7B%22api_key%22%3A+%22insidekey%22%7D&region=eu-west"
    )
    assert cleaned("p@ss/word p%40ss%2Fword insidekey me host eu-west", uri) == "*** *** *** me host eu-west"
    account = json.dumps({"type": "service_account", "private_key": "line one long\nline two long\n"})
    assert cleaned("service_account line one long", account) == "service_account ***"


def test_surrounding_space_isnt_part_of_a_secret() -> None:
    assert cleaned("token=hunter2-x;", " hunter2-x\n") == "token=***;"


def test_short_values_are_left_alone() -> None:
    assert not Redactor(["", "abcd", "1234"])
    assert cleaned("abcde abcd", "abcde", "abcd") == "*** abcd"


def test_the_longer_of_two_secrets_that_begin_alike_is_hidden_whole() -> None:
    stream = Redactor(["hunter2", "hunter2secret"]).stream()
    assert stream.feed(b"hunter2") + stream.feed(b"secret hunter2 ") == b"*** *** "


def test_nothing_waits_that_can_not_become_a_secret() -> None:
    stream = Redactor([SECRET]).stream()
    assert stream.feed(b"progress 17%") == b"progress 17%"
    assert stream.feed(f"{SECRET[:3]}".encode()) == b""
    assert stream.feed(b"!") == f"{SECRET[:3]}!".encode()


def test_lines_of_metrics_stay_what_they_are() -> None:
    hide = Redactor(["scalar", "12345"])
    line = '{"k":"scalar","n":"scalar x","v":12345,"t":1712345.5}\n'
    assert json.loads(hide.line(line)) == {"k": "scalar", "n": "*** x", "v": 12345, "t": 1712345.5}
