"""A sample larger than memory, as a stream of batches.

Sizes are read from the headers alone; stamps of similar size go into one batch, whose sides are those of its
largest. Sides count as similar within a step of 2^(1/8), so that padding adds at most a fifth to the pixels;
only where a handful of small stamps would be left as a batch of their own they join the next larger ones. A
background thread reads ahead, a bounded number of batches, and stops when the consumer does.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any, TypeAlias, TypeVar

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.io.fits import image_shape
from isolux.io.listing import list_stamps
from isolux.io.patterns import Plane
from isolux.io.source import StampFiles, StampSource
from isolux.io.stamps import READERS, batch_of, load_stamps, shared_reader

Size: TypeAlias = tuple[int, int]
Item = TypeVar("Item")
Group: TypeAlias = tuple[list[StampFiles], Size]
STEP = 2 ** (1 / 8)
"""Ratio of the sides of neighbouring size classes."""
NEGLIGIBLE = 1 << 17
"""Pixels of padding that cost no more than a batch of their own would."""
LARGEST = 1 << 24
"""Pixels of a batch at most, unless the caller says otherwise: 256 stamps of 256 x 256."""


def iter_batches(
    source: StampSource,
    batch_size: int = 256,
    *,
    files: Sequence[StampFiles] | None = None,
    dtype: torch.dtype = torch.float32,
    max_pixels: int = LARGEST,
    ahead: int = 2,
) -> Iterator[Batch]:
    """Read a sample batch by batch.

    Parameters
    ----------
    source : StampSource
        The sample.
    batch_size : int
        Galaxies of a batch at most.
    files : sequence of StampFiles, optional
        Those galaxies of the sample that are wanted, from :func:`list_stamps`; all where left out.
    dtype : torch.dtype
        float32 or float64.
    max_pixels : int
        Pixels of a batch at most (at least one galaxy).
    ahead : int
        Batches that are read ahead; 0 reads without a thread.

    Yields
    ------
    Batch
        Every galaxy exactly once, grouped by size, not in the order of the source.

    Raises
    ------
    InputError
        As :func:`list_stamps` does.
    """
    if batch_size < 1 or max_pixels < 1:
        raise InputError("batch_size and max_pixels", (batch_size, max_pixels), "1 or more")
    groups = plan_batches(
        list_stamps(source) if files is None else files,
        lambda size: max(1, min(batch_size, max_pixels // prod(size))),
    )
    batches = _load(groups, source, dtype)
    yield from read_ahead(batches, ahead) if ahead > 0 else batches


def plan_batches(files: Sequence[StampFiles], most: Callable[[Size], int]) -> list[Group]:
    """Groups of galaxies for a batch each, with the rows and columns of their stamps once padded.

    Those whose image cannot be read make groups of their own.

    Parameters
    ----------
    files : sequence of StampFiles
        The galaxies.
    most : callable
        How many stamps of a size a batch may have.
    """
    with ThreadPoolExecutor(READERS, "isolux-sizes") as pool:
        shapes = list(pool.map(_shape, files))
    return group_by_size(files, shapes, most)


def group_by_size(
    items: Sequence[Item], shapes: Sequence[Size | None], most: Callable[[Size], int]
) -> list[tuple[list[Item], Size]]:
    """Groups of things whose stamps have these rows and columns, as :func:`plan_batches` makes them."""
    lost: list[Item] = []
    classes: dict[Size, list[tuple[Item, Size]]] = defaultdict(list)
    for item, shape in zip(items, shapes, strict=True):
        if shape is None:
            lost.append(item)
        else:
            classes[size_class(shape[0]), size_class(shape[1])].append((item, shape))
    groups: list[tuple[list[Item], Size]] = []
    for members in _joined(sorted(classes.values(), key=lambda group: prod(_largest(group)))):
        count = most(_largest(members))
        parts = [members[k : k + count] for k in range(0, len(members), count)]
        groups += [([item for item, _ in part], _largest(part)) for part in parts]
    count = most((1, 1))
    return groups + [(lost[k : k + count], (1, 1)) for k in range(0, len(lost), count)]


def _largest(members: Sequence[tuple[Any, Size]]) -> Size:
    return max(rows for _, (rows, _) in members), max(columns for _, (_, columns) in members)


def _joined(groups: Sequence[list[tuple[Item, Size]]]) -> list[list[tuple[Item, Size]]]:
    """Groups by size, small ones joined to the next larger one where that adds few pixels."""
    joined: list[list[tuple[Item, Size]]] = []
    for members in groups:
        if joined:
            both = joined[-1] + members
            padded = len(both) * prod(_largest(both))
            alone = sum(len(part) * prod(_largest(part)) for part in (joined[-1], members))
            if padded - alone <= NEGLIGIBLE:
                joined[-1] = both
                continue
        joined.append(members)
    return joined


def size_class(side: int) -> int:
    """Number of the class of a side; sides of one class differ by less than a step of 2^(1/8)."""
    return math.floor(math.log(side) / math.log(STEP) + 1e-9)


def _shape(files: StampFiles) -> Size | None:
    return None if files.fault else plane_shape(files.planes[0])


def plane_shape(plane: Plane) -> Size | None:
    """Rows and columns of an image; None where it cannot be read."""
    try:
        return image_shape(str(plane))
    except Exception:
        return None


def _load(groups: Sequence[Group], source: StampSource, dtype: torch.dtype) -> Iterator[Batch]:
    read = shared_reader()
    for members, size in groups:
        yield batch_of(load_stamps(members, read), source, dtype=dtype, size=size)


def read_ahead(items: Iterator[Any], count: int) -> Iterator[Any]:
    """The same items, made in a background thread at most ``count`` ahead.

    What the thread raises is raised here. When the consumer stops early the thread ends before this returns.
    """
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=count)
    stop = threading.Event()

    def put(item: tuple[bool, Any]) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=work, name="isolux-ahead", daemon=True)
    thread.start()
    try:
        while (found := ready.get())[0]:
            yield found[1]
        if found[1] is not None:
            raise found[1]
    finally:
        stop.set()
        thread.join()
