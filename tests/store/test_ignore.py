"""What stays behind is what git, or Docker, would leave out."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from airflow_train.store import ignore

FOLDERS = [
    "a",
    "b",
    "build",
    "a/b",
    "a/build",
    "a/b/c",
    "b/[x]",
    "keep",
    "keep/deep",
    "sp ace",
    "a/b/c/d",
    "ünï",
]
NAMES = [
    "x.txt",
    "y.py",
    "data.csv",
    "keep.txt",
    "#hash",
    "!bang",
    "z",
    "end ",
    "a-b",
    "a]b",
    "foo.pyc",
    "x\\y",
]
PATTERNS = [
    "*", "*.txt", "!keep.txt", "/x.txt", "build/", "!build/", "a/b", "/a/*", "!/a/b", "**/c", "a/**",
    "a/**/d", "**/b/*.py", "*.py[co]", "[a-c]", "[!a-z]*", "[[:alpha:]]", "x.???", "\\#hash", "\\!bang",
    "end\\ ", "z   ", "!keep", "keep/", "**", "#x", "a]b", "[a", "b/\\[x\\]/", "foo**", "**foo*", "/**/z",
    "a//b", "/", "!", "x\\\\y", "deep/x.txt", "!deep/x.txt", "sp ace", "ü*", "[]-]*", "[a\\-z]-b", "a/b/",
    "!*/", "*/*.csv", "trailing\\", "a**/b", "***/c", "a/***/d", "[^a]", "x.txt\r",
]  # fmt: skip


def _git(folder: Path, *arguments: str, stdin: str = "") -> str:
    command = ["git", "-c", "core.excludesFile=/dev/null", *arguments]
    done = subprocess.run(command, cwd=folder, input=stdin.encode(), capture_output=True, check=False)
    return done.stdout.decode()


def _paths(root: Path) -> list[str]:
    found = (path for path in root.rglob("*") if ".git" not in path.relative_to(root).parts)
    return sorted(str(path.relative_to(root)) for path in found)


@pytest.mark.parametrize("seed", range(40))
def test_nested_gitignores_mean_what_git_means(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    for folder in ["", *choose.sample(FOLDERS, 8)]:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in choose.sample(NAMES, 6):
            (tmp_path / folder / name).touch()
        if not folder or choose.random() < 0.4:
            lines = choose.sample(PATTERNS, choose.randint(1, 7))
            (tmp_path / folder / ".gitignore").write_bytes("\n".join(lines).encode())
    _git(tmp_path, "init", "-q")
    paths = _paths(tmp_path)
    answer = _git(tmp_path, "check-ignore", "-z", "--stdin", "--no-index", stdin="\0".join(paths))
    ours = {path for path in paths if ignore.is_ignored(tmp_path, path)}
    assert ours == set(filter(None, answer.split("\0")))


def test_rule_is_named_by_file_line_and_text(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".gitignore").write_text("# first\n*.log\n")
    (tmp_path / "sub/.gitignore").write_text("\n\ntrain.py\n")
    assert str(ignore.why_ignored(tmp_path, "sub/train.py")) == "sub/.gitignore:3 (train.py)"
    assert str(ignore.why_ignored(tmp_path, "sub/a.log")) == ".gitignore:2 (*.log)"


def test_first_ignore_file_decides_alone(tmp_path: Path) -> None:
    for name in (".amlignore", ".gitignore", ".dockerignore"):
        (tmp_path / name).write_text(f"*{name}.x\n")
    found = []
    for name in (".amlignore", ".gitignore", ".dockerignore"):
        found.append([other for other in ignore.IGNORE_FILES if ignore.is_ignored(tmp_path, f"a{other}.x")])
        (tmp_path / name).unlink()
    assert found == [[".amlignore"], [".gitignore"], [".dockerignore"]]


def test_amlignore_has_no_nested_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".amlignore").write_text("a\n")
    (tmp_path / "sub/.gitignore").write_text("b\n")
    assert ignore.is_ignored(tmp_path, "sub/a")
    assert not ignore.is_ignored(tmp_path, "sub/b")


@pytest.mark.parametrize("name", ["", ".amlignore", ".gitignore", ".dockerignore"])
def test_git_folder_never_travels(tmp_path: Path, name: str) -> None:
    if name:
        (tmp_path / name).write_text("!.git\n!**/.git/**\n")
    assert ignore.is_ignored(tmp_path, ".git/config")
    assert ignore.is_ignored(tmp_path, "vendor/lib/.git")
    assert not ignore.is_ignored(tmp_path, ".gitmodules")


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("*.txt", ["a.txt"], ["sub/a.txt"]),
        ("**/*.txt", ["a.txt", "sub/a.txt"], ["a.py"]),
        ("/sub", ["sub", "sub/a.txt"], ["other/sub"]),
        ("sub/", ["sub/a.txt"], ["a"]),
        ("data\n!data/keep", ["data/x"], ["data/keep", "data/keep/y"]),
        ("*\n!src", ["a", "sub/a"], ["src/a", "src/deep/b"]),
        ("!a\na", ["a"], []),
        ("a/**/z", ["a/z", "a/b/c/z"], ["z"]),
        ("  spaced  \n# no\n#x", ["spaced"], ["#x", "# no"]),
        ("a/../b", ["b"], ["a"]),
        ("x?y\n[ab]c", ["xzy", "ac"], ["x/y", "cc"]),
        ("**/node_modules/**", ["a/node_modules/b"], ["a/b"]),
    ],
)
def test_dockerignore_follows_dockers_rules(
    tmp_path: Path, lines: str, ignored: list[str], kept: list[str]
) -> None:
    (tmp_path / ".dockerignore").write_text(lines)
    for path in (*ignored, *kept):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    assert [path for path in ignored if not ignore.is_ignored(tmp_path, path)] == []
    assert [path for path in kept if ignore.is_ignored(tmp_path, path)] == []
