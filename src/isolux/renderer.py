"""Model images and their derivatives: components on the canvas of a batch.

The way of the light:

    radial profiles    maps on the grid + the transform of the core   (radial, core)
    image profiles     I(x, y) on the grid
         -> transformed, point sources added as a phase
         -> one multiplication by the PSF's transform                  (psf)
         -> cut to the stamp -> + components that no PSF blurs (sky)

A derivative by a magnitude is a multiple of the component's image, one by the position is the image's slope, and
those by shape and flux share terms. So images are kept as a :class:`Design`: few maps, and how to mix them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch

from isolux import radial
from isolux.batch import Batch
from isolux.errors import unknown_name
from isolux.profiles.base import ImageProfile, PointProfile, Profile, RadialProfile
from isolux.psf import Canvas, make_canvas
from isolux.radial import LN10_04
from isolux.types import Images, Maps, Rows, Tensor, Values


@dataclasses.dataclass(frozen=True)
class _Part:
    """A component, and where its parameters stand among the columns."""

    profile: Profile
    columns: Mapping[str, slice]


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A component's maps before the PSF.

    Attributes
    ----------
    maps : Tensor
        (row, map, y, x) on the canvas times ``fineness``; (row, map, ky, kx) if ``transformed``; on the stamp if no
        PSF blurs them.
    mix : dict
        Parameter -> {number of the map: coefficient (row,)}.
    model : dict
        The same for the model itself.
    """

    part: _Part
    maps: Tensor
    mix: dict[str, dict[int, Tensor]]
    model: dict[int, Tensor]
    transformed: bool = False
    fineness: int = 1

    @property
    def count(self) -> int:
        """Number of maps."""
        return self.maps.shape[1]

    def spectra(self, canvas: Canvas, rows: slice) -> Tensor:
        """Transforms (row, map, ky, kx) on a canvas of the maps of some rows."""
        if self.transformed:
            return self.maps[rows]
        return canvas.coarser(torch.fft.rfft2(self.maps[rows]), self.fineness)


@dataclasses.dataclass(frozen=True)
class Design:
    """Model images and their derivatives as mixtures of maps.

    The model is sum_k mix[0, k] maps[1 + k], its derivative for slot s is sum_k mix[1 + s, k] maps[1 + k].

    Attributes
    ----------
    maps : Tensor
        (row, 1 + map, y, x): room for an image, then the maps, weighted.
    mix : Tensor
        (row, 1 + slot, map), float64.
    """

    maps: Maps
    mix: Tensor

    def combined(self) -> Maps:
        """Model and derivatives (row, 1 + slot, y, x)."""
        return torch.einsum("rsk,rkyx->rsyx", self.mix.to(self.maps.dtype), self.maps[:, 1:])


@dataclasses.dataclass(frozen=True)
class Renderer:
    """A scene on the canvas of one batch.

    Attributes
    ----------
    parts : tuple
        The components that are drawn.
    canvas : Canvas
        Grid and PSF.
    zero_point : Tensor
        (galaxy,): AB magnitude of one image unit.
    centre : Tensor
        (galaxy, 2): x and y of the centre of each stamp, without its padding.
    """

    parts: tuple[_Part, ...]
    canvas: Canvas
    zero_point: Tensor
    centre: Tensor

    @classmethod
    def of(cls, components: Mapping[str, Profile], batch: Batch, only: str | None = None) -> Renderer:
        """The renderer of all components, or of one of them, for a batch."""
        if only is not None and only not in components:
            raise unknown_name("component", only, components)
        parts, start = [], 0
        for name, profile in components.items():
            columns = {}
            for short, (parameter, _) in profile.settings.items():
                columns[short] = slice(start, start + parameter.size)
                start += parameter.size
            if only in (None, name):
                parts.append(_Part(profile, columns))
        canvas = make_canvas(
            batch.psf,
            *batch.shape,
            batch.image,
            oversampling=batch.psf_oversampling,
            includes_pixel=batch.psf_includes_pixel,
        )
        centre = torch.tensor([batch.width, batch.height], dtype=torch.float64, device=batch.image.device).T
        return cls(tuple(parts), canvas, batch.zero_point.to(batch.image.device), (centre - 1) / 2)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the images."""
        return self.canvas.transform.real.dtype

    def model(self, values: Values, rows: Rows) -> Images:
        """Model images (row, y, x) of parameter values (row, parameter); differentiable."""
        size = (self.canvas.height, self.canvas.width)
        image = torch.zeros(len(rows), *size, dtype=self.dtype, device=rows.device)
        blurred: list[Tensor] = []
        for part in self.parts:
            layer = self._layer(part, values, rows, set())
            maps = layer.spectra(self.canvas, slice(None)) if part.profile.convolved else layer.maps
            for k, coefficient in layer.model.items():
                drawn = maps[:, k] * coefficient.to(self.dtype)[:, None, None]
                if part.profile.convolved:
                    blurred.append(drawn)
                else:
                    image = image + drawn
        if blurred:
            total = torch.stack(blurred).sum(0) if len(blurred) > 1 else blurred[0]
            image = image + self.canvas.to_stamp(total * self.canvas.psf_of(rows)[:, 0])
        return image

    def design(
        self, values: Values, rows: Rows, slots: Sequence[int | None], count: int, weight: Images
    ) -> Design:
        """Model and derivatives as mixtures of maps.

        Parameters
        ----------
        values : Tensor
            (row, parameter).
        rows : Tensor
            (row,): the galaxy of each row.
        slots : sequence
            For each parameter the slot that its derivative is added to, or None.
        count : int
            Number of slots.
        weight : Tensor
            (row, y, x): what the maps are multiplied by.
        """
        layers: list[_Layer] = []
        for part in sorted(self.parts, key=lambda part: not part.profile.convolved):
            wanted = {name for name, columns in part.columns.items() if slots[columns.start] is not None}
            layers.append(self._layer(part, values, rows, wanted))
        blurred = [layer for layer in layers if layer.part.profile.convolved]
        mixer = _Mixer(slots, count)
        first = [mixer.add(layer) for layer in blurred]
        moves = mixer.moves(blurred, first)
        end = mixer.count
        plain = {mixer.add(layer): layer for layer in layers[len(blurred) :]}
        size = (self.canvas.height, self.canvas.width)
        maps = torch.empty(len(rows), 1 + mixer.count, *size, dtype=self.dtype, device=rows.device)
        lot = len(rows) if rows.device.type == "cuda" else 1
        frequencies = self.canvas.frequencies()
        for start in range(0, len(rows) if blurred else 0, lot):
            some = slice(start, start + lot)
            drawn = self._blur(dict(zip(first, blurred, strict=True)), moves, rows, some, end, frequencies)
            torch.mul(drawn, weight[some, None], out=maps[some, 1 : 1 + end])
        for at, layer in plain.items():
            torch.mul(layer.maps, weight[:, None], out=maps[:, 1 + at : 1 + at + layer.count])
        return Design(maps, mixer.matrix(len(rows), rows.device))

    def _blur(
        self,
        layers: Mapping[int, _Layer],
        moves: Mapping[int, _Move],
        rows: Rows,
        some: slice,
        count: int,
        frequencies: tuple[Tensor, Tensor],
    ) -> Maps:
        """Maps on the stamp for some rows: of the layers that the PSF blurs, and the slopes of their light."""
        psf = self.canvas.psf_of(rows[some])
        spectra = torch.empty(len(rows[some]), count, *psf.shape[2:], dtype=psf.dtype, device=psf.device)
        for at, layer in layers.items():
            torch.mul(layer.spectra(self.canvas, some), psf, out=spectra[:, at : at + layer.count])
        ky, kx = frequencies
        for at, move in moves.items():
            wave = kx if move.axis == "x" else ky
            light = sum(
                spectra[:, place] * intensity[some].to(self.dtype)[:, None, None]
                for place, intensity in move.light
            )
            torch.mul(light, -1j * wave, out=spectra[:, at])
        return self.canvas.to_stamp(spectra)

    def _layer(self, part: _Part, values: Values, rows: Rows, wanted: set[str]) -> _Layer:
        named = {name: values[:, columns] for name, columns in part.columns.items()}
        match part.profile:
            case RadialProfile() as profile:
                zero_point = self.zero_point[rows, None]
                fineness = profile.grid_fineness
                canvas = self.canvas.finer(fineness)
                sheet = radial.draw(profile, named, wanted, zero_point, canvas, self.dtype)
                return _Layer(part, sheet.maps, sheet.mix, {0: sheet.intensity}, fineness=fineness)
            case PointProfile() as profile:
                return self._point(part, profile, named, wanted, rows)
            case ImageProfile() as profile:
                return self._plane(part, profile, named, wanted, rows)
        raise AssertionError(part.profile)

    def _point(
        self, part: _Part, profile: PointProfile, named: Mapping[str, Tensor], wanted: set[str], rows: Rows
    ) -> _Layer:
        wave = self.canvas.phase(named["x"], named["y"]) * self.canvas.oversampling**2
        amplitude = named[profile.amplitude]
        mix: dict[str, dict[int, Tensor]] = {}
        if profile.amplitude == "magnitude":
            amplitude = 10 ** (-0.4 * (amplitude - self.zero_point[rows, None]))
            slope = -LN10_04 * amplitude
        else:
            slope = torch.ones_like(amplitude)
        if profile.amplitude in wanted:
            mix[profile.amplitude] = {0: slope[:, 0]}
        return _Layer(part, wave[:, None], mix, {0: amplitude[:, 0]}, transformed=True)

    def _plane(
        self, part: _Part, profile: ImageProfile, named: Mapping[str, Tensor], wanted: set[str], rows: Rows
    ) -> _Layer:
        low = {name: value.to(self.dtype) for name, value in named.items()}
        size = self.canvas.size if profile.convolved else (self.canvas.height, self.canvas.width)
        if profile.convolved:
            x, y = self.canvas.points()
        else:
            y_axis, x_axis = (torch.arange(n, device=rows.device, dtype=self.dtype) for n in size)
            y, x = (grid.reshape(1, -1) for grid in torch.meshgrid(y_axis, x_axis, indexing="ij"))
        x, y = x.expand(len(rows), -1), y.expand(len(rows), -1)
        if profile.from_centre:
            centre = self.centre[rows].to(self.dtype)
            x, y = x - centre[:, :1], y - centre[:, 1:]
        drawn = set(named) if profile.linear else wanted
        if drawn:
            f, slopes = profile.slopes(x, y, low, drawn)
        else:
            f, slopes = profile.brightness(x, y, **low).expand_as(x), {}
        one = torch.ones(len(rows), dtype=torch.float64, device=rows.device)
        maps = list(slopes.values()) if profile.linear else [f, *slopes.values()]
        place = {name: len(maps) - len(slopes) + k for k, name in enumerate(slopes)}
        mix = {name: {place[name]: one} for name in wanted}
        model = {place[name]: named[name][:, 0] for name in slopes} if profile.linear else {0: one}
        return _Layer(part, torch.stack(maps, 1).unflatten(2, size), mix, model)


@dataclasses.dataclass(frozen=True)
class _Move:
    """The slope of light by position: along which axis, and the numbers and intensities (row,) of the maps it moves."""

    axis: str
    light: list[tuple[int, Tensor]]


class _Mixer:
    """Collects how the maps of all layers make up the model and its derivatives."""

    def __init__(self, slots: Sequence[int | None], count: int) -> None:
        self.slots, self.slot_count = slots, count
        self.count = 0
        self.entries: list[tuple[int, int, Tensor]] = []

    def add(self, layer: _Layer) -> int:
        """Number the maps of a layer; the number of the first."""
        first = self.count
        self.count += layer.count
        self.entries += [(0, first + k, coefficient) for k, coefficient in layer.model.items()]
        for name, terms in layer.mix.items():
            slot = self.slots[layer.part.columns[name].start]
            assert slot is not None
            self.entries += [(1 + slot, first + k, coefficient) for k, coefficient in terms.items()]
        return first

    def moves(self, layers: Sequence[_Layer], first: Sequence[int]) -> dict[int, _Move]:
        """A map for each slot of a position, by its number."""
        by_slot: dict[int, _Move] = {}
        for layer, at in zip(layers, first, strict=True):
            if isinstance(layer.part.profile, ImageProfile):
                continue
            for axis in ("x", "y"):
                slot = self.slots[layer.part.columns[axis].start]
                if slot is not None:
                    by_slot.setdefault(slot, _Move(axis, [])).light.append((at, layer.model[0]))
        moves = {}
        for slot, move in by_slot.items():
            moves[self.count] = move
            self.entries.append((1 + slot, self.count, torch.ones_like(move.light[0][1])))
            self.count += 1
        return moves

    def matrix(self, rows: int, device: torch.device) -> Tensor:
        """The mix (row, 1 + slot, map)."""
        mix = torch.zeros(rows, 1 + self.slot_count, self.count, dtype=torch.float64, device=device)
        for row, column, coefficient in self.entries:
            mix[:, row, column] += coefficient
        return mix
