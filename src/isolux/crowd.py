"""A function done for many things by several processes, for work whose answers are wanted in order.

A process is started once, is sent what it needs to know, and then thing after thing. One that dies takes nothing with
it: what it was at is done by a new one, and given up when that dies too. :mod:`isolux.workers` uses the same
processes for the batches of a sample.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
COMMAND = "from isolux.crowd import serve; serve()"
TRIES = 2
_END: Any = object()


class Lost(Exception):
    """A process ended before it had answered."""


class Process:
    """A Python process that answers one thing at a time.

    Parameters
    ----------
    command : str
        Python that ends in :func:`answer_all`.
    content : bytes
        What it is sent first: what it needs to know to answer.
    threads : int
        CPU threads that it may use.
    """

    def __init__(self, command: str, content: bytes, threads: int = 1) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C is for the process that the user sees, which then ends this one.
        self.process = subprocess.Popen(
            [sys.executable, "-c", command], stdin=pipe, stdout=pipe, env=env, start_new_session=True
        )
        self.send(content)

    def send(self, content: bytes) -> None:
        """Write to the process; that it is not there is found when its answer is read."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(content)
            self.process.stdin.flush()

    def do(self, item: Any) -> Any:
        """The answer to an item.

        Raises
        ------
        Lost
            If the process ends before it answers.
        Exception
            What it answered with, if that is an exception.
        """
        assert self.process.stdout is not None
        self.send(pickle.dumps(item))
        try:
            answer = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError, OSError):
            raise Lost(_how_it_ended(self.process.wait())) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Crowd(Generic[Item, Answer]):
    """Several processes that do one function; use it in a ``with`` statement.

    Parameters
    ----------
    function : callable
        From one item to its answer; must be importable by its name.
    count : int
        Processes; with one or none the work is done in this process.
    given_up : callable, optional
        From an item that ended its processes twice, and how, to an answer in place of the function's.
    """

    def __init__(
        self,
        function: Callable[[Item], Answer],
        count: int,
        given_up: Callable[[Item, str], Answer] | None = None,
    ) -> None:
        self.function, self.count, self.given_up = function, count, given_up
        self.content = pickle.dumps(function)
        self.processes: list[Process | None] = [None] * count

    def __enter__(self) -> Crowd[Item, Answer]:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            if process is not None:
                process.end()
        self.processes = [None] * self.count

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """Each item with its answer, as they come; items are taken only when somebody is free to do them.

        Raises
        ------
        Lost
            If an item ended its processes twice, and nothing says what to do then.
        Exception
            What the function raises.
        """
        if self.count < 2:
            for item in items:
                yield item, self.function(item)
            return
        rest, lock = iter(items), threading.Lock()
        ready: queue.Queue[tuple[Any, Any]] = queue.Queue(maxsize=self.count)
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._keep_busy, args=(place, rest, lock, ready, stop), daemon=True)
            for place in range(self.count)
        ]
        for thread in threads:
            thread.start()
        busy = len(threads)
        try:
            while busy:
                item, answer = ready.get()
                if item is _END:
                    busy -= 1
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    yield item, answer
        finally:
            stop.set()
            while any(thread.is_alive() for thread in threads):
                with suppress(queue.Empty):
                    ready.get(timeout=0.05)

    def _keep_busy(
        self,
        place: int,
        rest: Iterator[Item],
        lock: threading.Lock,
        ready: queue.Queue[tuple[Any, Any]],
        stop: threading.Event,
    ) -> None:
        item: Any = _END
        try:
            while not stop.is_set():
                with lock:
                    item = next(rest, _END)
                if item is _END:
                    break
                ready.put((item, self._do(place, item)))
        except BaseException as error:
            ready.put((None, error))
        finally:
            ready.put((_END, None))

    def _do(self, place: int, item: Item) -> Any:
        last: Lost | None = None
        for _ in range(TRIES):
            process = self.processes[place] or Process(COMMAND, self.content)
            self.processes[place] = process
            try:
                return process.do(item)
            except Lost as error:
                last = error
                process.end()
                self.processes[place] = None
        if self.given_up is not None and last is not None:
            return self.given_up(item, str(last))
        raise last or Lost("no process")


def serve() -> None:
    """The life of a process of a crowd: a function, then item after item."""

    def ready(items: BinaryIO) -> Callable[[Any], Any]:
        import torch

        torch.set_num_threads(1)
        function: Callable[[Any], Any] = pickle.load(items)
        return function

    answer_all(ready, RuntimeError)


def answer_all(
    ready: Callable[[BinaryIO], Callable[[Any], Any]], refusal: Callable[[str], Exception]
) -> None:
    """Answer item after item from standard input, on standard output.

    Parameters
    ----------
    ready : callable
        Reads what it needs to know, and returns the function from an item to its answer.
    refusal : callable
        What is answered to the first item, from the reason, if ``ready`` fails.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a user's code prints must not get in between
    items = sys.stdin.buffer
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        try:
            work = ready(items)
        except EOFError:
            return
        except Exception as error:
            pickle.dump(refusal(f"{type(error).__name__}: {error}"), answers)
            answers.flush()
            return
        while True:
            item = pickle.load(items)
            answer: Any
            try:
                answer = work(item)
            except Exception as error:
                answer = error
            answers.write(pickle.dumps(answer))
            answers.flush()
