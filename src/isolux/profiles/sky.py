r"""The sky under a galaxy: a level, or a plane (equations 16 and D.1 of Chen et al. 2024).

    I(x, y) = I_sky                                          FlatSky
    I(x, y) = I_sky + k_x (x - x_0) + k_y (y - y_0)          PlaneSky

(x_0, y_0) is the centre of the stamp, so that the level is the mean over the stamp whatever the gradient. No
PSF blurs the sky.
"""

from collections.abc import Mapping

import torch

from isolux.parameters import Parameter
from isolux.profiles.base import ImageProfile
from isolux.types import Points, Tensor

LEVEL = Parameter("level", "flux/pixel2", "sky at the centre of the stamp", guess="sky")
GRADIENT_X = Parameter("gradient_x", "flux/pixel3", "change of the sky a column", default=0.0, step=0.01)
GRADIENT_Y = Parameter("gradient_y", "flux/pixel3", "change of the sky a row", default=0.0, step=0.01)


class FlatSky(ImageProfile):
    """The same sky in every pixel."""

    parameters = (LEVEL,)
    convolved = False
    from_centre = True
    linear = True

    def brightness(self, x: Points, y: Points, level: Tensor) -> Points:
        """The level."""
        return level + torch.zeros_like(x)

    def slopes(
        self, x: Points, y: Points, values: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, dict[str, Tensor]]:
        """Closed forms."""
        f = self.brightness(x, y, **values)
        return f, {"level": torch.ones_like(f)} if "level" in wanted else {}


class PlaneSky(ImageProfile):
    """A sky that changes evenly across the stamp."""

    parameters = (LEVEL, GRADIENT_X, GRADIENT_Y)
    convolved = False
    from_centre = True
    linear = True

    def brightness(
        self, x: Points, y: Points, level: Tensor, gradient_x: Tensor, gradient_y: Tensor
    ) -> Points:
        """I_sky + k_x (x - x_0) + k_y (y - y_0)."""
        return level + gradient_x * x + gradient_y * y

    def slopes(
        self, x: Points, y: Points, values: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, dict[str, Tensor]]:
        """Closed forms."""
        f = self.brightness(x, y, **values)
        maps = {"level": torch.ones_like(f), "gradient_x": x.expand_as(f), "gradient_y": y.expand_as(f)}
        return f, {name: maps[name] for name in maps if name in wanted}
