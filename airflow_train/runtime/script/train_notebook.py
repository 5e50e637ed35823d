"""Runs a notebook as a script would run: `python train_notebook.py NOTEBOOK [ARGUMENT …]`, by nbconvert.

The kernel works in this process's folder, so that `./outputs` is the run's, and finds the arguments in `sys.argv` and
the notebook's folder on `sys.path`; a first cell, tagged as papermill tags its own, sees to that. What a cell prints
comes when the cell is done. The notebook with its outputs is kept as `outputs/NAME.ipynb`, also where a cell failed.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List


def main(path: str, arguments: List[str]) -> int:
    """Run every cell; returns 1 when one failed."""
    nbformat: Any = import_module("nbformat")  # of the script's interpreter, as nbconvert; not ours
    with open(path, encoding="utf-8") as file:
        notebook = nbformat.read(file, as_version=4)
    notebook.cells.insert(0, _first_cell(nbformat, path, arguments))
    executor = _executor()(timeout=-1, kernel_name="python3")  # whatever kernel the notebook's author had
    try:
        executor.preprocess(notebook, {"metadata": {"path": os.getcwd()}})
    except import_module("nbconvert.preprocessors").CellExecutionError:
        _explain(notebook, path)
        return 1
    finally:
        _hide_secrets(notebook)
        os.makedirs("outputs", exist_ok=True)
        with open(os.path.join("outputs", os.path.basename(path)), "w", encoding="utf-8") as file:
            nbformat.write(notebook, file)
    return 0


def _first_cell(nbformat: Any, path: str, arguments: List[str]) -> Any:
    lines = ["import sys", "sys.argv = %r" % [path, *arguments]]
    folder = os.path.dirname(os.path.abspath(path))
    lines.append("sys.path.insert(0, %r)" % folder)
    return nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-parameters"]})


def _executor() -> Any:
    base: Any = import_module("nbconvert.preprocessors").ExecutePreprocessor

    class Talking(base):  # type: ignore[misc]
        """Prints what a cell has printed."""

        def preprocess_cell(self, cell: Any, resources: Any, index: Any) -> Any:
            try:
                return super().preprocess_cell(cell, resources, index)
            finally:
                _echo(cell)

    return Talking


def _hide_secrets(notebook: Any) -> None:
    """What cells have printed is kept like a log, so it shows no secret either."""
    redactor = import_module("train_redaction").of_script(os.environ)
    if redactor is not None:
        for output in [output for cell in notebook.cells for output in cell.get("outputs", ())]:
            for part in ("text", "data", "evalue", "traceback"):
                if part in output:
                    output[part] = redactor.plain(output[part])


def _echo(cell: Any) -> None:
    for output in cell.get("outputs", ()):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        stream = sys.stderr if output.get("name") == "stderr" else sys.stdout
        stream.write(text if text.endswith("\n") or not text else text + "\n")
        stream.flush()


def _explain(notebook: Any, path: str) -> None:
    """The error of the cell that failed, as Python would have said it of a script."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"][1:]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                source = "".join("    %s\n" % line for line in cell.source.splitlines())
                head = 'Traceback (most recent call last):\n  File "%s", cell %d\n%s' % (path, number, source)
                sys.stderr.write("%s%s: %s\n" % (head, output.ename, output.evalue))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
