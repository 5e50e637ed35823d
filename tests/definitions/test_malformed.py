"""Every malformed definition file is answered by one sentence per mistake: file, line, finding, what is allowed."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from airflow_train import definitions
from airflow_train.definitions import Estimator
from airflow_train.exceptions import DefinitionError
from tests.definitions.malformed import FILES, HEAD, MISTAKES, MORE, MORE_FILES

ALL_MISTAKES, ALL_FILES = MISTAKES | MORE, FILES | MORE_FILES


def sentences(path: Path) -> list[str]:
    """What is said about a file; everything else than a DefinitionError fails the test."""
    with pytest.raises(DefinitionError) as caught:
        definitions.load(path).normalized()
    return list(caught.value.problems)


def check(said: list[str], place: str, words: tuple[str, ...]) -> None:
    assert len(said) == 1, said
    assert said[0].startswith(f"{place}: ")
    assert said[0].endswith((".", "?"))
    assert "\n" not in said[0]
    for word in words:
        assert word in said[0]


@pytest.mark.parametrize("name", ALL_MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line(name: str, tmp_path: Path) -> None:
    text, line, words = ALL_MISTAKES[name]
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}{text}\n", encoding="utf-8")
    check(sentences(file), f"{file}:{line}", words)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_malformed_file_is_one_sentence_with_its_line(name: str, tmp_path: Path) -> None:
    text, line, words = ALL_FILES[name]
    file = tmp_path / "estimator.yaml"
    file.write_text(text, encoding="utf-8")
    check(sentences(file), f"{file}:{line}", words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEAD.encode() + b"experiment: caf\xe9\n", ("UTF-8",)),
        (HEAD.encode("utf-16"), ("UTF-8",)),
        (HEAD.encode() + b"experiment: a\0b\n", ("NUL",)),
        (HEAD.encode() + b"experiment: a\x07b\n", ("yaml:4: the character 07", "YAML")),
        (b"# " + b"x" * 1_000_001, ("larger than",)),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ("UTF-8",)),
    ],
    ids=["latin-1", "utf-16", "NUL", "control character", "too large", "an image"],
)
def test_bytes_that_are_no_text_are_one_sentence(
    content: bytes, words: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_bytes(content)
    said = sentences(file)
    assert len(said) == 1
    assert said[0].startswith(f"{file}:")
    assert all(word in said[0] for word in words)


def test_a_missing_file_names_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "estimator.yaml").write_text(HEAD)
    said = sentences(tmp_path / "estimater.yaml")
    assert len(said) == 1
    assert said[0].endswith(f"did you mean {tmp_path / 'estimator.yaml'}?")


def test_a_folder_is_no_definition(tmp_path: Path) -> None:
    said = sentences(tmp_path)
    assert len(said) == 1
    assert "folder" in said[0]


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_pipe, "this is a pipe but must be a YAML file"),
        (_loop, "can't be read (Too many levels of symbolic links)"),
        (_device, "this is a device but must be a YAML file"),
        (_socket, "can't be read ("),
        (_dangling, "there is no such file"),
    ],
    ids=["pipe", "loop of links", "device", "socket", "dangling link"],
)
@pytest.mark.parametrize("name", ["a.yaml", ".azureml/a.runconfig"])
def test_what_is_no_regular_file_is_one_sentence_at_once(make: Any, words: str, name: str) -> None:
    with TemporaryDirectory() as folder:  # a socket's path must be short
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        make(path)
        said = sentences(path)
        assert len(said) == 1
        assert words in said[0]


@pytest.mark.parametrize(
    ("parameter", "make", "words"),
    [
        ("entry_script", _pipe, "a pipe or device"),
        ("pip_requirements_file", _device, "a pipe or device"),
        ("conda_dependencies_file", _loop, "no such file"),
        ("conda_dependencies_file", Path.mkdir, "a folder"),
    ],
)
def test_a_file_that_a_definition_names_is_a_file(
    parameter: str, make: Any, words: str, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").touch()
    make(tmp_path / "src" / "odd")
    file = tmp_path / "estimator.yaml"
    file.write_text(
        HEAD.replace("train.py", "odd") if parameter == "entry_script" else f"{HEAD}{parameter}: odd\n"
    )
    with pytest.raises(DefinitionError) as caught:
        definitions.check_files(definitions.load(file))
    check(list(caught.value.problems), f"{file}:{3 if parameter == 'entry_script' else 4}", (words,))


@pytest.mark.parametrize(
    "name", ["a\nb.yaml", "\x1b[31mred.yaml", "a\u202eb.yaml", "a\udcffb.yaml", "a\tb.yaml"]
)
@pytest.mark.parametrize(
    "text", [None, "type: [", f"{HEAD}node_count: 0\n"], ids=["missing", "syntax", "value"]
)
def test_a_file_with_a_hostile_name_is_one_printable_sentence(
    name: str, text: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    said = sentences(path)
    assert len(said) == 1
    assert said[0].isprintable()


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".yaml", "a" * 5000, "a\0b", "", "x" * 300 + ".runconfig", "/dev/null/x"]
)
def test_a_name_that_no_file_has_is_one_sentence(name: str) -> None:
    assert len(sentences(Path(name) if "\0" not in name else name)) == 1  # type: ignore[arg-type]


class Unshowable:
    """Of a class whose author has made a mistake."""

    def __repr__(self) -> str:
        raise RuntimeError


def _ring() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (_ring(), "nested deeper than 50 levels"),
        (range(10**12), "more than 100000 values"),
        (itertools.count(), "more than 100000 values"),
        ([[0] * 400] * 400, "more than 100000 values"),
        (10**5000, "more than 4000 digits"),
        ("\ud800", "isn't Unicode"),
        (Unshowable(), "an object of class Unshowable"),
        (float("nan"), "nan"),
        (b"bytes", "b'bytes'"),
        (object, "class 'object'"),
        ({1, 2}, "{1, 2}"),
        (Ellipsis, "Ellipsis"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
@pytest.mark.parametrize(
    "parameter", ["node_count", "pip_packages", "tags", "memory", "distributed_training"]
)
def test_a_python_value_that_is_too_much_is_one_sentence(value: Any, words: str, parameter: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Estimator("src", entry_script="train.py", **{parameter: value})
    assert len(caught.value.problems) == 1
    assert parameter in str(caught.value)
    assert words in str(caught.value) or not isinstance(value, str)


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    said = sentences(tmp_path / "bomb.yaml")
    assert len(said) == 1
    assert "more than" in said[0]


def test_all_mistakes_of_a_file_are_said_at_once_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}node_count: 0\nuse_gpu: yes\ntags: a\ntgas: {{}}\nexperiment: a\nexperiment: b\n")
    said = sentences(file)
    assert [one.split(": ")[0] for one in said] == [f"{file}:{line}" for line in (4, 5, 6, 7, 9)]


def test_a_wrong_type_of_distribution_hides_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    wrong = "distributed_training: {type: smoke, node_cuont: 2}\nuse_gpu: true\ngpu: 0\n"
    file.write_text(HEAD + wrong, encoding="utf-8")
    said = sentences(file)
    assert len(said) == 3
    assert (
        "node_cuont is no parameter of mpi, pytorch, tensorflow or paralleltask; did you mean node_count?"
        in said[0]
    )
    assert "type is smoke" in said[1]
    assert "gpu is 0" in said[2]


def test_a_literal_password_is_never_repeated(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}image_registry_details: {{address: a, password: hunter2}}\n")
    assert "hunter2" not in "".join(sentences(file))


@pytest.mark.parametrize("value", [None, 3, [], b"a.yaml", object()])
def test_what_is_no_definition_at_all_is_one_sentence(value: object) -> None:
    with pytest.raises(DefinitionError) as caught:
        definitions.load(value)
    assert len(caught.value.problems) == 1


def test_a_key_that_stands_three_times_is_said_for_each_line(tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}gpu: 1\ngpu: 2\ngpu: 3\n")
    assert [one.split(": ")[0] for one in sentences(file)] == [f"{file}:5", f"{file}:6"]


@pytest.mark.parametrize(
    "text",
    ["".join(f"nod_{n}: 1\n" for n in range(20_000)), "tags:\n" + "  a: b\n" * 20_000],
    ids=["unknown names", "one name"],
)
def test_reading_stops_after_a_hundred_problems(text: str, tmp_path: Path) -> None:
    file = tmp_path / "estimator.yaml"
    file.write_text(f"{HEAD}{text}\nnode_count: 0\n")
    said = sentences(file)
    assert len(said) == 101
    assert said[-1] == f"{file}: reading stopped after 100 problems; mend these first."
