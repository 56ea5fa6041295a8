"""The options of a run: one frozen dataclass, filled by Python, the command line and the run file alike."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from isolux.errors import InputError, unknown_name
from isolux.footprint import Footprint
from isolux.loss import Loss, loss_from
from isolux.priors import Prior
from isolux.solve import FirstOrder, LevenbergMarquardt, Sampler
from isolux.uncertainty import Errors

MEMORY_SHARE = 2
"""One part in this of the free memory is for fits."""
MOST_PIXELS, MOST_GALAXIES = 1 << 23, 128
"""On a CPU larger batches bring no speed, only longer waits between two lines of the catalogue."""
MOST_PIXELS_GPU, MOST_GALAXIES_GPU = 1 << 28, 16384
PIXELS_A_WORKER = 1 << 23
"""Pixels that keep a worker busy much longer than it takes to start: 512 stamps of 128 x 128."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a sample is fitted and what is written.

    Parameters
    ----------
    solver : LevenbergMarquardt or FirstOrder
        The solver with its own options.
    loss : Loss or str
        What a pixel costs: ``chi2``, ``student-t``, ``huber``, ``cash``, or one of their classes.
    priors : sequence of Prior
        What is known of parameters before.
    errors : {"covariance", "bootstrap", "posterior", "none"}
        How errors are found.
    scale_errors : bool
        Divide the data's information by the reduced chi-square.
    starts : int
        Fits a galaxy from different starting values.
    replicates : int
        Of the bootstrap.
    sampler : Sampler
        Of the posterior.
    seed : int
        Of bootstrap, posterior samples and further starts.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ...
    dtype : {"float32", "float64"}
        Precision of the images.
    batch_size, max_pixels : int, optional
        Galaxies and pixels of a batch at most; chosen from the memory that is free where left out.
    ahead : int
        Batches that are read ahead.
    workers : int, optional
        Processes that fit batches at the same time; one a core for large samples on a CPU where left out, else one.
        The results are the same.
    threads : int
        CPU threads of each process. More than one seldom pays: the images of a few galaxies are small.
    folder : str or path
        Where everything is written.
    catalogue : str
        Name of the catalogue; its ending is the format.
    blocks : bool
        Write an image block a galaxy, to ``blocks/``.
    figures : bool or int
        Have a figure a galaxy drawn, of all or of the first few, in ``figures/`` (by the command line).
    resume, overwrite : bool
        Go on with the catalogue that is there, or replace it.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    solver: LevenbergMarquardt | FirstOrder = dataclasses.field(default_factory=LevenbergMarquardt)
    loss: Loss | str = "chi2"
    priors: Sequence[Prior] = ()
    errors: Errors = "covariance"
    scale_errors: bool = False
    starts: int = 1
    replicates: int = 100
    sampler: Sampler = dataclasses.field(default_factory=Sampler)
    seed: int = 0
    device: str = "auto"
    dtype: str = "float32"
    batch_size: int | None = None
    max_pixels: int | None = None
    ahead: int = 2
    workers: int | None = None
    threads: int = 1
    folder: str | Path = "run"
    catalogue: str = "catalogue.fits"
    blocks: bool = True
    figures: bool | int = False
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "max_pixels": 1, "starts": 1, "replicates": 2, "ahead": 0, "workers": 1}
        least["threads"] = 1
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is None and name in ("batch_size", "max_pixels", "workers"):
                continue
            if not isinstance(value, int) or value < lowest:
                raise InputError(name, value, f"a whole number, {lowest} or more")
        for name, choices in {"dtype": DTYPES, "errors": get_args(Errors)}.items():
            if getattr(self, name) not in choices:
                raise InputError(name, getattr(self, name), ", ".join(choices))
        loss_from(self.loss)
        if self.resume and self.overwrite:
            raise InputError("resume and overwrite exclude each other")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunOptions:
        """Options from a mapping; an unknown name is an error that names the nearest known one."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name("option", name, known)
        return cls(**values)

    @property
    def path(self) -> Path:
        """The catalogue."""
        return Path(self.folder).expanduser() / self.catalogue

    @property
    def blocks_folder(self) -> Path:
        """Where image blocks go."""
        return Path(self.folder).expanduser() / "blocks"

    @property
    def torch_dtype(self) -> torch.dtype:
        """``dtype`` for PyTorch."""
        return DTYPES[self.dtype]

    @property
    def torch_device(self) -> torch.device:
        """``device`` for PyTorch.

        Raises
        ------
        InputError
            If there is no such device.
        """
        name = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {name!r} cannot be used, {str(error).splitlines()[0]}") from None
        return device

    def batch_galaxies(self, footprint: Footprint) -> int:
        """Galaxies of a batch whose fits take so much memory.

        The same however many workers there are, unless there are more than cores.
        """
        device = self.torch_device
        on_gpu = device.type != "cpu"
        processes = 1 if on_gpu else max(cores() // self.threads, self.workers or 1)
        room = free_memory(device) // (MEMORY_SHARE * processes)
        pixels = self.max_pixels or (MOST_PIXELS_GPU if on_gpu else MOST_PIXELS)
        most = self.batch_size or (MOST_GALAXIES_GPU if on_gpu else MOST_GALAXIES)
        return max(1, min(most, pixels // footprint.pixels, footprint.galaxies(room, self.ahead)))

    def worker_count(self, pixels: int) -> int:
        """Processes that fit a sample of so many pixels."""
        if self.workers is not None:
            return self.workers
        if self.torch_device.type != "cpu":
            return 1
        return max(1, min(cores() // self.threads, pixels // PIXELS_A_WORKER))

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """What :func:`isolux.fit` takes."""
        names = (
            "solver",
            "loss",
            "priors",
            "errors",
            "scale_errors",
            "starts",
            "replicates",
            "sampler",
            "seed",
        )
        return {name: getattr(self, name) for name in names}


def cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory(device: torch.device) -> int:
    """Free memory in bytes of a GPU or of this machine; 4 GiB where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 1 << 32
