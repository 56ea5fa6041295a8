"""Images turned by 180 degrees about any point."""

from __future__ import annotations

import dataclasses

import torch

from isolux.types import Images, PerGalaxy, Rows, Tensor


@dataclasses.dataclass(frozen=True)
class Turner:
    """Images (galaxy, y, x) with a frame of zeros around them, ready to be turned by 180 degrees about any centre.

    The flat image read backwards is the image turned about its own middle; to turn about another centre is then to
    begin elsewhere, and to interpolate linearly between neighbours for the rest.
    """

    flat: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, image: Images) -> Turner:
        """The frame is as wide as the image, so that nothing wraps around."""
        rows, columns = image.shape[1:]
        framed = torch.nn.functional.pad(image.flip(1, 2), (columns + 1, 0, rows + 1, rows + 1))
        return cls(framed.flatten(1), (rows, columns))

    def about(self, x: PerGalaxy, y: PerGalaxy, galaxies: Rows | None = None) -> Images:
        """The images turned about (x, y); some of them, if their numbers are given."""
        rows, columns = self.shape
        wide = 2 * columns + 1
        (column, u), (row, v) = ((torch.floor(2 * at), 2 * at - torch.floor(2 * at)) for at in (x, y))
        column, row = column.clamp(-1, 2 * columns - 2), row.clamp(-1, 2 * rows - 2)
        start = (self.flat.shape[1] - 1) - ((row + rows + 2) * wide + column + 1)
        count = (rows + 1) * wide
        places = self.flat.unfold(1, count, 1)
        part = places[torch.arange(len(x), device=x.device) if galaxies is None else galaxies, start.long()]
        u, v = (t.to(part.dtype)[:, None, None] for t in (u, v))
        block = part.unflatten(1, (rows + 1, wide))[:, :, : columns + 1]
        across = torch.lerp(block[:, :, 1:], block[:, :, :-1], u)
        return torch.lerp(across[:, 1:], across[:, :-1], v)
