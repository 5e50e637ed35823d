"""What is said of an image that is built."""

from __future__ import annotations

from airflow_train.environments import dockerfile, image
from airflow_train.environments.recipe import Recipe


def test_a_recipe_of_a_thousand_lines_is_not_a_label() -> None:
    short, long = Recipe(pip=("six",)), Recipe(pip=tuple(f"package{number}==1" for number in range(1000)))

    assert image.labels(short) == {dockerfile.LABEL: short.key, image.RECIPE_LABEL: '{"pip": ["six"]}'}
    assert image.labels(long) == {dockerfile.LABEL: long.key}
