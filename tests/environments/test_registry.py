"""Registered environments: versions that never change, a new one only where something differs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_train import Environment
from airflow_train.environments import registry
from airflow_train.exceptions import DefinitionError
from airflow_train.store import layout
from airflow_train.store.files import Files


def environment(*packages: str) -> Environment:
    return Environment("e", python={"pip_packages": list(packages)})


def test_a_new_version_is_made_only_where_something_differs(files: Files) -> None:
    numbers = [
        registry.register(files, environment(*packages)).version for packages in ("a", "a", "ab", "ab", "a")
    ]
    assert numbers == ["1", "1", "2", "2", "3"]
    assert registry.versions(files, "e") == [1, 2, 3]


def test_the_newest_version_is_found_unless_one_is_named(files: Files) -> None:
    registry.register(files, environment("a"))
    registry.register(files, environment("b"))
    assert registry.find(files, "e") == environment("b")
    assert registry.find(files, "e:1") == environment("a")
    assert registry.find(files, "e:1").version == "1"


def test_many_who_register_the_same_at_once_make_one_version(files: Files) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: registry.register(files, environment("a")).version, range(16)))
    assert set(made) == {"1"}
    assert registry.versions(files, "e") == [1]


def test_a_name_whose_registration_was_killed_is_no_name_yet(files: Files) -> None:
    registry.register(files, environment("a"))
    files.make_folder(layout.environment("killed"))

    assert registry.names(files) == list(registry.newest(files)) == ["e"]


@pytest.mark.parametrize("name", [None, 5, "", "a b", "../a", "e:0", "e:latest"])
def test_what_names_no_environment_is_one_sentence(files: Files, name: Any) -> None:
    with pytest.raises(DefinitionError, match="names no environment; write NAME or NAME:VERSION"):
        registry.find(files, name)


def test_a_password_is_kept_as_a_reference(files: Files) -> None:
    login = {"address": "r.example", "username": "me", "password": "connection:registry"}
    registry.register(files, Environment("e", docker={"base_image": "i", "base_image_registry": login}))
    found = registry.find(files, "e").docker.base_image_registry
    assert found.password == "connection:registry"


def test_people_register_and_find_them_by_the_class(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = environment("a").register(store=store)
    assert (first, first.version) == (environment("a"), "1")
    assert Environment.get("e", store=store) == Environment.get("e", 1, store=store) == first
    assert dict(Environment.list(store=store)) == {"e": first}
    with pytest.raises(DefinitionError, match="no environment f in"):
        Environment.get("f", store=store)


def test_a_clone_of_a_version_is_one_of_its_own(files: Files) -> None:
    registry.register(files, environment("a"))
    clone = registry.find(files, "e").clone("f")
    clone.python.pip_packages = ["b"]
    assert registry.register(files, clone).version == "1"
    assert registry.find(files, "e") == environment("a")
