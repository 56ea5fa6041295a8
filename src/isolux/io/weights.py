"""Weights of networks in files: safetensors, of which nothing is ever executed, with their card in the header.

Weights are float16; those of a large network are in several files (:mod:`isolux.io.shards`). Their card lies beside
them as ``name.json`` too, to be read by people. Some come with Isolux and are asked for by the network's name. A
checkpoint keeps what training needs as it is, in one file, which is there whole or not at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from isolux.errors import InputError
from isolux.io.safe_files import put_text
from isolux.io.shards import ENDING, LARGEST, read_file, read_shards, write_file, write_shards
from isolux.nets.card import Card
from isolux.nets.pix2prof import Pix2Prof
from isolux.nets.profile import PolarNet
from isolux.nets.profile_draw import with_ranges
from isolux.nets.read import network_of
from isolux.types import Tensor

CARD, FACTS = "isolux_card", "isolux_checkpoint"
SHIPPED = Path(__file__).parents[1] / "weights"
"""The folder of the weights that come with Isolux."""


def shipped() -> dict[str, Path]:
    """Weights that come with Isolux, by the name of the network; :func:`read_network` takes either."""
    cards = {path.stem: path for path in sorted(SHIPPED.glob("*.json"))}
    return {name: path.with_suffix(ENDING) for name, path in cards.items()}


def write_weights(
    path: str | os.PathLike[str], tensors: dict[str, Tensor], card: Card, *, largest: int = LARGEST
) -> Path:
    """Write weights as float16 with their card, and the card beside them as ``name.json``.

    Parameters
    ----------
    path : path
        ``name.safetensors``. Where there are more bytes than ``largest`` it is the name of several files,
        ``name-00001-of-00002.safetensors`` and so on.
    tensors : dict of str to Tensor
        The network's ``state_dict``.
    card : Card
        What is known of them.
    largest : int
        Bytes of tensors in a file at most.

    Returns
    -------
    Path
        What :func:`read_network` is to be given.

    Raises
    ------
    InputError
        If a weight is not finite, or too large for a float16.
    """
    path = Path(path)
    half = {}
    for name, tensor in tensors.items():
        small = tensor.detach().cpu()
        small = (small.half() if small.is_floating_point() else small).contiguous()
        if small.is_floating_point() and not bool(torch.isfinite(small).all()):
            raise InputError(f"weights {name!r} that are not finite as float16")
        half[name] = small
    write_shards(path, half, {CARD: json.dumps(card.as_dict())}, largest)
    put_text(path.with_suffix(".json"), json.dumps(card.as_dict(), indent=1) + "\n")
    return path


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Card]:
    """Weights as float32, and their card.

    Parameters
    ----------
    path : path
        The name of a network whose weights come with Isolux, or a file; any one of several that belong together.

    Raises
    ------
    InputError
        For a file that is not there, is not such weights, or is damaged; or a name of no weights.
    """
    place = _place(path)
    tensors, header = read_shards(place)
    try:
        found = json.loads(header[CARD])
    except (KeyError, ValueError):
        raise InputError(f"{place}: weights without a model card") from None
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    return floats, Card.of_dict(found)


def read_network(path: str | os.PathLike[str]) -> tuple[PolarNet | Pix2Prof, Card]:
    """A trained network, ready to read profiles, and its card.

    Parameters
    ----------
    path : path
        As for :func:`read_weights`: ``"polar"`` are the weights that come with Isolux.

    Raises
    ------
    InputError
        For a file that is not such weights, or whose tensors are not those of the network on its card.
    """
    tensors, card = read_weights(path)
    try:
        network = network_of(card)
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{path}: tensors do not fit the network on the card: {error}") from None
    return network.eval(), card


def ship(path: str | os.PathLike[str], folder: Path = SHIPPED) -> Path:
    """Put trained weights where those that come with Isolux are, their card with the ranges of the training.

    Parameters
    ----------
    path : path
        What ``isolux train profile`` has written; its card may be of before there were ranges.
    folder : Path
        Where to.
    """
    tensors, card = read_weights(path)
    return write_weights(folder / f"{card.network}{ENDING}", tensors, with_ranges(card))


def _place(path: str | os.PathLike[str]) -> Path:
    """The file that a path or the name of a network stands for."""
    name, there = os.fspath(path), shipped()
    if name in there:
        return there[name]
    if os.path.basename(name) != name or "." in name or os.path.exists(name):
        return Path(name).expanduser()
    listed = ", ".join(there) or "none"
    raise InputError(f"weights {name!r}: those that come with Isolux are: {listed}; or give a file")


class CheckpointFile:
    """A checkpoint in one file, for :func:`isolux.nets.train.train`.

    Parameters
    ----------
    path : path
        Of the file.
    setting : dict
        What the run is; a checkpoint of another run is refused.
    """

    def __init__(self, path: str | os.PathLike[str], setting: dict[str, Any]) -> None:
        self.path = Path(path)
        self.setting: dict[str, Any] = json.loads(json.dumps(setting))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and facts; None where there is no file.

        Raises
        ------
        InputError
            For a file that is no checkpoint, or one of another run.
        """
        if not self.path.exists():
            return None
        tensors, header = read_file(self.path)
        try:
            facts = json.loads(header[FACTS])
        except (KeyError, ValueError):
            raise InputError(f"{self.path}: not a checkpoint") from None
        before = facts.pop("setting", {})
        for name in sorted({*before, *self.setting}):
            if before.get(name) != self.setting.get(name):
                raise InputError(
                    f"{self.path}: a checkpoint of another run: {name}",
                    self.setting.get(name),
                    before.get(name),
                )
        return tensors, facts

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Replace the file."""
        write_file(self.path, tensors, {FACTS: json.dumps({**facts, "setting": self.setting})})
