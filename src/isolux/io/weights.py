"""Weights of networks in files: safetensors, of which nothing is ever executed, with their card in the header.

Weights that are shipped are float16; a checkpoint keeps what training needs as it is. Both are one file, which is there
whole or not at all, and holds a JSON text beside the tensors.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from isolux.errors import InputError
from isolux.io.safe_files import put_whole
from isolux.nets.card import Card
from isolux.nets.pix2prof import Pix2Prof
from isolux.nets.profile import PolarNet
from isolux.nets.read import network_of
from isolux.types import Tensor

CARD, FACTS = "isolux_card", "isolux_checkpoint"


def write_weights(path: str | os.PathLike[str], tensors: dict[str, Tensor], card: Card) -> Path:
    """Write weights as float16 with their card.

    Raises
    ------
    InputError
        If a weight is not finite, or too large for a float16.
    """
    half = {}
    for name, tensor in tensors.items():
        small = tensor.detach().cpu()
        small = (small.half() if small.is_floating_point() else small).contiguous()
        if small.is_floating_point() and not bool(torch.isfinite(small).all()):
            raise InputError(f"weights {name!r} that are not finite as float16")
        half[name] = small
    return _write(Path(path), half, {CARD: json.dumps(card.as_dict())})


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Card]:
    """Weights as float32, and their card.

    Raises
    ------
    InputError
        For a file that is not such weights.
    """
    tensors, header = _read(Path(path))
    try:
        found = json.loads(header[CARD])
    except (KeyError, ValueError):
        raise InputError(f"{path}: weights without a model card") from None
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    return floats, Card.of_dict(found)


def read_network(path: str | os.PathLike[str]) -> tuple[PolarNet | Pix2Prof, Card]:
    """A trained network, ready to read profiles, and its card.

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
        tensors, header = _read(self.path)
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
        _write(self.path, tensors, {FACTS: json.dumps({**facts, "setting": self.setting})})


def _write(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> Path:
    from safetensors.torch import save_file

    with put_whole(path) as temporary:
        save_file(tensors, temporary, header)
    return path


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file: {error}") from None
