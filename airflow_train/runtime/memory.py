"""The memory limit of a run's nodes, as its supervisor holds it, watches over it and clears it away."""

from __future__ import annotations

import os

from airflow_train.runtime import cgroups, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NodeMemory:
    """From the first rank to the report. Without a limit in the launch file it does nothing."""

    def __init__(self, launch: dict[str, Any], folder: str) -> None:
        self.launch = launch
        self._file = os.path.join(folder, protocol.MEMORY_FILE)
        #: Where the limit holds; None where it doesn't.
        self.place: cgroups.Place | None = None
        #: One sentence on why it isn't enforced, if it isn't.
        self.not_held = ""
        self._seen: dict[int, int] = {}
        self._said: dict[int, int] = {}

    def hold(self) -> None:
        """Set the limit, if there is one."""
        limit = self.launch.get("memory_bytes")
        if not limit:
            return
        try:
            if self.launch.get("inside"):
                self.place = cgroups.find(None, limit)  # the container's own, which its engine limits
                return
            place = cgroups.find(group_name(self.launch), limit)
            records.create(
                self._file, {"at": protocol.timestamp(), **place}
            )  # first, so that it is found after a kill
            cgroups.make(place, self.launch["ranks"])
        except cgroups.NotHeld as reason:
            self.not_held = "the memory limit of %s is not enforced here: %s" % (protocol.size(limit), reason)
            print(protocol.timestamp(), self.not_held, flush=True)
        else:
            self.place = place

    def news(self, left: list[dict[str, Any]]) -> list[str]:
        """One sentence for each of these ranks that goes on although a process of it was killed."""
        words: list[str] = []
        if self.place is None or (self.place.get("whole") and len(self.launch["ranks"]) > 1):
            return words
        for one in left:
            rank, killed = one["rank"], cgroups.facts(self.place, one)["oom_kills"]
            if killed != self._seen.get(rank, 0):
                self._seen[rank] = killed  # if that was the rank itself, it is about to end
            elif killed != self._said.get(rank, 0):
                self._said[rank] = killed
                limit = protocol.size(self.place["limit_bytes"])
                goes_on = "rank %d on node %d goes on, but a process of it ran out of memory" % (
                    rank,
                    one["node"],
                )
                words.append("%s and was killed at the limit of %s" % (goes_on, limit))
        return words

    def clear(self) -> dict[str, Any] | None:
        """End what lives in the groups and remove them; returns `memory` of the report."""
        limit = self.launch.get("memory_bytes")
        if not limit:
            return None
        place, number = (
            self.place or records.read(self._file),
            (self.launch.get("meeting") or {}).get("node", 0),
        )
        if place is not None and place.get("whole"):
            return {"limit_bytes": limit, "peak_bytes": cgroups.peaks(place, number)}
        if place is None or os.path.basename(place["folder"]) != group_name(self.launch):
            return {"limit_bytes": limit, "peak_bytes": {}}
        peaks = cgroups.peaks(place, number)
        cgroups.remove(place)
        return {"limit_bytes": limit, "peak_bytes": peaks}


def group_name(launch: dict[str, Any]) -> str:
    """Name of a run's group: its id, and its store, which may not be the only one with that id."""
    import hashlib  # runs without a limit don't wait for it

    store = hashlib.sha256(launch["run_folder"].encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return "airflow-train-%s-%s" % (launch["run_id"], store)


def in_words() -> str:
    """Where a limit would hold, for people."""
    try:
        place = cgroups.find("x", 1)
    except cgroups.NotHeld as reason:
        return "not enforced here: %s" % reason
    return "held by cgroups of version %d, below %s" % (place["version"], os.path.dirname(place["folder"]))


if __name__ == "__main__":
    print(in_words())
