"""What a run gets of earlier ones: which files are copied where, and how its script learns of them. Pure."""

from __future__ import annotations

import os

from airflow_train.runs.spec import RunSpec
from airflow_train.runtime import protocol
from airflow_train.targets.launch import HandedOver


def handed_over(spec: RunSpec, place: str, runs: str) -> HandedOver:
    """The predecessor's outputs and what `resume_from` names; both at once where they are the same.

    :param place: folder for the copies, as the script sees it.
    :param runs: folder of all runs, as whoever copies sees it; a path that is no run's stays as it is.
    """
    made = HandedOver()
    before = os.path.join(place, "previous")
    if spec.previous:
        source = os.path.join(runs, spec.previous, protocol.FILES_FOLDER, protocol.OUTPUTS_FOLDER)
        made.copies.append({"source": source, "target": before})
        made.environment[protocol.PREVIOUS_OUTPUTS] = before
    if spec.resume is None:
        return made
    run_id, path = spec.resume["run_id"], str(spec.resume["path"])
    if run_id is not None and run_id == spec.previous and path == protocol.OUTPUTS_FOLDER:
        location = before
    else:
        source = path if run_id is None else os.path.join(runs, run_id, protocol.FILES_FOLDER, path)
        location = os.path.join(place, "resume")
        if spec.resume["file"]:
            location = os.path.join(location, os.path.basename(path))
        made.copies.append({"source": source, "target": location})
    made.environment[protocol.RESUME] = location
    made.arguments = ["--resume-from", location]
    return made
