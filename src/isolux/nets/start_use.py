"""Starting values by a network, and by moments where these are the better ones.

The network knows one Sérsic galaxy, and a bulge with an exponential disc about one centre. A scene is matched with
what it knows: a component alone (a Sérsic profile of any or of a given index, an exponential, a Gaussian), or the
inner and the outer of two on one source, and flat or sloping sky; all other scenes begin from moments. What a table or
the scene gives is kept, and an index that is given is told to the network.

Nothing is taken on trust. Of each galaxy chi-square is computed with the network's values and with moments', one image
each (:mod:`isolux.nets.start_choice`), and the better ones begin the fit; moments do so, too, where the network calls
itself too uncertain, and where there is no PSF, since it has learned what galaxies are before one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.guess import SAME_PLACE, in_order
from isolux.nets.card import Card
from isolux.nets.start_choice import least_chi2
from isolux.nets.starts import PLACE, Said, Seen, StartNet
from isolux.parameters import Tied
from isolux.priors import GaussianPrior, LogNormalPrior, Prior
from isolux.profiles import Exponential, Gaussian, ImageProfile, Profile, Sersic
from isolux.scene import Scene
from isolux.start import Starts
from isolux.types import PerGalaxy, Tensor, Values

AT_ONCE, PIXELS_AT_ONCE = 128, 1 << 21
"""Galaxies that are looked at together, and their pixels."""
UNSURE = 1.0
"""Largest error of the logarithm of a radius with which a network is listened to."""
INDICES: dict[type[Profile], float] = {Exponential: 1.0, Gaussian: 0.5}
"""Sérsic indices of profiles that have none among their parameters."""
POGSON = 2.5 / math.log(10)
Component = tuple[str, str, tuple[str, str]]
"""Name of a component, of its radius among the network's numbers, and of its shape."""


def start_network(tensors: dict[str, Tensor], card: Card) -> StartNet:
    """The network of weights and their card, as :func:`isolux.io.weights.read_weights` gives them; to be used.

    Raises
    ------
    InputError
        For weights of another network, or of another shape.
    """
    _refuse(card)
    network = StartNet(**card.config)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"tensors do not fit the network on the card: {error}") from None
    return network.eval()


def _refuse(card: Card) -> None:
    if card.network != "starts":
        raise InputError("weights for starting values: network", card.network, "starts")


def learned_starts(
    batch: Batch, scene: Scene, network: StartNet, card: Card, table: Mapping[str, Any] | None = None
) -> Starts:
    """Starting values of a scene on a batch, for ``fit(batch, scene, start=...)``.

    Parameters
    ----------
    batch : Batch
        Stamps of any size.
    scene : Scene
        Of one component or of two on one source, with sky or without; others begin from moments.
    network : StartNet
        With trained weights, in evaluation mode.
    card : Card
        Of the weights.
    table : mapping, optional
        Starting values and columns as ``start`` of :func:`isolux.fit.fit`; they are kept.

    Returns
    -------
    Starts
        Its ``learned`` says whose values are the network's, ``spread`` how sure it is of them.

    Raises
    ------
    InputError
        For weights of another network, or a table that does not fit the scene.
    """
    _refuse(card)
    table = None if table is None else {n: table[n] for n in getattr(table, "colnames", None) or table}
    moments = Starts.by_moments(scene, batch, table)
    parts = components_of(scene)
    nobody = torch.zeros(len(batch), dtype=torch.bool, device=batch.image.device)
    at = _position(scene, moments, parts)
    if not parts or at is None:
        return dataclasses.replace(moments, learned=nobody)
    index = _indices(scene, moments, parts)
    values, spread, sure = moments.values.clone(), torch.full_like(moments.values, torch.nan), nobody.clone()
    size = max(1, min(AT_ONCE, PIXELS_AT_ONCE // (batch.shape[0] * batch.shape[1])))
    for first in range(0, len(batch), size):
        rows = list(range(first, min(first + size, len(batch))))
        some = batch.select(rows)
        with torch.inference_mode():
            seen = Seen.of(some, index[rows], None if not at else (at[0][rows], at[1][rows]))
            said = network(seen)
        for part in parts:
            for name, (value, error) in _numbers(scene, some, part, seen, said, len(parts) > 1).items():
                column = moments.columns.index(name)
                if moments.estimated[column]:
                    values[rows, column], spread[rows, column] = value.clone(), error.clone()
        sure[rows] = _sure(said, seen, parts).clone()
    learned = sure & batch.usable & torch.isfinite(values).eq(torch.isfinite(moments.values)).all(1)
    learned &= _better(batch, scene, moments, values)
    return dataclasses.replace(
        moments,
        values=torch.where(learned[:, None], values, moments.values),
        spread=torch.where(learned[:, None], spread, torch.nan),
        learned=learned,
    )


def start_priors(starts: Starts, scene: Scene, factor: float = 1.0) -> list[Prior]:
    """A network's errors as priors, one a parameter that it has estimated; none for galaxies begun from moments.

    They are what the network has read in the same pixels that are fitted: data used twice. They narrow what the pixels
    leave open (the index of a faint bulge), and then speak of the galaxies of the training; where the pixels decide,
    errors come out up to a root of two too small.

    Parameters
    ----------
    starts : Starts
        Of :func:`learned_starts`.
    scene : Scene
        Its scene.
    factor : float
        That the errors are multiplied by.

    Raises
    ------
    InputError
        If the starts are another scene's, know of no errors, or the factor is not positive.
    """
    if starts.columns != scene.columns:
        raise InputError("starting values of another scene: their columns are", ", ".join(starts.columns))
    if starts.spread is None:
        raise InputError("starting values without errors: those of learned_starts have them")
    if not (math.isfinite(factor) and factor > 0):
        raise InputError("factor of the errors of priors", factor, "above 0")
    found: list[Prior] = []
    for entry in scene.parameters:
        if entry.full_name not in starts.columns:
            continue
        column = starts.columns.index(entry.full_name)
        width, middle = starts.spread[:, column] * factor, starts.values[:, column]
        known = torch.isfinite(width)
        if not bool(known.any()) or not starts.estimated[column]:
            continue
        if entry.parameter.log:
            dex = torch.where(known, width / math.log(10), torch.inf)
            found.append(LogNormalPrior(entry.full_name, middle, dex))
        else:
            found.append(GaussianPrior(entry.full_name, middle, torch.where(known, width, torch.inf)))
    return found


def components_of(scene: Scene) -> list[Component]:
    """The components that the network's numbers are of: none, one, or the inner and the outer of two."""
    lit = {name: p for name, p in scene.components.items() if not isinstance(p, ImageProfile)}
    if not all(type(p) in (Sersic, *INDICES) for p in lit.values()):
        return []
    if len(lit) == 1:
        return [(next(iter(lit)), "ln_radius", ("e1", "e2"))]
    if len(lit) != 2:
        return []
    inner, outer = in_order(scene, *lit)
    if not isinstance(lit[inner], Sersic) or isinstance(lit[outer], Gaussian):
        return []
    return [
        (inner, "ln_bulge_radius", ("bulge_e1", "bulge_e2")),
        (outer, "ln_disc_radius", ("disc_e1", "disc_e2")),
    ]


def _position(
    scene: Scene, moments: Starts, parts: list[Component]
) -> tuple[PerGalaxy, PerGalaxy] | tuple[()] | None:
    """The given position of all components; empty where none is given, None where they are not in one place."""
    found: list[tuple[PerGalaxy, PerGalaxy] | None] = []
    for name, _, _ in parts:
        place = []
        for axis in ("x", "y"):
            column = _root(scene, f"{name}.{axis}")
            number = moments.columns.index(column)
            place.append(None if moments.estimated[number] else moments.values[:, number])
        if (place[0] is None) != (place[1] is None):
            return None
        found.append(None if place[0] is None or place[1] is None else (place[0], place[1]))
    if not found or all(place is None for place in found):
        return ()
    first, last = found[0], found[-1]
    if first is None or last is None or not bool(torch.isfinite(torch.stack(first)).all()):
        return None
    apart = torch.hypot(first[0] - last[0], first[1] - last[1])
    return first if bool((apart < SAME_PLACE).all()) else None


def _root(scene: Scene, name: str) -> str:
    """The parameter that one is tied to, through other ties; itself where it is not or by a formula."""
    settings = {entry.full_name: entry.setting for entry in scene.parameters}
    for _ in settings:
        setting = settings[name]
        if not (isinstance(setting, Tied) and setting.to in settings):
            break
        name = str(setting.to)
    return name


def _indices(scene: Scene, moments: Starts, parts: list[Component]) -> Tensor:
    """Logarithms (galaxy, 2) of the indices of the single galaxy and of the bulge where they are given, else NaN."""
    name = parts[0][0]
    profile = scene.components[name]
    found = torch.full_like(moments.values[:, :2], torch.nan)
    if type(profile) in INDICES:
        index = torch.full_like(found[:, 0], INDICES[type(profile)])
    else:
        column = moments.columns.index(f"{name}.sersic_index")
        index = moments.values[:, column]
        index = index if not moments.estimated[column] else torch.full_like(index, torch.nan)
    found[:, len(parts) - 1] = torch.where(index > 0, torch.log(index), torch.nan)
    return found


def _numbers(
    scene: Scene, batch: Batch, part: Component, seen: Seen, said: Said, double: bool
) -> dict[str, tuple[Tensor, Tensor]]:
    """Values and errors (galaxy,) of a component's parameters by full name."""
    name, size, pair = part
    profile = scene.components[name]
    mean, spread = ({k: t[:, at] for k, at in PLACE.items()} for t in (said.mean, said.spread))
    flux, wrong = _flux(mean, spread, size)
    flux = torch.exp(flux) * seen.source.noise
    one, two = (mean[axis] for axis in pair)
    e, error = torch.hypot(one, two), spread[pair[0]]
    turned = torch.rad2deg(error / (2 * e.clamp_min(1e-6)))
    found = {axis: (mean[axis], spread[axis]) for axis in ("x", "y")}
    found["axis_ratio"] = 1 - e, error
    found["position_angle"] = (
        torch.rad2deg(0.5 * torch.atan2(two, one)),
        torch.where(e > 2 * error, turned, torch.nan),
    )
    found["magnitude"] = batch.zero_point - POGSON * torch.log(flux), POGSON * wrong
    found["flux"] = flux, wrong * flux
    for short, (parameter, _) in profile.settings.items():
        if parameter.guess == "radius":
            found[short] = torch.exp(mean[size]) * parameter.guess_factor, spread[size]
    if size != "ln_disc_radius":
        index = "ln_bulge_index" if double else "ln_index"
        found["sersic_index"] = torch.exp(mean[index]), spread[index]
    return {f"{name}.{short}": found[short] for short in profile.settings if short in found}


def _flux(mean: Mapping[str, Tensor], spread: Mapping[str, Tensor], size: str) -> tuple[Tensor, Tensor]:
    """Logarithm of a component's flux in units of the noise, and its error."""
    if size == "ln_radius":
        return mean["ln_flux"], spread["ln_flux"]
    sign = 1 if size == "ln_bulge_radius" else -1
    share = torch.nn.functional.logsigmoid(sign * mean["logit_share"])
    error = (1 - torch.exp(share)) * spread["logit_share"]
    return mean["ln_both"] + share, torch.hypot(spread["ln_both"], error)


def _sure(said: Said, seen: Seen, parts: list[Component]) -> Tensor:
    """Where (galaxy,) the network is to be listened to."""
    radii = said.spread[:, [PLACE[size] for _, size, _ in parts]]
    finite = torch.isfinite(said.mean).all(1) & torch.isfinite(said.spread).all(1)
    return finite & (radii < UNSURE).all(1) & torch.isfinite(seen.frame.width)


def _better(batch: Batch, scene: Scene, moments: Starts, values: Values) -> Tensor:
    """Where (galaxy,) chi-square is lower with the values than with moments'."""
    own, theirs = least_chi2(batch, scene, moments, [values, moments.values])
    return own < theirs
