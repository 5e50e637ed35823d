"""What a training script imports to talk to its run; one file, standard library only, Python 3.8 and newer.

    from train_run import Run

    run = Run.get_context()
    run.log("loss", 0.25, step=3)
    run.log_row("fold", accuracy=0.9, seconds=12)
    run.tag("stage", "final")
    run.upload_file("plots/confusion.png", "confusion.png")

Every call is in the run's file when it returns: a killed script loses nothing, and forked workers and threads may log
too. Without a run (a notebook, a test) the same class prints what it would have stored and keeps it in memory.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost a third of this import
    from collections.abc import Iterable, Sequence
    from typing import Any, BinaryIO

__all__ = ["Experiment", "NameTaken", "NoRun", "Run", "TrainRunError", "WrongValue"]

_TEMPORARY = ".airflow-train-tmp-"  # listings of the store leave these out
_MENDS = {"log": "use run.log_list, or run.log_row for named values", "log_row": "use run.log_table"}
_encode = json.encoder.encode_basestring_ascii
_current: dict[tuple[type[Run], str, str], Run] = {}
_secrets: dict[str, Any] = {}  # what hides them in everything that is stored; empty where the run has none
_said: list[str] = []


class TrainRunError(ValueError):
    """Base of what this module raises on purpose; the message is one sentence with the mend."""


class WrongValue(TrainRunError, TypeError):
    """A value, name or path that this method doesn't take."""


class NameTaken(TrainRunError):
    """A file of that name was uploaded before; names are given once."""


class NoRun(TrainRunError, RuntimeError):
    """The script doesn't run inside a run of airflow-train, or only half of its environment is there."""


class Experiment:
    """The experiment of a run; `str(experiment)` is its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"


class Run:
    """The run that this script belongs to; made by `Run.get_context()`.

    `id`, `experiment`, `rank` (0 … world size - 1) and `tags` say which one. Outside a run `id` starts with
    `OfflineRun_`.
    """

    def __init__(
        self, run_id: str, experiment: str, tags: Mapping[str, str], rank: int, place: _Place
    ) -> None:
        self.id = run_id
        self.experiment = Experiment(experiment)
        self.rank = rank
        self._tags = dict(tags)
        self._place = place
        self._write = place.write
        self._heads: dict[str, str] = {}

    @classmethod
    def get_context(cls, allow_offline: bool = True) -> Run:
        """The run this process belongs to; the same object every time.

        :raises NoRun: there is none and `allow_offline` is False, or its environment is incomplete.
        """
        environ = os.environ
        key = (cls, environ.get("AIRFLOW_TRAIN_RUN_ID", ""), environ.get("AIRFLOW_TRAIN_METRICS", ""))
        if not key[1] and not allow_offline:
            raise NoRun(
                "Run.get_context(allow_offline=False): AIRFLOW_TRAIN_RUN_ID isn't set, so this is no run of "
                "airflow-train; start the script as an estimator, or allow offline use."
            )
        if key not in _current:
            _current[key] = _from_environment(cls, environ) if key[1] else _offline(cls)
        return _current[key]

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, experiment={self.experiment.name!r}, rank={self.rank})"

    @property
    def previous_outputs(self) -> str | None:
        """Folder with a copy of what the attempt before left in `./outputs`; None when this is the first attempt."""
        return os.environ.get("AIRFLOW_TRAIN_PREVIOUS_OUTPUTS")

    # Metrics

    def log(self, name: str, value: Any, description: str = "", step: float | None = None) -> None:
        """Log one number, text or bool; the same name again makes a series.

        :raises WrongValue: `value` is a list or dict (use `log_list`, `log_row`, `log_table`), or `step` no number.
        """
        kind = type(value)
        if kind is float:
            text = float.__repr__(value)
            if text[-1] in "nf":  # nan, inf and -inf are NaN, Infinity and -Infinity on the wire
                text = json.dumps(value)
        elif kind is int:
            text = int.__repr__(value)
        else:
            text = json.dumps(_scalar(value, "log", name))
        head = self._heads.get(name) or self._head(name)
        tail = "" if step is None else f',"s":{step if type(step) is int else _step(step, name)}'
        if description:
            tail += f',"d":{_encode(str(description))}'
        self._write('%s%s%s,"t":%.3f}\n' % (head, text, tail, time()))

    def log_list(self, name: str, value: Iterable[Any], description: str = "") -> None:
        """Log a list of numbers, texts or bools as one value; arrays and generators too.

        :raises WrongValue: `value` isn't a list.
        """
        items = [_scalar(item, "log_list", name) for item in _items(value, "log_list", name)]
        self._put("list", name, items, description)

    def log_row(self, name: str, description: str | None = None, **columns: Any) -> None:
        """Log one row of a table; the same name again adds a row.

        :raises WrongValue: no columns, or one of them is a list (use `log_table`).
        """
        if not columns:
            raise WrongValue(f"run.log_row({name!r}) got no columns; give at least one, as x=1.")
        row = {key: _scalar(item, "log_row", name) for key, item in columns.items()}
        self._put("row", name, row, description)

    def log_table(self, name: str, value: Mapping[str, Iterable[Any]], description: str = "") -> None:
        """Log a table as `{column: list}`; all columns have the same length.

        :raises WrongValue: `value` isn't a dict of lists, or their lengths differ.
        """
        if not value or not hasattr(value, "items"):
            raise WrongValue(f"run.log_table({name!r}) got {_short(value)} but takes a dict of lists.")
        table = {
            str(key): [_scalar(item, "log_table", name) for item in _items(column, "log_table", name)]
            for key, column in value.items()
        }
        lengths = {key: len(column) for key, column in table.items()}
        if len(set(lengths.values())) > 1:
            raise WrongValue(
                f"run.log_table({name!r}) got columns of lengths {lengths}; make them equally long."
            )
        self._put("table", name, table, description)

    def get_metrics(self, name: str | None = None) -> dict[str, Any]:
        """What this rank logged so far: a name logged once gives its value, several times a list of them.

        A table gives `{column: value}` for one row, else `{column: [values]}`. `name` leaves out all others.
        """
        return _fold(_records(self._place.read()), name)

    # Tags

    @property
    def tags(self) -> dict[str, str]:
        """The run's tags as it was submitted, with the changes made by this process."""
        return dict(self._tags)

    def tag(self, key: str, value: Any = None) -> None:
        """Set one tag; values are kept as text."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags; others stay.

        :raises WrongValue: `tags` isn't a dict.
        """
        if not isinstance(tags, Mapping):
            raise WrongValue(f"run.set_tags got {_short(tags)} but takes a dict, as in {{'stage': 'final'}}.")
        self._change_tags({str(key): "" if value is None else str(value) for key, value in tags.items()}, [])

    def remove_tags(self, tags: str | Sequence[str]) -> None:
        """Remove the tags of these names; unknown ones are ignored."""
        self._change_tags({}, [tags] if isinstance(tags, str) else [str(key) for key in tags])

    # Files

    def upload_file(self, name: str, path_or_stream: str | os.PathLike[str] | BinaryIO) -> str:
        """Store one file under `name` at once; what lies in `./outputs` at the end is stored anyway. Returns the name.

        :raises NameTaken: the run has a file of that name.
        :raises WrongValue: the name leaves the run's files, or there is no such local file.
        """
        name = _file_name(name)
        if hasattr(path_or_stream, "read"):
            self._place.put(name, path_or_stream)
            return name
        path = os.fspath(path_or_stream)
        if not os.path.isfile(path):
            finding = (
                "is a folder; use upload_folder" if os.path.isdir(path) else "is no file; write it first"
            )
            raise WrongValue(f"run.upload_file({name!r}): {os.path.abspath(path)} {finding}.")
        with open(path, "rb") as stream:
            self._place.put(name, stream)
        return name

    def upload_files(self, names: Sequence[str], paths: Sequence[Any]) -> list[str]:
        """Store several files; `names` and `paths` have the same length, otherwise WrongValue (a TypeError)."""
        if len(names) != len(paths):
            raise WrongValue(
                f"run.upload_files got {len(names)} names for {len(paths)} paths; give one for each."
            )
        for name in names:
            self._place.check_free(_file_name(name))
        return [self.upload_file(name, path) for name, path in zip(names, paths)]

    def upload_folder(self, name: str, path: str | os.PathLike[str]) -> list[str]:
        """Store all files below a local folder under `name/…`; returns their names.

        :raises NameTaken: the run has one of them; then none is stored.
        """
        root = os.fspath(path)
        if not os.path.isdir(root):
            raise WrongValue(
                f"run.upload_folder({name!r}): {os.path.abspath(root)} is no folder; use upload_file."
            )
        paths = sorted(os.path.join(folder, file) for folder, _, files in os.walk(root) for file in files)
        prefix = _file_name(name)
        return self.upload_files(
            [f"{prefix}/{os.path.relpath(p, root).replace(os.sep, '/')}" for p in paths], paths
        )

    # State

    def get_status(self) -> str:
        """`CancelRequested` when somebody asked the run to stop, else `Running`."""
        return "CancelRequested" if self._place.cancel_asked() else "Running"

    def flush(self, timeout_seconds: float = 300) -> None:
        """Return when everything logged is stored; that is so already, as no call returns earlier."""

    def complete(self) -> None:
        """Nothing to do, kept for scripts that call it: the run ends when its processes do, by their exit codes."""
        self.flush()

    def _head(self, name: str) -> str:
        _metric_name(name)
        if len(self._heads) > 10_000:
            self._heads.clear()
        self._heads[name] = head = f'{{"k":"scalar","n":{_encode(name)},"v":'
        return head

    def _put(self, kind: str, name: str, value: Any, description: str | None) -> None:
        record = {"k": kind, "n": _metric_name(name), "v": value, "t": round(time(), 3)}
        if description:
            record["d"] = str(description)
        self._write(json.dumps(record, separators=(",", ":")) + "\n")

    def _change_tags(self, changed: dict[str, str], removed: list[str]) -> None:
        record = {"k": "tags", "v": changed, "r": removed, "t": round(time(), 3)}
        self._write(json.dumps(record, separators=(",", ":")) + "\n")
        self._tags.update(changed)
        for key in removed:
            self._tags.pop(key, None)


class _Place:
    """Inside a run: lines go to this rank's file by one append each, uploads into the run's files."""

    def __init__(self, metrics: str, files: str, cancel: str) -> None:
        self._metrics, self._files, self._cancel = metrics, files, cancel
        os.makedirs(os.path.dirname(os.path.abspath(metrics)), exist_ok=True)
        self._line_file = os.open(metrics, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def write(self, line: str) -> None:
        if _secrets:
            line = _secrets["redactor"].line(line)
        data = line.encode("ascii")
        done = os.write(self._line_file, data)
        while done < len(data):
            done += os.write(self._line_file, data[done:])

    def note(self, record: dict[str, Any]) -> None:
        """A line that is no metric."""
        self.write(json.dumps(record, separators=(",", ":")) + "\n")

    def read(self) -> bytes:
        with open(self._metrics, "rb") as stream:
            return stream.read()

    def cancel_asked(self) -> bool:
        return bool(self._cancel) and os.path.exists(self._cancel)

    def check_free(self, name: str) -> None:
        if os.path.lexists(os.path.join(self._files, name)):
            raise NameTaken(
                f"The run has a file {name!r} already and names are given once; upload under another name."
            )

    def put(self, name: str, stream: Any) -> None:
        without_secrets(name, "The name of an uploaded file")
        self.check_free(name)
        target = os.path.join(self._files, name)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise NameTaken(f"{name!r} lies below a file of the run; upload under another name.") from None
        aside = os.path.join(self._files, f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}")
        try:
            with open(aside, "xb") as copy:
                _copy(stream, copy)
            os.link(aside, target)  # name and content at once, and only if the name is free
        except FileExistsError:
            self.check_free(name)
            raise
        finally:
            if os.path.lexists(aside):
                os.unlink(aside)


class _Offline(_Place):
    """Without a run: prints what would be stored, and keeps it for `get_metrics`."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: dict[str, int] = {}

    def write(self, line: str) -> None:
        self._lines.append(line)
        record = json.loads(line)
        if record["k"] == "tags":
            print(
                f"Attempted to set tags {record['v']}"
                if record["v"]
                else f"Attempted to remove tags {record['r']}"
            )
        else:
            print(f"Attempted to log {record['k']} metric {record['n']}:\n{record['v']}")

    def note(self, record: dict[str, Any]) -> None:
        print(f"Attempted to set {record['k']} {record['v']}")

    def read(self) -> bytes:
        return "".join(self._lines).encode("ascii")

    def cancel_asked(self) -> bool:
        return False

    def check_free(self, name: str) -> None:
        if name in self._names:
            raise NameTaken(
                f"The run has a file {name!r} already and names are given once; upload under another name."
            )

    def put(self, name: str, stream: Any) -> None:
        self.check_free(name)
        self._names[name] = len(stream.read())
        print(f"Attempted to upload file {name}")


def without_secrets(value: Any, what: str = "") -> Any:
    """Plain data with `***` for the run's secrets.

    :param what: a name, which can't be changed; then a secret in it is refused with WrongValue.
    """
    if not _secrets:
        return value
    shown = _secrets["redactor"].plain(value)
    if what and shown != value:
        raise WrongValue(
            f"{what} holds a secret of the run, and names are stored and shown; take another one."
        )
    return shown


def _hide_secrets(environ: Mapping[str, str]) -> None:
    if environ.get("AIRFLOW_TRAIN_SECRETS") and not _secrets:
        from train_redaction import of_script  # lies beside this file, as `targets/bundle.py` packs them

        redactor = of_script(environ)
        if redactor is not None:
            _secrets["redactor"] = redactor


def _from_environment(cls: type[Run], environ: Mapping[str, str]) -> Run:
    _hide_secrets(environ)
    try:
        metrics, files = environ["AIRFLOW_TRAIN_METRICS"], environ["AIRFLOW_TRAIN_FILES"]
        place = _Place(metrics, files, environ.get("AIRFLOW_TRAIN_CANCEL", ""))
        return cls(
            environ["AIRFLOW_TRAIN_RUN_ID"],
            environ.get("AIRFLOW_TRAIN_EXPERIMENT", ""),
            json.loads(environ.get("AIRFLOW_TRAIN_TAGS") or "{}"),
            int(environ.get("AIRFLOW_TRAIN_RANK") or 0),
            place,
        )
    except KeyError as missing:
        raise NoRun(
            f"AIRFLOW_TRAIN_RUN_ID is set but {missing.args[0]} isn't; pass the whole environment on to this process."
        ) from None


def _offline(cls: type[Run]) -> Run:
    import uuid

    _say("This isn't a run of airflow-train: metrics and tags are printed, uploads are only checked.")
    return cls(f"OfflineRun_{uuid.uuid4()}", "offline", {}, 0, _Offline())


def _say(sentence: str) -> None:
    if sentence not in _said:
        _said.append(sentence)
        print(f"train_run: {sentence}", file=sys.stderr)


def _metric_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise WrongValue(f"The name of a metric is {_short(name)} but must be a text that isn't empty.")
    return name


def _step(step: Any, name: str) -> str:
    number = _scalar(step, "log", name)
    if isinstance(number, (str, bool)) or number != number:
        raise WrongValue(f"run.log({name!r}): step is {_short(step)} but must be a number.")
    return json.dumps(number)


def _scalar(value: Any, method: str, name: str) -> float | int | str | bool:
    if type(value) in (float, int, str, bool):
        return value  # type: ignore[no-any-return]
    if getattr(value, "shape", None) == () and hasattr(
        value, "item"
    ):  # numpy and torch, without importing them
        value = value.item()
    if isinstance(value, (bool, int, str)):
        return (
            value if isinstance(value, bool) else int(value) if isinstance(value, int) else str.__str__(value)
        )
    if hasattr(value, "__iter__") and not isinstance(value, (bytes, bytearray)):
        mend = _MENDS.get(method, "log its parts one by one")
        raise WrongValue(f"run.{method}({name!r}) got {_short(value)} where one value is needed; {mend}.")
    if hasattr(type(value), "__float__"):
        return float(value)
    _say(
        f"run.{method}({name!r}) got {_short(value)}, which is neither number, text nor bool; its repr() is logged."
    )
    return repr(value)


def _items(value: Any, method: str, name: str) -> list[Any]:
    items = value.tolist() if hasattr(value, "tolist") else value  # numpy, torch, pandas
    if isinstance(items, (str, bytes, bytearray, Mapping)) or not hasattr(items, "__iter__"):
        raise WrongValue(f"run.{method}({name!r}) got {_short(value)} where a list is needed; use run.log.")
    return list(items)


def _short(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _file_name(name: Any) -> str:
    parts = [part for part in name.split("/") if part != "."] if isinstance(name, str) else []
    if not parts or "" in parts or ".." in parts or "\0" in name or _TEMPORARY in name:
        raise WrongValue(
            f"The name of an uploaded file is {_short(name)} but must be relative, without '..' or empty parts, "
            "as in 'outputs/model.pkl'."
        )
    return "/".join(parts)


def _copy(source: Any, target: BinaryIO) -> None:
    while True:
        block = source.read(1 << 20)
        if not block:
            return
        target.write(block.encode("utf-8") if isinstance(block, str) else block)


def _records(data: bytes) -> list[dict[str, Any]]:
    """Records of a file of lines; what follows the last line end is being written and left out."""
    whole = data[: data.rfind(b"\n") + 1].rstrip(b"\n")
    return json.loads(b"[" + whole.replace(b"\n", b",") + b"]")  # type: ignore[no-any-return]


def _fold(records: Iterable[dict[str, Any]], only: str | None) -> dict[str, Any]:
    series: dict[str, list[Any]] = {}
    tables: dict[str, dict[str, list[Any]]] = {}
    for record in records:
        name = record.get("n")
        if name is None or (only is not None and name != only):
            continue
        if record["k"] in ("scalar", "list", "image"):
            series.setdefault(name, []).append(record["v"])
        else:
            _add_rows(tables.setdefault(name, {}), record["v"], single=record["k"] == "row")
    metrics = {name: values[0] if len(values) == 1 else values for name, values in series.items()}
    for name, table in tables.items():
        one = all(len(column) == 1 for column in table.values())
        metrics[name] = {key: column[0] for key, column in table.items()} if one else table
    return metrics


def _add_rows(table: dict[str, list[Any]], columns: Mapping[str, Any], single: bool) -> None:
    """Append rows; a column that a row lacks gets None there, so that rows stay rows."""
    before = max(map(len, table.values()), default=0)
    for key, column in columns.items():
        table.setdefault(key, [None] * before).extend([column] if single else column)
    after = max(map(len, table.values()), default=0)
    for column in table.values():
        column.extend([None] * (after - len(column)))
