"""`azureml` for scripts written for Azure ML, where azureml itself isn't installed; it steps aside where it is.

What holds this package comes early on PYTHONPATH, so that an installed azureml is found later: if it has
`azureml.core`, it takes this package's place; parts of it without a core (azureml.dataprep, say) are found beside ours.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

_FOLDER = os.path.dirname(os.path.realpath(__file__))


def _installed(path: List[str]) -> Optional[ModuleSpec]:
    for finder in sys.meta_path:
        found = (
            PathFinder.find_spec("azureml", path)
            if finder is PathFinder
            else getattr(finder, "find_spec", lambda *_: None)("azureml", None)
        )
        if found is not None:
            return found
    return None


def _step_aside() -> None:
    path = [one for one in sys.path if os.path.realpath(one or os.curdir) != os.path.dirname(_FOLDER)]
    spec = _installed(path)
    if spec is None:
        return
    # its distributions share one package, and the first found needn't be the one with the core
    folders = [os.path.join(one, "azureml") for one in path]
    folders = [one for one in folders if os.path.isdir(one)]
    folders += [one for one in spec.submodule_search_locations or () if one not in folders]
    if PathFinder.find_spec("azureml.core", folders) is None:
        __path__.extend(folders)
        return
    module = module_from_spec(spec)
    sys.modules["azureml"] = module  # the import system hands out what stands here
    if spec.loader is not None:
        spec.loader.exec_module(module)
    module.__path__ = [one for one in module.__path__ if os.path.realpath(one) != _FOLDER]


if __name__ == "azureml":
    _step_aside()
