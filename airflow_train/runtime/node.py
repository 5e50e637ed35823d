"""The supervisor of a node: stages, starts the ranks, watches over them, collects, reports.

It belongs to nobody: whoever submitted the run may die, and it goes on. Whoever looks for the run finds everything in
the run's folder. The order of the files is the order of the phases:

    claim → (heartbeat …) → events: stage, meet, run → ranks/N/start, exit → (stop) → event: collect → report
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from airflow_train.runtime import (
    collecting,
    parts,
    phases,
    ports,
    processes,
    progress,
    protocol,
    records,
    staging,
    usage,
)
from airflow_train.runtime.memory import NodeMemory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds between two looks at cancel request, time limit and the script's logs.
LOOK = 0.2
#: What is known when a container gets TERM.
STOPPED_OUTSIDE = "its container was told to stop from outside, by `docker stop` or the engine's own shutdown"
#: What is known when a rank was ended by mpirun while mpirun still lives.
LAUNCHER_ENDS = "mpirun ended its ranks though none had failed, as it does when it is asked to from outside"


class Node:
    """One node of one run, from claim to report."""

    def __init__(self, launch: dict[str, Any], folder: str) -> None:
        self.launch, self.folder = launch, folder
        self.run_folder: str = launch["run_folder"]
        self.work: str = launch["work_folder"]
        self.launch_time = protocol.timestamp()
        self.error: str | None = None
        #: The verdict's, where nothing could be started.
        self.reason: str | None = None
        self.progress = progress.Progress(launch)
        self.usage = usage.Usage(launch)
        self.phases = phases.Phases(launch.get("limits") or {}, self._event)
        self.meeting = parts.meeting(launch)
        self.ranks = parts.ranks(launch, self.meeting)
        self.memory = NodeMemory(launch, folder)
        self.mirror = parts.mirror(launch)
        self.outbox = parts.outbox(launch)
        self.heartbeat = parts.Heartbeat(self.path(protocol.HEARTBEAT_FILE))
        self._told = False
        self._stopping: str | None = None
        self._kill_at: float | None = None

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def run(self) -> None:
        """All phases."""
        if self.launch.get("inside"):
            signal.signal(signal.SIGTERM, self._told_to_stop)
        self.heartbeat.beat()
        if not self._canceled():
            ready = self._ready()
            if self._told:
                self._stop_record(protocol.STOP_OUTSIDE, **self._told_facts())
            elif ready and not self._canceled():
                try:
                    self._start_ranks()
                except OSError as error:
                    self.error = "the ranks could not be started: %s" % (error.strerror or error)
                    if self.ranks.left():  # they would wait for the others
                        self._stop(protocol.STOP_LAUNCHER, grace=0.0, detail=self.error)
                self._watch()
        elif records.read(os.path.join(self.run_folder, protocol.VERDICT_FILE)) is None:
            self._stop_record(protocol.STOP_CANCEL)
        self.collect()

    def _ready(self) -> bool:
        """Do what comes before the ranks; False when there is no point in starting them."""
        return self._stage()

    def _stage(self) -> bool:
        try:
            if self.launch.get("build"):
                from airflow_train.runtime import building  # most runs use what is there

                more = building.environment(self.launch, self.folder, self.phases, self._stage_tick)
                self.launch.update(more)
                self.ranks = parts.ranks(self.launch, self.meeting)
            self.phases.enter("stage", "laying out the code")
            staging.lay_out(self.launch, self._stage_tick)
        except phases.LimitPassed:
            if not self._canceled():
                self._stop_record(protocol.STOP_PHASE_LIMIT, phase=self.phases.name)
            return False
        except staging.NotLaidOut as error:
            self.error, self.reason = str(error), error.reason
        return self.error is None

    def _stage_tick(self, done: str) -> None:
        self._tick(done)
        if self._canceled():
            raise phases.LimitPassed("it was cancelled")

    def _tick(self, done: str) -> None:
        self.heartbeat.beat()
        self.phases.check(done)

    def _canceled(self) -> bool:
        return any(
            os.path.exists(os.path.join(self.run_folder, name))
            for name in (protocol.CANCEL_FILE, protocol.VERDICT_FILE)
        )

    def _told_to_stop(self, *_: object) -> None:
        """The engine stops the container: its own KILL follows, after the grace and a margin."""
        self._told = True

    def _told_facts(self) -> dict[str, Any]:
        """What is known then, for `stop.json`."""
        return {"detail": STOPPED_OUTSIDE}

    def _event(self, phase: str, reason: str) -> None:
        with records.tolerated("event"):
            records.append_event(self.run_folder, phase, reason)
        self._ship(at_once=True)

    def _ship(self, at_once: bool = False) -> None:
        if self.outbox is not None:
            with records.tolerated("segment of the outbox"):
                self.outbox.ship(at_once)

    # ------------------------------------------------------------------ ranks

    def _start_ranks(self) -> None:
        os.makedirs(os.path.join(self.work, protocol.OUTPUTS_FOLDER), exist_ok=True)
        os.makedirs(os.path.join(self.work, protocol.LOGS_FOLDER), exist_ok=True)
        self.launch_time, self.started = protocol.timestamp(), time.monotonic()
        self._wakeup, wakeup_write = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.memory.hold()
        if self.ranks.count > 1 or self.launch["mpirun"]:
            self.phases.enter("meet", "waiting for %d ranks to start" % self.ranks.count)
        else:
            self._enter_run()
        self.usage.begin()
        self.ranks.start(self._draw_ports(), self.memory.place)

    def _draw_ports(self) -> list[int]:
        with ports.free(self.launch["ports"]) as numbers:
            return numbers  # given back now, for the script to take

    def _enter_run(self) -> None:
        self.phases.enter("run", self.memory.not_held)
        self.progress.begin()

    def _watch(self) -> None:
        if not self.launch.get("inside"):
            import shutil  # noqa: F401 - `_remove` needs it when somebody waits, and nobody does while the ranks run

        next_look = 0.0
        while not self.ranks.over():
            pause = LOOK / 10 if self.phases.name == "meet" else LOOK
            if select.select([self._wakeup, *self.ranks.sources()], [], [], pause)[0]:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
            self._reap()
            if self.phases.name == "meet" and self.ranks.here() == self.ranks.count:
                self._enter_run()
            if time.monotonic() >= next_look and not self.ranks.over():
                next_look = time.monotonic() + LOOK
                self.heartbeat.beat()
                self.mirror.sync()
                self.usage.look(self.memory.place)
                self._ship()
                self._look()

    def _look(self) -> None:
        """Cancel, time limit, a verdict by somebody who gave this run up; then the end of the grace."""
        if self.outbox is None and not os.path.exists(self.path(protocol.LAUNCH_FILE)):
            self._abandon()
        for words in self.memory.news(self.ranks.left_here()) + self.ranks.news():
            self._tell_news(words)
            print(protocol.timestamp(), words, flush=True)
        self._find_reason()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.ranks.tell(b"K")
            self._kill_at = time.monotonic() + 2.0
            if self._stopping == "forced":  # wrappers that don't answer go down with everything below them
                processes.kill_descendants()  # whoever started them reaps them
            self._stopping = "forced"

    def _tell_news(self, words: str) -> None:
        self._event(self.phases.name, words)

    def _find_reason(self) -> None:
        """Stop the ranks if there is a reason to."""
        limit = self.launch["max_run_duration_seconds"]
        if os.path.exists(os.path.join(self.run_folder, protocol.VERDICT_FILE)):
            self._stop(protocol.STOP_JUDGED, grace=0.0)
        elif os.path.exists(os.path.join(self.run_folder, protocol.CANCEL_FILE)):
            self._stop(protocol.STOP_CANCEL)
        elif self._told:
            self._stop(protocol.STOP_OUTSIDE, **self._told_facts())
        elif limit is not None and time.monotonic() - self.started > limit:
            self._stop(protocol.STOP_TIME_LIMIT)
        elif self.phases.name == "meet" and self.phases.passed():
            met = "%d of %d ranks had started" % (self.ranks.here(), self.ranks.count)
            self._stop(protocol.STOP_PHASE_LIMIT, phase="meet", detail=met)
        elif self.phases.name == "run" and not self._kill_at:  # ranks that were told to end have their grace
            found = self.progress.missing(
                self.mirror.copied, self.ranks, lambda words: self._event("run", words)
            )
            if found is not None:
                self._stop(protocol.STOP_NO_PROGRESS, **found)

    def _abandon(self) -> None:
        """End everything where the run itself was removed from the store: nobody will ever look for it."""
        processes.end_descendants()
        self.ranks.close()
        self.memory.clear()
        os._exit(3)

    def _stop(self, reason: str, grace: float | None = None, **facts: Any) -> None:
        if self._stopping is None:
            self._stopping = reason
            self._stop_record(reason, **facts)
            self.ranks.tell(b"T")
            seconds = self._grace() if grace is None else grace
            self._kill_at = time.monotonic() + seconds
            print(
                protocol.timestamp(), "stopping the ranks (%s), KILL in %g s" % (reason, seconds), flush=True
            )

    def _grace(self) -> float:
        """Seconds that ranks have between TERM and KILL."""
        return float(self.launch["grace_seconds"])

    def _stop_record(self, reason: str, **facts: Any) -> None:
        stop = {"at": protocol.timestamp(), "reason": reason, **facts}
        with records.tolerated("stop record"):
            records.create(self.path(protocol.STOP_FILE), stop)

    def _reap(self) -> None:
        ended = self.ranks.ended()
        for reason, facts in self.ranks.stops():
            self._stop(reason, **facts)
        for one, exit_record in sorted(ended, key=self.ranks.in_order):
            self._rank_ended(one, exit_record)
        processes.reap_others(self.ranks.children())

    def _rank_ended(self, one: dict[str, Any], exit_record: dict[str, Any]) -> None:
        left = self.ranks.left()
        if exit_record["stopped_by"] == protocol.BY_LAUNCHER:
            self._stop(protocol.STOP_LAUNCHER, detail=LAUNCHER_ENDS)
        elif not _well(exit_record) and left:
            self._stop(protocol.STOP_RANK_FAILED, rank=one["rank"])
        elif not _well(exit_record) and self.ranks.count > 1:  # of those that ended at once, the first
            self._stop_record(protocol.STOP_RANK_FAILED, rank=one["rank"])
        elif left and self._stopping is None and all(other["serves"] for other in left):
            self.ranks.tell(b"S")
            self._kill_at = time.monotonic() + self.launch["grace_seconds"]

    # ------------------------------------------------------------------ the end

    def collect(self, by: str = protocol.SUPERVISOR) -> None:
        """Bring logs and outputs home, leave the report, clear the working directory."""
        self.ranks.close()
        processes.end_descendants()
        self.usage.finish()
        used = self.memory.clear()
        self.phases.enter("collect", "collecting outputs")
        self.mirror.sync(whole=True)
        files = os.path.join(self.run_folder, protocol.FILES_FOLDER)
        result = collecting.collect(self.work, files, self._tick)
        if not result.pop("in_time"):
            self._stop_record(protocol.STOP_PHASE_LIMIT, phase="collect")
        problems = result.pop("problems")
        if problems:
            more = ", and %d more" % (len(problems) - 1) if len(problems) > 1 else ""
            self.error = self.error or "outputs could not be collected (%s%s)" % (problems[0], more)
        for words in problems + result["left"]:
            print(protocol.timestamp(), words, flush=True)
        # before the report, so that after it there is nothing left to do
        self._remove(protocol.STACKS_FOLDER, protocol.CHECKPOINTS_FOLDER)
        if not problems:
            self._remove(protocol.WORK_FOLDER)
        if self.launch.get("build"):
            from airflow_train.runtime import building

            building.used(self.launch)
        report = {"at": protocol.timestamp(), "started": self.launch_time, "error": self.error, "by": by}
        if self.reason is not None:
            report["reason"] = self.reason
        records.create(self.path(protocol.REPORT_FILE), {**report, **result, "memory": used})

    def _remove(self, *names: str) -> None:
        for path in filter(os.path.isdir, map(self.path, names)):  # none in a container
            import shutil  # not before the ranks run (`_watch`): they wait for this process's imports

            shutil.rmtree(path, ignore_errors=True)


def _well(exit_record: dict[str, Any]) -> bool:
    return bool(exit_record["code"] == 0 or exit_record["stopped_by"] == protocol.SERVED)
