"""A scene: named components that together make the model image of a galaxy, and how their parameters are treated."""

from __future__ import annotations

import torch

from isolux.batch import Batch
from isolux.errors import InputError
from isolux.parameter_map import build_map
from isolux.parameters import PlacedParameter, Tied, column_names, given_number
from isolux.profiles.base import Profile
from isolux.renderer import Renderer
from isolux.types import Images, Values


class Scene:
    """Named components.

    Parameters
    ----------
    **components : Profile
        For example ``Scene(disc=Exponential(), bulge=Sersic(x=Tied("disc.x"), y=Tied("disc.y")), sky=FlatSky())``.

    Raises
    ------
    InputError
        If there is no component or one is not a profile.
    """

    def __init__(self, **components: Profile) -> None:
        if not components:
            raise InputError("a scene needs at least one component")
        for name, profile in components.items():
            if not isinstance(profile, Profile):
                hint = "write Sersic(), not Sersic" if isinstance(profile, type) else "it must be a profile"
                raise InputError(f"component {name!r}: {hint}", profile)
        self.components: dict[str, Profile] = components

    @property
    def parameters(self) -> tuple[PlacedParameter, ...]:
        """Every parameter with its full name, in catalogue order."""
        return tuple(
            PlacedParameter(f"{name}.{short}", parameter, setting)
            for name, profile in self.components.items()
            for short, (parameter, setting) in profile.settings.items()
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Full names of the columns of ``values``."""
        return column_names(self.parameters)

    def values(self, galaxies: int = 1) -> Values:
        """Parameter values (galaxy, parameter) from the numbers in the scene itself; tied ones are computed.

        Raises
        ------
        InputError
            Where a parameter has no number.
        """
        pieces = []
        for entry in self.parameters:
            value = given_number(entry.setting, galaxies)
            if isinstance(entry.setting, Tied):
                value = torch.full((galaxies,), torch.nan, dtype=torch.float64)
            elif value is None:
                if entry.parameter.default is None:
                    raise InputError(f"{entry.full_name} has no value: give one in the scene")
                value = torch.full((galaxies,), float(entry.parameter.default), dtype=torch.float64)
            pieces.append(value[:, None].expand(-1, entry.parameter.size) if value.ndim == 1 else value)
        values = torch.cat(pieces, 1)
        return build_map(self.parameters, values, torch.ones(galaxies)).complete(values)

    def images(self, batch: Batch, values: Values) -> Images:
        """Model images (galaxy, y, x) in the batch's unit, convolved, for values (galaxy, parameter)."""
        with torch.no_grad():
            return Renderer.of(self.components, batch).model(
                values.double(), torch.arange(len(values), device=values.device)
            )

    def component_images(self, batch: Batch, values: Values) -> dict[str, Images]:
        """The same for each component by itself, by name."""
        rows = torch.arange(len(values), device=values.device)
        with torch.no_grad():
            return {
                name: Renderer.of(self.components, batch, only=name).model(values.double(), rows)
                for name in self.components
            }

    def __repr__(self) -> str:
        return "Scene(" + ", ".join(f"{name}={profile!r}" for name, profile in self.components.items()) + ")"
