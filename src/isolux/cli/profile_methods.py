"""The methods of ``isolux profile``: isophotes that are fitted, or a network that reads them off the image."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from isolux.batch import Batch
from isolux.cli.declare import given_of
from isolux.cli.profile_arguments import IsophoteArguments, NetworkArguments, PlaneArguments, ProfileBands
from isolux.errors import InputError, unknown_name
from isolux.io.shards import checksum
from isolux.io.weights import read_network, shipped
from isolux.isophotes.colours import Colours, forced
from isolux.isophotes.measure import measure_isophotes
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.profiles import Isophotes
from isolux.nets.card import Card
from isolux.nets.pix2prof import Pix2Prof
from isolux.nets.profile import PolarNet
from isolux.nets.read import read_profiles

METHODS = ("isophotes", "polar", "pix2prof")
OF_NETWORKS = ("step", "levels")
"""Options of isophotes that networks take too."""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Profiles of a batch, and the colours where there are several bands."""

    profiles: Isophotes
    colours: Colours | None = None

    @property
    def others(self) -> dict[str, Isophotes]:
        """Profiles of the other bands."""
        return {} if self.colours is None else dict(list(self.colours.bands.items())[1:])


class Method(ABC):
    """Makes profiles of batches."""

    @abstractmethod
    def setting(self) -> dict[str, Any]:
        """All that decides over what comes out, as JSON can hold it."""

    @abstractmethod
    def one(self, batch: Batch) -> Isophotes:
        """Profiles of a batch in the first band."""

    @abstractmethod
    def colours(self, first: Isophotes, batches: dict[str, Batch]) -> Colours:
        """Profiles of all bands along the isophotes of the first."""

    def measure(self, batches: dict[str, Batch]) -> Found:
        """Profiles of a batch; what is unexpected in one galaxy costs no other its profile."""
        first = self._safely(next(iter(batches.values())))
        return Found(first, self.colours(first, batches) if len(batches) > 1 else None)

    def _safely(self, batch: Batch) -> Isophotes:
        try:
            return self.one(batch)
        except InputError:
            raise
        except Exception as error:
            if len(batch) == 1:
                return self.one(batch.blanked(f"galaxy {batch.id[0]}: {type(error).__name__}: {error}"))
        half = len(batch) // 2
        parts = (batch.select(range(half)), batch.select(range(half, len(batch))))
        return Isophotes.concatenate([self._safely(part) for part in parts])


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted(Method):
    """Isophotes by :func:`isolux.isophotes.measure_isophotes`."""

    options: IsophoteOptions

    def setting(self) -> dict[str, Any]:
        """Its options."""
        return {"method": "isophotes", **dataclasses.asdict(self.options)}

    def one(self, batch: Batch) -> Isophotes:
        """Profiles of a batch."""
        return measure_isophotes(batch, self.options)

    def colours(self, first: Isophotes, batches: dict[str, Batch]) -> Colours:
        """The first band as it is, the others forced."""
        name, *others = batches
        return Colours({name: first} | {n: forced(first, batches[n], self.options) for n in others})


@dataclasses.dataclass(frozen=True, eq=False)
class Read(Method):
    """Profiles by :func:`isolux.nets.read_profiles`; colours are measured along the shapes that it gives."""

    network: PolarNet | Pix2Prof
    card: Card
    step: float | None = None
    levels: tuple[float, ...] = ()

    def setting(self) -> dict[str, Any]:
        """Its weights and options."""
        weights = checksum(self.network.state_dict())
        return {"method": self.card.network, "weights": weights, "step": self.step, "levels": self.levels}

    def one(self, batch: Batch) -> Isophotes:
        """Profiles of a batch."""
        return read_profiles(batch, self.network, self.card, step=self.step, levels=self.levels)

    def colours(self, first: Isophotes, batches: dict[str, Batch]) -> Colours:
        """All bands forced."""
        # Both bands of a colour are measured in the same way: what a network says of one is not its ring's mean.
        options = IsophoteOptions(step=self.step)
        return Colours({name: forced(first, batch, options) for name, batch in batches.items()})


def method_of(
    name: str, how: IsophoteArguments, networks: NetworkArguments, planes: PlaneArguments, bands: ProfileBands
) -> Method:
    """The method that the options ask for.

    Raises
    ------
    InputError
        If there is none of that name, or the options do not go together.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    if name == "isophotes":
        if networks.weights is not None:
            raise InputError("--weights are of networks: give --method polar or pix2prof with them")
        return Fitted(how.options())
    given = given_of(how)
    for option in given:
        if option not in OF_NETWORKS:
            raise InputError(f"--{option.replace('_', '-')} is of isophotes: {name} does not take it")
    network, card = _weights(name, networks.weights)
    if name == "pix2prof":
        _check_pix2prof(card, planes, bands)
    return Read(network, card, given.get("step"), tuple(given.get("levels", ())))


def _weights(name: str, path: Path | None) -> tuple[PolarNet | Pix2Prof, Card]:
    if path is None and name not in shipped():
        raise InputError(
            f"no weights of {name} come with this Isolux: train them, and give them with --weights"
        )
    network, card = read_network(name if path is None else path)
    if card.network != name:
        raise InputError(f"{path}: weights for --method", card.network, name)
    return network, card


def _check_pix2prof(card: Card, planes: PlaneArguments, bands: ProfileBands) -> None:
    if bands.band:
        raise InputError(
            "--band needs isophotes to measure along, and pix2prof says no shapes: give --method polar or isophotes, "
            "or read each band by itself"
        )
    if card.zero_point is not None and planes.zero_point is None:
        raise InputError(
            f"pix2prof reads images of zero point {card.zero_point:g} and converts others: say that of yours with "
            "--zero-point"
        )
