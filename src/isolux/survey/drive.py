"""The loop of a run: keep every worker busy, take receipts, try failed parts again, give up those that are poison.

A worker thread has one part at a time and none waits in its queue: a part whose worker dies is then the one that it was
at, and the scheduler holds no more than that many tasks, however long the survey is. What is done is on disk already;
this process keeps counts alone.
"""

from __future__ import annotations

import dataclasses
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from distributed import Client, Future

from isolux.io.plan_files import Plan
from isolux.io.run_folder import Quarantined, Receipt, RunFolder
from isolux.status import Status
from isolux.survey.options import SurveyOptions
from isolux.survey.work import Failure, Fault, Job, do_part

PATIENCE = 1.0
"""Seconds between two looks at the cluster while no part ends."""
GONE = 60.0
"""Seconds for which a scheduler may be out of reach before it is gone: networks fail for a while."""
LATE = 30.0
"""Seconds without a worker after which it is said that there is none."""


class RunStopped(Exception):
    """The run cannot go on now; it can be resumed once the reason is gone."""


@dataclasses.dataclass(frozen=True)
class SurveyProgress:
    """How far a run is.

    Attributes
    ----------
    done, total : int
        Galaxies; of fields, whose galaxies are not known before, parts.
    measured : int
        Galaxies of this session.
    parts, all_parts : int
        Parts that are done, and all.
    seconds : float
        Since the session began.
    failed : int
        Galaxies without a fit.
    quarantined : int
        Parts that were given up.
    workers : int
        That are at work.
    remark : str
        What has just happened.
    """

    done: int
    total: int
    measured: int
    parts: int
    all_parts: int
    seconds: float
    failed: int
    quarantined: int
    workers: int
    remark: str = ""


@dataclasses.dataclass
class _Attempt:
    """A part that is to be measured, and what its attempts so far have ended with."""

    part: int
    ended: list[str] = dataclasses.field(default_factory=list)
    careful: bool = False
    fault: Fault = Fault.PART


class Drive:
    """A session of a run.

    Parameters
    ----------
    client : Client
        Of the cluster.
    job : Job
        What workers are told.
    plan : Plan
        The parts.
    options : SurveyOptions
        Retries and the like.
    done : mapping
        Parts that are done already.
    wait : float
        Seconds for which it waits for a first worker, or a next one when all have gone.
    tell : callable, optional
        Given a :class:`SurveyProgress` now and then.
    """

    def __init__(
        self,
        client: Client,
        job: Job,
        plan: Plan,
        options: SurveyOptions,
        done: Mapping[int, Receipt],
        wait: float,
        tell: Callable[[SurveyProgress], object] | None = None,
    ) -> None:
        self.client, self.job, self.plan, self.options, self.wait = client, job, plan, options, wait
        self.folder = RunFolder(job.folder)
        self.tell = tell or (lambda progress: None)
        self.waiting = deque(_Attempt(number) for number in range(len(plan)) if number not in done)
        self.running: dict[Future, _Attempt] = {}
        self.ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self.status: Counter[str] = Counter()
        self.rows = sum(receipt.rows for receipt in done.values())
        self.parts, self.measured, self.in_a_row = len(done), 0, 0
        self.given_up: list[Quarantined] = []
        self.threads, self.looked = 0, 0.0
        self.seen = self.heard = time.monotonic()
        self.began = time.monotonic()

    def run(self) -> None:
        """Do all parts.

        Raises
        ------
        RunStopped
            If it cannot go on: no room on the disk, no scheduler, no workers, or only parts that fail.
        """
        try:
            while self.waiting or self.running:
                self._look()
                self._submit()
                with suppress(queue.Empty):
                    self._take(self.ended.get(timeout=PATIENCE))
                    while not self.ended.empty():
                        self._take(self.ended.get_nowait())
        finally:
            if self.running and self.client.status == "running":
                self.client.cancel(list(self.running), force=True)

    def _look(self) -> None:
        """How many worker threads there are, once in a while."""
        now = time.monotonic()
        if self.threads and now - self.looked < PATIENCE:
            return
        if not self._reachable():
            if self.client.status not in ("running", "connecting") or now - self.heard > GONE:
                raise RunStopped("the scheduler is gone")
            self.threads = 0
            time.sleep(PATIENCE)
            return
        self.looked = self.heard = now
        if self.threads:
            self.seen = now
        elif now - self.seen > self.wait:
            raise RunStopped(f"no worker has come within {self.wait:g} s")
        else:
            if now - self.seen > LATE:
                self._say("waiting for workers")
            time.sleep(0.05)

    def _reachable(self) -> bool:
        if self.client.status != "running":
            return False
        try:
            self.threads = sum(self.client.nthreads().values())
        except (OSError, ValueError, TimeoutError, RuntimeError, AttributeError):
            return False  # AttributeError: the client has just closed, and has None for a scheduler
        return True

    def _submit(self) -> None:
        while self.waiting and len(self.running) < self.threads:
            attempt = self.waiting.popleft()
            turn = len(attempt.ended) + 1
            future = self.client.submit(
                do_part,
                self.job,
                attempt.part,
                turn,
                attempt.careful,
                key=f"part-{attempt.part:08d}-{turn}-{time.monotonic_ns()}",
                pure=False,
            )
            self.running[future] = attempt
            future.add_done_callback(self.ended.put)

    def _take(self, future: Future) -> None:
        attempt = self.running.pop(future, None)
        if attempt is None:
            return
        if future.status == "finished":
            found = future.result()
        elif future.status == "error":
            found = _death(future.exception())
        else:  # cancelled or lost with its scheduler: not the part's fault
            self.waiting.appendleft(attempt)
            self.looked = 0.0
            self.threads = 0
            return
        future.release()
        if isinstance(found, Receipt):
            self._receive(found)
        else:
            self._retry(attempt, found)

    def _receive(self, receipt: Receipt) -> None:
        self.status.update(receipt.status)
        self.parts += 1
        self.rows += receipt.rows
        self.measured += receipt.rows
        self.in_a_row = 0
        self._say(next(iter(receipt.remarks), ""))

    def _retry(self, attempt: _Attempt, failure: Failure) -> None:
        if failure.fault is Fault.RUN:
            raise RunStopped(failure.reason)
        attempt.ended.append(failure.reason)
        attempt.fault = failure.fault
        if len(attempt.ended) <= self.options.retries:
            self.waiting.append(attempt)
            self._say(f"part {attempt.part} is tried again: {failure.reason}")
        elif failure.fault is Fault.PART and not attempt.careful and self.job.source.divisible:
            attempt.careful = True
            self.waiting.append(attempt)
            self._say(f"part {attempt.part} is measured galaxy by galaxy: {failure.reason}")
        else:
            self._give_up(attempt, failure)

    def _give_up(self, attempt: _Attempt, failure: Failure) -> None:
        number = attempt.part
        galaxies, place = int(self.plan.galaxies[number]), self.plan.place[number]
        what = Quarantined(number, galaxies, place, failure.reason, attempt.ended, failure.trace)
        self.folder.quarantine(what)
        self.given_up.append(what)
        self.in_a_row += 1
        self._say(f"part {number} is given up: {failure.reason}")
        if self.in_a_row >= self.options.stop_after and not self.measured:
            raise RunStopped(
                f"the first {self.in_a_row} parts all failed, the last because: {failure.reason}"
            )

    def _say(self, remark: str = "") -> None:
        failed = sum(count for name, count in self.status.items() if not Status[name.upper()].fitted)
        self.tell(
            SurveyProgress(
                done=self.rows,
                total=int(self.plan.galaxies.sum()),
                measured=self.measured,
                parts=self.parts,
                all_parts=len(self.plan),
                seconds=time.monotonic() - self.began,
                failed=failed,
                quarantined=len(self.given_up),
                workers=self.threads,
                remark=remark,
            )
        )


def _death(error: Any) -> Failure:
    """What became of a part whose worker has not answered."""
    if type(error).__name__ == "KilledWorker":
        return Failure(Fault.PART, "its worker died, or was ended because it took too much memory")
    return Failure(Fault.PART, f"{type(error).__name__}: {error}")
