"""Files of the run, copied to where the script wants them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

    from airflow_train.runtime.script.azureml_run import registering
    from airflow_train.runtime.script.train_run import WrongValue
else:
    from azureml_run import registering
    from train_run import WrongValue

_SHOWN = 20


def one(files: str, name: str, path: Optional[str]) -> None:
    """Copy a file; into the working directory by default, into a folder where one is named.

    :raises WrongValue: there is no such file.
    """
    there = registering.below(files, "")
    if name not in there:
        raise WrongValue(
            f"run.download_file({name!r}): the run has no such file; it has {', '.join(there[:_SHOWN]) or 'none yet'}."
        )
    target = path or "."
    if os.path.isdir(target) or target.endswith("/"):
        target = os.path.join(target, os.path.basename(name))
    _copy(os.path.join(files, name), target)


def many(
    files: str, prefix: Optional[str], directory: Optional[str], paths: Any, append_prefix: bool
) -> List[str]:
    """Copy all files whose names begin so, below a folder or each to its own path; returns where to.

    :raises WrongValue: there are none, or there isn't a path for each.
    """
    wanted = (prefix or "").strip("/")
    there = registering.below(files, "")
    names = [name for name in there if not wanted or name == wanted or name.startswith(wanted + "/")]
    if not names:
        raise WrongValue(
            f"run.download_files({prefix!r}): the run has no such files; it has "
            f"{', '.join(there[:_SHOWN]) or 'none yet'}."
        )
    if paths is not None and len(paths) != len(names):
        raise WrongValue(
            f"run.download_files got {len(paths)} output_paths for {len(names)} files; give one for each."
        )
    targets = list(paths or ())
    if paths is None:
        shown = [name if append_prefix or not wanted else os.path.relpath(name, wanted) for name in names]
        shown = [os.path.basename(name) if one == "." else one for one, name in zip(shown, names)]
        targets = [os.path.join(directory or ".", one) for one in shown]
    for name, target in zip(names, targets):
        _copy(os.path.join(files, name), target)
    return targets


def _copy(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    import shutil  # most scripts copy nothing

    shutil.copyfile(source, target)
