"""What the script of `dags/training/obeys` leaves behind, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Marks:
    """A folder that is handed to scripts."""

    path: str

    def __post_init__(self) -> None:
        Path(self.path).mkdir(exist_ok=True)

    def starts(self) -> int:
        """How often a script was started."""
        return len(list(Path(self.path).glob("started-*")))

    def go(self) -> None:
        """Let waiting scripts end."""
        Path(self.path, "go").touch()
