"""What every definition class is made of: one table of parameters, from which everything else follows.

A class body lists its parameters with `param(...)`. From that table come the constructor with its signature and help,
the checks, `to_dict` and `from_dict`, YAML reading, and the JSON schema. Type checkers see the same table, because
`Definition` is a `dataclass_transform`; nothing is generated as code, so a class costs microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, dataclass_transform

from airflow_train.definitions.filling import fill, find, put
from airflow_train.definitions.parameters import Param, documented, param, signature
from airflow_train.definitions.report import At, Lines, Report
from airflow_train.definitions.report import Path as Place
from airflow_train.definitions.values import is_deferred

#: The key of plain data that names the class, and one that is for editors only.
TYPE, SCHEMA = "type", "$schema"

_Made_co = TypeVar("_Made_co", covariant=True)


@dataclass_transform(kw_only_default=True, field_specifiers=(param,))
class Definition:
    """Base of all definition classes. Equal when they say the same; changing an attribute checks the new value."""

    PARAMS: ClassVar[dict[str, Param]] = {}
    #: Parameters that relatives of this class have and it refuses, with the reason and perhaps `; ` and the mend.
    ABSENT: ClassVar[Mapping[str, str]] = {}

    #: Whether what stands in place of such a definition may be a secret, which no message repeats.
    PRIVATE: ClassVar[bool] = False

    #: Names that can't be given beside the one that replaced them; of others the newer one is used.
    EXCLUSIVE: ClassVar[frozenset[str]] = frozenset()

    _folder: Path | None
    _where: str
    _lines: Lines

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        found: dict[str, Param] = {}
        for base in reversed(cls.__mro__):
            found.update((name, row) for name, row in vars(base).items() if isinstance(row, Param))
        positional = {name: row for name, row in found.items() if not row.kw_only}
        cls.PARAMS = {**positional, **{name: row for name, row in found.items() if row.kw_only}}
        cls.__signature__ = signature(cls.PARAMS)  # type: ignore[attr-defined]
        cls.__doc__ = documented(cls.__dict__.get("__doc__"), cls.PARAMS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = [name for name, row in self.PARAMS.items() if not row.kw_only]
        report = Report(type(self).__name__)
        at = At(report)
        for name in names[: len(args)]:
            if name in kwargs:
                (at / name).say(f"{name} is given twice", "give it once")
        if len(args) > len(names):
            at.say(
                f"{len(args)} positional arguments are given but only {', '.join(names) or 'none'} may be",
                "write name=value",
            )
        fill(self, {**kwargs, **dict(zip(names, args, strict=False))}, at, None)
        report.finish(stacklevel=2)

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        where: str | None = None,
        strict: bool = True,
        found: Iterable[tuple[Place, str]] = (),
        folder: Path | None = None,
        lines: Lines | None = None,
        warn: bool = True,
    ) -> Self:
        """A definition from plain data, as `to_dict` gives it or a template left it (numbers may be text).

        :param where: what error messages start with; default the class's name.
        :param strict: refuse templates and XCom arguments where a checked value must stand.
        :param found: problems that were found before, with the path of each.
        :param folder: what a relative `source_directory` is relative to.
        :param lines: the file's line of every path in `data`.
        :param warn: False where the same was read before, and has been warned of.
        :raises DefinitionError: with every problem found.
        """
        report = Report(where or cls.__name__, lines, strict=strict, warn=warn)
        for path, sentence in found:
            report.problem(path, sentence)
        self = cls.__new__(cls)
        data = {name: value for name, value in data.items() if name != SCHEMA}
        written = data.pop(TYPE, cls.__name__)
        if not isinstance(written, str) or written.lower() not in cls.type_names():
            (At(report) / TYPE).wrong(
                written, cls.__name__, "read it with definitions.load, which finds the class"
            )
        fill(self, data, At(report), folder)
        report.finish(stacklevel=2)
        return self

    @classmethod
    def type_names(cls) -> tuple[str, ...]:
        """Names that `type:` may use for this class, in lower case."""
        return (cls.__name__.lower(),)

    @classmethod
    def from_yaml(cls, path: str | Path, *, base: Path | None = None, strict: bool = False) -> Self:
        """The definition that a YAML file holds.

        :param path: the file; relative to `base`, else to the current folder.
        :param strict: refuse templates where a checked value must stand.
        :raises DefinitionError: with every problem of the file, each with its line.
        """
        return from_file((base or Path()) / path, cls.from_dict, strict=strict)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The definition as YAML, which reads back equal; written to `path` if that is given."""
        from airflow_train.definitions.yaml_file import dumped

        text = dumped(self.to_dict())
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: the class's name as `type`, and what differs from the defaults. Never a secret."""
        return {TYPE: type(self).__name__, **self.parameters()}

    def parameters(self) -> dict[str, Any]:
        """What differs from the defaults, as plain data."""
        said: dict[str, Any] = {}
        for name, row in self.PARAMS.items():
            value = getattr(self, name)
            plain = value if is_deferred(value) or value is None else row.kind.plain(value)
            if row.kept and plain != row.default and plain not in (None, {}):
                said[name] = _copied(plain)
        return said

    def strictly(self) -> Self:
        """The same definition, checked again as a whole, with nothing left to be rendered.

        :raises DefinitionError: with every problem found.
        """
        where, lines = self.origin()
        return self.from_dict(self.to_dict(), where=where, lines=lines, folder=self._folder, warn=False)

    def origin(self) -> tuple[str, Lines]:
        """What sentences about this definition start with, and the lines of its file if it came from one."""
        return self._where, self._lines

    def placed(self, sentence: str) -> str:
        """What somebody else says of this definition, with the line of the file that it came from, if any.

        :param sentence: begins with a parameter's name, or is about the whole.
        """
        where, lines = self.origin()
        name = sentence.replace(":", " ").partition(" ")[0]
        return Report(where, lines).placed((name,), sentence) if lines else sentence

    def home(self) -> tuple[str, Path | None]:
        """What sentences about this definition start with, and the folder of the file that it came from, if any."""
        return self._where, self._folder

    def check(self, at: At) -> None:
        """Rules that look at several parameters at once; the base has none."""

    def given(self, name: str) -> bool:
        """Whether a parameter differs from its default."""
        row, value = self.PARAMS.get(name), getattr(self, name, None)
        if isinstance(value, Definition) and row is not None and row.default is None:
            return bool(value != row.initial())
        return row is not None and value not in (row.default, None, [], {})

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        report = Report(type(self).__name__)
        row = find(self, name, At(report))
        if row is not None:
            put(self, row, value, At(report))
        report.finish(stacklevel=2)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.to_dict() == other.to_dict())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.parameters().items())
        return f"{type(self).__name__}({said})"


def read_into(cls: type[Definition], data: Mapping[str, Any], at: At) -> Definition:
    """A definition inside another one: problems go to the outer report."""
    self = cls.__new__(cls)
    fill(self, data, at, None)
    return self


class _Reader(Protocol[_Made_co]):
    """`from_dict` of a class, or a function that finds the class first."""

    def __call__(
        self,
        data: Mapping[str, Any],
        /,
        *,
        where: str,
        strict: bool,
        found: Iterable[tuple[Place, str]],
        folder: Path,
        lines: Lines,
    ) -> _Made_co: ...


def from_file(path: Path, read: _Reader[_Made_co], *, strict: bool) -> _Made_co:
    """What `read` makes of a YAML file.

    :raises DefinitionError: with every problem of the file, each with its line.
    """
    from airflow_train.definitions.yaml_file import parsed

    path = path.expanduser()
    file = parsed(path, partly=True)
    folder = path.absolute().parent
    return read(
        file.data, where=str(path), strict=strict, found=file.duplicates, folder=folder, lines=file.lines
    )


def _copied(plain: Any) -> Any:
    """Lists and mappings anew, what is in them as it is: an XCom argument is no plain data and stays itself."""
    if isinstance(plain, dict):
        return {key: _copied(item) for key, item in plain.items()}
    return [_copied(item) for item in plain] if isinstance(plain, list) else plain
