"""The DAG that is YAML altogether, as `dags/README.md` shows it: dag-factory's file and the one for Airflow to find."""

from __future__ import annotations

import re
from pathlib import Path

DAGS = Path(__file__).parents[2] / "dags"


def write(folder: Path, old: str = "", new: str = "") -> Path:
    """Write both files, `old` replaced by `new` in the YAML; returns the one that Airflow reads."""
    shown = (DAGS / "README.md").read_text(encoding="utf-8")
    [yaml] = re.findall(r"```yaml\n(.*?)```", shown, re.DOTALL)
    [loader] = re.findall(r"```python\n(.*?)```", shown, re.DOTALL)
    assert old in yaml
    (folder / "digits.yml").write_text(yaml.replace(old, new), encoding="utf-8")
    (folder / "from_yaml.py").write_text(loader, encoding="utf-8")
    return folder / "from_yaml.py"
