"""Every profile of the library keeps the contract, and a profile that breaks it is found out."""

import pytest
import torch

from isolux.errors import InputError
from isolux.parameters import Parameter
from isolux.profiles import (
    PROFILES,
    FlatSky,
    PixelGrid,
    PointSource,
    Profile,
    RadialProfile,
    Spline,
    profile_named,
)
from isolux.testing import check_profile

LENGTH = Parameter("length", "pixel", "half length", 0.1, 500.0, log=True)
VARIANTS = [PixelGrid((5, 40), box=(3.5, -2.0, 30.0, 25.0), interpolation="nearest"), Spline(4, 2.0, 50.0)]


@pytest.mark.parametrize("profile", [*PROFILES, *VARIANTS], ids=repr)
def test_profile_keeps_the_contract(profile):
    check_profile(profile)


class Bar(RadialProfile):
    """A profile without closed forms, and nothing wrong with it."""

    parameters = (LENGTH,)

    def brightness(self, r, length):
        return torch.exp(-((r / length) ** 4))


class WithoutALength(RadialProfile):
    """Its numerical total has no size to go by."""

    parameters = (Parameter("power", "", "exponent", 1.0, 4.0),)

    def brightness(self, r, power):
        return torch.exp(-((r / 5) ** power))


class Mixing(Bar):
    parameters = (LENGTH,)

    def brightness(self, r, length):
        return torch.exp(-((r / length.mean()) ** 4))


class Negative(Bar):
    parameters = (LENGTH,)

    def brightness(self, r, length):
        return super().brightness(r, length) - 0.01 * super().brightness(r, 2 * length)


class OverflowsInSinglePrecision(Bar):
    parameters = (LENGTH,)

    def brightness(self, r, length):
        return super().brightness(r, length) * r**8 / (r**8 + 1e-8 * length**8)


class NotFiniteAtAnEdge(Bar):
    parameters = (LENGTH,)

    def brightness(self, r, length):
        return torch.where(r < length, torch.sqrt(1 - r / length), torch.zeros_like(r))


class WrongSlope(Bar):
    def slopes(self, r, shape, wanted):
        f, by_radius, maps = super().slopes(r, shape, wanted)
        return f, 1.00001 * by_radius, maps


class WrongBrightnessInSlopes(Bar):
    def slopes(self, r, shape, wanted):
        f, by_radius, maps = super().slopes(r, shape, wanted)
        return 1.001 * f, by_radius, maps


class WrongTotal(Bar):
    def total(self, **shape):
        return 1.001 * super().total(**shape)


class TotalIsNaN(Bar):
    def total(self, **shape):
        return super().total(**shape) * torch.nan


class RoundsBadly(Bar):
    parameters = (LENGTH,)

    def brightness(self, r, length):
        return (super().brightness(r, length) + 1e4) - 1e4 + 0 * r


class BadDefault(Bar):
    parameters = (Parameter("length", "pixel", "half length", 0.1, 500.0, default=1000.0),)

    def brightness(self, r, length):
        return super().brightness(r, length)


class Forgetful(Bar):
    def __deepcopy__(self, memo):
        return Bar(length=3.0)


FAULTS = {
    Mixing: "in a batch",
    Negative: "negative",
    OverflowsInSinglePrecision: r"not finite at r = .*float32",
    NotFiniteAtAnEdge: "reverse-mode gradient for length is not finite",
    WrongSlope: "slope for r disagrees",
    WrongBrightnessInSlopes: "another brightness",
    WrongTotal: "total is",
    TotalIsNaN: "total is nan",
    RoundsBadly: "float32|disagrees|negative",
    BadDefault: "default",
    Forgetful: "deep copy",
}


def test_profile_without_closed_forms_passes():
    check_profile(Bar)
    check_profile(Bar(length=7.0, boxiness=0.3))
    check_profile(WithoutALength)


@pytest.mark.parametrize("profile", FAULTS, ids=lambda profile: profile.__name__)
def test_fault_is_found(profile):
    with pytest.raises(AssertionError, match=rf"{profile.__name__}.*({FAULTS[profile]})"):
        check_profile(profile)


def test_declaration_and_brightness_must_name_the_same_parameters():
    with pytest.raises(TypeError, match="brightness takes"):

        class Wrong(RadialProfile):
            parameters = (LENGTH,)

            def brightness(self, r, size):
                return torch.exp(-r / size)


def test_names_of_the_command_line():
    assert {profile_named(profile.__name__) for profile in PROFILES} == set(PROFILES)
    assert profile_named("point") is PointSource
    assert profile_named("Sky") is FlatSky
    assert profile_named("plane-sky").__name__ == "PlaneSky"
    with pytest.raises(InputError, match="did you mean 'sersic'"):
        profile_named("sersik")


@pytest.mark.parametrize("profile", PROFILES)
def test_class_says_what_it_is(profile: type[Profile]):
    assert profile.__doc__
    for parameter in profile.parameters:
        assert parameter.meaning
        assert parameter.lower < parameter.upper
