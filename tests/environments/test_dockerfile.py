"""The text of Dockerfiles, of a recipe's packages and of an author's own."""

from __future__ import annotations

import pytest

from airflow_train.environments import dockerfile
from airflow_train.environments.recipe import Recipe

MARK = f"LABEL {dockerfile.LABEL}={dockerfile.BUILDING}"


def test_packages_are_installed_as_root_and_the_images_user_comes_back() -> None:
    text = dockerfile.packages(Recipe(pip=("six",), apt=("git",), conda=("numpy",)), "base:1")
    lines = text.splitlines()

    assert lines[:3] == ["FROM base:1", MARK, "USER root"]
    assert lines[-2:] == [f"ARG {dockerfile.USER}", f"USER ${{{dockerfile.USER}}}"]


def test_what_changes_least_is_installed_first_so_that_the_engine_can_use_it_again() -> None:
    text = dockerfile.packages(Recipe(pip=("six",), apt=("git",), conda=("numpy",)), "base:1")
    places = [text.index(words) for words in ("apt-get install", '"$conda" install', "pip install")]

    assert places == sorted(places)


def test_names_of_packages_cannot_become_commands() -> None:
    text = dockerfile.packages(Recipe(apt=("git; rm -rf /",), conda=("a b", "numpy>=1")), "base:1")

    assert "--no-install-recommends 'git; rm -rf /'" in text
    assert "'a b' 'numpy>=1'" in text


def test_conda_gets_the_wanted_python_and_the_channels_in_their_order() -> None:
    recipe = Recipe(python="3.11", conda=("numpy",), conda_channels=("conda-forge", "pytorch"))

    assert "-n base -c conda-forge -c pytorch python=3.11 numpy" in dockerfile.packages(recipe, "base:1")


@pytest.mark.parametrize(
    ("text", "images", "stages"),
    [
        ("FROM python:3.12\nRUN true", ["python:3.12"], 1),
        ("FROM a AS one\nFROM b\nCOPY --from=one / /\nFROM one", ["a", "b"], 3),
        (
            "FROM a AS one\nFROM b\nCOPY --from=0 / /\nCOPY --chown=x --from=r.example/c:1 / /",
            ["a", "b", "r.example/c:1"],
            2,
        ),
        ("ARG TAG=3.12\nARG BASE=python:${TAG}\nFROM $BASE\nARG BASE=x", ["python:3.12"], 1),
        ("ARG BASE\nFROM ${BASE}\nFROM ${BASE:-c}", ["c"], 2),
        ("from --platform=linux/amd64 a as One\nFROM one", ["a"], 2),
        ("FROM scratch", [], 1),
        ("FROM \\\n# a comment between\n\n  a", ["a"], 1),
        ("FROM a\nRUN echo \\\nFROM b", ["a"], 1),
        ("# escape=`\nFROM `\n a", ["a"], 1),
        ("# FROM nothing \\\nFROM a", ["a"], 1),
    ],
)
def test_every_stage_of_an_authors_dockerfile_is_marked_and_its_images_are_known(
    text: str, images: list[str], stages: int
) -> None:
    assert dockerfile.bases(text) == images
    assert dockerfile.marked(text).count(MARK) == stages
    assert dockerfile.marked(text).replace(f"{MARK}\n", "").strip() == text.strip()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("RUN --mount=type=cache,target=/c true", "--mount"),
        ("run --network=none --mount=type=cache,target=/c true", "--network"),
        ("COPY --chown=a --chmod=755 a b", "--chmod"),
        ("COPY --link \\\n a b", "--link"),
        ("RUN <<EOF\necho\nEOF", "<<EOF"),
        ("RUN python3 - <<'EOF'\nprint()\nEOF", "python3 - <<'EOF"),
        ("RUN tool --mount=x && tool --link", None),
        ("RUN echo $((1<<3)) && cat <<< text", None),
        ("COPY --from=b --chown=a a b", None),
        ("# RUN <<EOF", None),
    ],
)
def test_what_only_buildkit_knows_is_found(line: str, found: str | None) -> None:
    assert dockerfile.buildkit_only(f"FROM a\n{line}\n") == found
