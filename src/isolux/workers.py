"""Several processes that fit the batches of one sample.

An eager PyTorch fit of small images is bound by Python, and threads of one process would wait for each other; so
each worker is a process of its own, with one thread. It is sent the task once, then order after order, and sends
back what has come of each; the process that started it writes the catalogue alone. The results do not depend on
the number of workers: batches are the same, and rows keep the batches' order.

A worker that dies (killed for memory, say) takes nothing but the batch it was at with it. A new one does that
batch again; if that dies too, the halves of it, until a single galaxy that twice ended its worker gets a row that
says so. Workers are started as ``python -c ...``, not by :mod:`multiprocessing`, so that a user's script needs no
``if __name__ == "__main__"``; what is sent to them must be importable by its name, which ``__main__`` is not.
"""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import torch

from isolux.crowd import Lost, Process, answer_all
from isolux.errors import InputError
from isolux.io.catalogue import join_rows, rows_of
from isolux.io.listing import starting_values
from isolux.io.profile_file import is_loose, load_module
from isolux.io.stamps import batch_of, shared_reader
from isolux.io.stream import Group
from isolux.io.tables import format_of
from isolux.isolate import Workplace, failed
from isolux.result import Result
from isolux.stamp import Stamp
from isolux.task import Done, Order, Task

MOST_DEATHS = 20
"""Workers that may die in a run; then something is wrong with the machine, not with a galaxy."""
COMMAND = "from isolux.workers import serve; serve()"


class CannotSend(Exception):
    """The task cannot be sent to another process."""


class Stopped(Exception):
    """The run is being ended."""


def packed(task: Task) -> bytes:
    """A task as it is sent to a worker.

    Raises
    ------
    CannotSend
        If something of the user's in it cannot be found by name, such as a profile defined in a script.
    """
    try:
        content = pickle.dumps(task)
    except Exception as error:
        raise CannotSend(str(error)) from None
    if b"__main__" in content:
        raise CannotSend("a class or function of the model is defined in the script itself")
    kinds = {type(profile) for profile in task.scene.components.values()}
    loose = {kind.__module__: inspect.getfile(kind) for kind in kinds if is_loose(kind.__module__)}
    return pickle.dumps((loose, content))


class Crew:
    """Workers with a thread each that hands it orders, takes what comes of them, and replaces it if it dies.

    Parameters
    ----------
    task : Task
        What is done with every batch.
    count : int
        Number of workers.

    Raises
    ------
    CannotSend
        If the task cannot be sent.
    """

    def __init__(self, task: Task, count: int) -> None:
        self.task, self.count, self.content = task, count, packed(task)
        self.ready: queue.Queue[Done | BaseException | None] = queue.Queue(maxsize=2 * count)
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.workers: set[Process] = set()
        self.deaths: list[str] = []

    def work(self, groups: Sequence[Group]) -> Generator[Done]:
        """What comes of all orders, as it comes; the workers are ended when this is."""
        orders = self.task.orders(groups)
        threads = [
            threading.Thread(target=self._keep_busy, args=(orders,), daemon=True) for _ in range(self.count)
        ]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                found = self.ready.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    running -= 1
                else:
                    yield found
        finally:
            self.stop.set()
            with self.lock:
                for worker in self.workers:
                    worker.process.kill()
            for thread in threads:
                thread.join()

    def _keep_busy(self, orders: Iterator[Order]) -> None:
        """The life of a thread: a worker, and order after order for it."""
        mine = _Place(self)
        try:
            while not self.stop.is_set():
                with self.lock:
                    order = next(orders, None)
                if order is None:
                    break
                self._put(mine.result_of(order))
            self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            mine.leave()

    def _put(self, item: Done | BaseException | None) -> None:
        while not self.stop.is_set():
            with suppress(queue.Full):
                return self.ready.put(item, timeout=0.1)

    def died(self, how: str) -> None:
        """Count a death.

        Raises
        ------
        InputError
            If there were too many.
        """
        if self.stop.is_set():
            raise Stopped
        with self.lock:
            self.deaths.append(how)
            count = len(self.deaths)
        if count >= MOST_DEATHS:
            raise InputError(
                f"{count} workers died, the last one {how}: is there memory for so many?",
                self.count,
                "fewer workers, or smaller batches",
            )


class _Place:
    """Where one worker at a time works for a crew."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.worker: Process | None = None

    def result_of(self, order: Order) -> Done:
        """What comes of an order, whatever becomes of the workers that are at it."""
        remark = ""
        how = ""
        for _ in range(2):
            try:
                return _with_remark(self._do(order), remark)
            except Lost as death:
                how = str(death)
            self.leave()
            self.crew.died(how)
            remark = f"a worker {how}; its batch was fitted again"
        if len(order) == 1:
            return _with_remark(_failure(self.crew.task, order, how), remark)
        half = len(order) // 2
        parts = [self.result_of(order.part(rows)) for rows in (range(half), range(half, len(order)))]
        return _with_remark(_joined(self.crew.task, order, parts), remark)

    def _do(self, order: Order) -> Done:
        if self.worker is None:
            self.worker = Process(COMMAND, self.crew.content, self.crew.task.options.threads)
            with self.crew.lock:
                self.crew.workers.add(self.worker)
        if self.crew.stop.is_set():
            raise Stopped
        done = self.worker.do(order)
        assert isinstance(done, Done)
        return done

    def leave(self) -> None:
        """End the worker that is here."""
        if self.worker is not None:
            with self.crew.lock:
                self.crew.workers.discard(self.worker)
            self.worker.end()
            self.worker = None


def _with_remark(done: Done, remark: str) -> Done:
    return dataclasses.replace(done, remarks=(*done.remarks, remark)) if remark else done


def _joined(task: Task, order: Order, parts: Sequence[Done]) -> Done:
    """What came of an order whose parts were done one by one."""
    return Done(
        order.place,
        Result.concatenate([part.result for part in parts]),
        join_rows([part.rows for part in parts]),
        task.read(order, shared_reader()) if task.keep else None,
        tuple(dict.fromkeys(remark for part in parts for remark in part.remarks)),
    )


def _failure(task: Task, order: Order, how: str) -> Done:
    """The row of a galaxy that ended two workers."""
    name = order.files[0].id
    batch = batch_of([Stamp(name, fault=how)], task.source, dtype=task.options.torch_dtype)
    start = starting_values(order.columns, batch.pixel_scale.numpy())
    result = failed(
        batch, task.scene, start, f"the process that fitted it {how}", **task.options.fit_arguments
    )
    return Done(
        order.place, result, rows_of(result, format_of(task.options.path)), batch if task.keep else None
    )


def serve() -> None:
    """The life of a worker: a task, then order after order, from standard input; answers go to standard output."""
    answer_all(ready, lambda reason: CannotSend(reason))


def ready(orders: BinaryIO) -> Callable[[Order], Done]:
    """What a worker does with an order, once it has been told its task."""
    modules, content = pickle.load(orders)
    for name, file in modules.items():
        load_module(name, Path(file))
    task: Task = pickle.loads(content)
    torch.set_num_threads(task.options.threads)
    reader, where = shared_reader(), Workplace(task.options.torch_device)
    places: list[int] = []

    def work(order: Order) -> Done:
        batch = task.read(order, reader)
        done = task.finish(order, batch, where, strict=not places)
        places.append(order.place)
        # A WCS takes longer to send than a galaxy to fit.
        bare = None if done.batch is None else dataclasses.replace(done.batch, wcs=(None,) * len(done.batch))
        return dataclasses.replace(done, result=dataclasses.replace(done.result, wcs=()), batch=bare)

    return work
