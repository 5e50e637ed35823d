"""The kind of a parameter that holds another definition: a distribution, an environment, a registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.definition import Definition, read_into
from airflow_train.definitions.kinds import TEMPLATE, Kind, any_case
from airflow_train.definitions.report import At
from airflow_train.definitions.values import either, nearest


class Part(Kind):
    """A definition inside another one, as an object or a mapping with `type` (needed only where several classes fit).

    :param aliases: words that stand for a class with some parameters set.
    :param always: one is there when none is given: an empty one, or one with these parameters, which are also the
        defaults of one that is given.
    """

    def __init__(
        self,
        *classes: type[Definition],
        always: bool | Mapping[str, Any] = False,
        aliases: Mapping[str, tuple[type[Definition], Mapping[str, Any]]] | None = None,
    ) -> None:
        self.classes, self.always = classes, always is not False
        self.preset: Mapping[str, Any] = always if isinstance(always, Mapping) else {}
        self.aliases: dict[str, tuple[type[Definition], Mapping[str, Any]]] = {
            name: (cls, self.preset) for cls in classes for name in cls.type_names()
        } | dict(aliases or {})

    def initial(self, default: Any) -> Any:
        return self.classes[0](**self.preset) if self.always else default

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, self.classes):
            return value
        if isinstance(value, str) and len(self.classes) > 1:
            value = {"type": value}
        if not isinstance(value, Mapping):
            if any(cls.PRIVATE for cls in self.classes):
                return at.say(
                    f"{at} is a literal (not shown) but must be {self._allowed()}",
                    "write it as a mapping of address, username and password",
                )
            return at.wrong(value, self._allowed(), "write it as a mapping or an object of such a class")
        named = value.get("type", self.classes[0].__name__ if len(self.classes) == 1 else None)
        cls, preset = self.aliases.get(str(named).lower(), (None, {}))
        if cls is None:
            known = {name for each in self.classes for name in each.PARAMS}
            for key in value:
                if key not in known and key != "type":
                    near = nearest(key, known)
                    mend = f"did you mean {near}?" if near else f"they have {', '.join(sorted(known))}"
                    (at / str(key)).say(f"{key} is no parameter of {self._allowed()}", mend)
            close = nearest(named, self.aliases) if named is not None else None
            return (at / "type").wrong(
                named, self._allowed(), f"did you mean {close}?" if close else "write one of these"
            )
        return read_into(cls, {**preset, **{key: item for key, item in value.items() if key != "type"}}, at)

    def plain(self, value: Any) -> Any:
        return value.to_dict() if len(self.classes) > 1 else value.parameters()

    def schema(self) -> dict[str, Any]:
        places: list[dict[str, Any]] = [{"$ref": f"#/$defs/{cls.__name__}"} for cls in self.classes]
        return (
            places[0] if len(places) == 1 else {"anyOf": [*places, *any_case(list(self.aliases)), TEMPLATE]}
        )

    def also(self) -> list[dict[str, Any]]:
        """Schemas of what may stand in place of such a definition."""
        return []

    def _allowed(self) -> str:
        return either(cls.type_names()[-1] if len(self.classes) > 1 else cls.__name__ for cls in self.classes)
