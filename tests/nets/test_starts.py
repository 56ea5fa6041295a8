"""Learned starting values: as good as moments untrained, symmetries, company, what is kept, when moments are used."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import isolux
from isolux import Column, Exponential, Fixed, FlatSky, King, PointSource, Scene, Sersic, Tied
from isolux.batch import Batch
from isolux.errors import InputError
from isolux.nets import Card
from isolux.nets.start_choice import least_chi2
from isolux.nets.start_use import learned_starts, start_network, start_priors
from isolux.nets.starts import NUMBERS, PLACE, SPREADS, Said, Seen, StartNet
from isolux.simulate import Observation, mock_stamps
from isolux.start import Starts
from isolux.status import Status

CARD = Card("starts")
ONE = Scene(galaxy=Sersic(), sky=FlatSky())
TWO = Scene(bulge=Sersic(), disc=Exponential(x=Tied("bulge.x"), y=Tied("bulge.y")), sky=FlatSky())
SMALL = Observation(size=64, psf_size=21)
N = 6


@pytest.fixture(scope="module")
def stamps():
    return mock_stamps(N, seed=2, observation=SMALL)


@pytest.fixture(scope="module")
def best(stamps):
    """What fits best: moments come as near to it as the truth does, so that only this is sure to be better."""
    return isolux.fit(stamps[0], ONE)


@pytest.fixture(scope="module")
def doubles():
    return mock_stamps(N, "bulge+disc", seed=3, observation=SMALL)


@pytest.fixture(scope="module")
def network():
    """Weights that say something else for every galaxy."""
    torch.manual_seed(1)
    made = StartNet()
    torch.nn.init.normal_(made.out.weight, std=0.05)
    return made.eval()


class Oracle:
    """In the place of a network: says what it is told, with an error."""

    def __init__(self, truth, error=0.01):
        e = 1 - truth["galaxy.axis_ratio"]
        angle = torch.deg2rad(2 * truth["galaxy.position_angle"])
        self.known = {
            "x": truth["galaxy.x"],
            "y": truth["galaxy.y"],
            "ln_radius": torch.log(truth["galaxy.effective_radius"]),
            "ln_index": torch.log(truth["galaxy.sersic_index"]),
            "e1": e * torch.cos(angle),
            "e2": e * torch.sin(angle),
        }
        self.flux = 10 ** (-0.4 * (truth["galaxy.magnitude"] - 22.5))
        self.error = error

    def __call__(self, seen: Seen) -> Said:
        mean = seen.base.clone()
        for name, values in self.known.items():
            mean[:, PLACE[name]] = values
        mean[:, PLACE["ln_flux"]] = torch.log(self.flux / seen.source.noise)
        return Said(mean, torch.full_like(mean, self.error))


def always(monkeypatch):
    """Take the network's values, whatever their chi-square."""
    monkeypatch.setattr(
        "isolux.nets.start_use._better", lambda batch, *_: torch.ones(len(batch), dtype=torch.bool)
    )


@pytest.mark.parametrize(
    "scene", [ONE, TWO, Scene(disc=Exponential()), Scene(galaxy=Sersic(sersic_index=4.0))]
)
def test_untrained_it_says_what_moments_say(scene, doubles, monkeypatch):
    always(monkeypatch)
    found = learned_starts(doubles[0], scene, StartNet().eval(), CARD)
    moments = Starts.by_moments(scene, doubles[0])
    assert bool(found.learned.all())
    assert found.estimated == moments.estimated
    # Float32 sums, and 0.596 for the scale radius of an exponential.
    torch.testing.assert_close(found.values, moments.values, rtol=1e-6, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_turns_the_answer(turns, network, stamps):
    batch = stamps[0]
    size = batch.shape[0]
    turned = dataclasses.replace(
        batch, **{n: torch.rot90(getattr(batch, n), turns, (1, 2)) for n in ("image", "sigma", "psf", "mask")}
    )
    # Moments look for the brightest pixel in every other one, and for radius and index on a grid: what is tested is
    # the network, which is shown the same estimate, turned.
    seen, other = Seen.of(batch), Seen.of(turned)
    base = rotated(seen.base, turns, size)
    frame = dataclasses.replace(
        other.frame, x=base[:, 0].float(), y=base[:, 1].float(), shape=base[:, 5:7].float()
    )
    other = dataclasses.replace(other, base=base, frame=frame)
    with torch.no_grad():
        one, two = network(seen), network(other)
    assert float((one.mean - seen.base).abs().max()) > 0.05
    # Float32: rings at 1e-5 of a pixel beside each other, and the sky of either.
    torch.testing.assert_close(two.mean, rotated(one.mean, turns, size), rtol=0, atol=2e-3)
    torch.testing.assert_close(two.spread, one.spread, rtol=2e-3, atol=0)


def rotated(mean, turns, size):
    """Numbers of images after torch.rot90: new[row, column] = old[column, size - 1 - row]."""
    mean = mean.clone()
    for _ in range(turns):
        x, y = mean[:, 0].clone(), mean[:, 1].clone()
        mean[:, 0], mean[:, 1] = y, size - 1 - x
        for name in ("e1", "e2", "bulge_e1", "bulge_e2", "disc_e1", "disc_e2"):
            mean[:, PLACE[name]] *= -1
    return mean


def test_units_drop_out(network, stamps, monkeypatch):
    always(monkeypatch)
    batch = stamps[0]
    factor = 1e-6
    scaled = dataclasses.replace(
        batch,
        image=batch.image * factor,
        sigma=batch.sigma * factor,
        zero_point=batch.zero_point + 2.5 * math.log10(factor),
        pixel_scale=batch.pixel_scale * 7,
    )
    one, other = (learned_starts(b, TWO, network, CARD) for b in (batch, scaled))
    sky = TWO.columns.index("sky.level")
    other.values[:, sky] /= factor
    torch.testing.assert_close(other.values, one.values, rtol=1e-3, atol=1e-3, equal_nan=True)
    assert not torch.allclose(one.values, Starts.by_moments(TWO, batch).values, equal_nan=True)


def test_company_makes_no_difference(network, stamps, monkeypatch):
    always(monkeypatch)
    batch = stamps[0]
    together = learned_starts(batch, ONE, network, CARD)
    alone = learned_starts(batch.select([3]), ONE, network, CARD)
    # Sums of a matrix product are split by the number of its rows: float32.
    torch.testing.assert_close(alone.values[0], together.values[3], rtol=1e-4, atol=1e-4)


def test_one_bad_galaxy_touches_no_other(network, stamps):
    batch = stamps[0]
    image = batch.image.numpy().copy()
    image[2] = np.nan
    given = {"sigma": batch.sigma.numpy(), "psf": batch.psf.numpy(), "zero_point": 22.5}
    good, bad = (Batch.from_arrays(i, **given) for i in (batch.image.numpy(), image))
    one, other = (learned_starts(b, ONE, network, CARD) for b in (good, bad))
    rows = [0, 1, 3, 4, 5]
    assert torch.equal(one.values[rows], other.values[rows])
    assert not bool(other.learned[2])
    result = isolux.fit(bad, ONE, start=other)
    assert result.status[2] == Status.MASKED_OUT
    assert bool(result.converged[rows].all())


def test_what_is_given_is_kept(network, stamps, monkeypatch):
    always(monkeypatch)
    batch, truth = stamps
    table = {
        "galaxy.x": truth["sersic.x"],
        "galaxy.y": truth["sersic.y"],
        "galaxy.magnitude": np.full(N, 17.0),
    }
    scene = Scene(galaxy=Sersic(sersic_index=4.0), sky=FlatSky(level=0.0))
    found = learned_starts(batch, scene, network, CARD, table)
    columns = dict(zip(found.columns, found.values.T, strict=True))
    for name, values in table.items():
        torch.testing.assert_close(columns[name], torch.from_numpy(values))
        assert not found.estimated[found.columns.index(name)]
    assert bool((columns["galaxy.sersic_index"] == 4).all())
    assert bool((columns["sky.level"] == 0).all())
    moments = Starts.by_moments(scene, batch, table).values[:, found.columns.index("galaxy.effective_radius")]
    assert not torch.allclose(columns["galaxy.effective_radius"], moments)


@pytest.mark.parametrize(
    "scene",
    [
        Scene(galaxy=King(), sky=FlatSky()),
        Scene(galaxy=Sersic(), nucleus=PointSource()),
        Scene(bulge=Sersic(), disc=Exponential(), bar=Sersic()),
        Scene(one=Sersic(x=20.0, y=20.0), two=Sersic(x=40.0, y=40.0)),
        Scene(sky=FlatSky()),
    ],
)
def test_other_scenes_begin_from_moments(scene, network, stamps):
    found = learned_starts(stamps[0], scene, network, CARD)
    assert not bool(found.learned.any())
    assert torch.equal(found.values, Starts.by_moments(scene, stamps[0]).values)


def test_a_poor_guess_is_noticed(stamps):
    """A network that is far off changes nothing at all."""
    poor = StartNet().eval()
    with torch.no_grad():
        poor.out.bias[PLACE["ln_radius"]] = 8.0
    found = learned_starts(stamps[0], ONE, poor, CARD)
    assert not bool(found.learned.any())
    one, other = (isolux.fit(stamps[0], ONE, start=s) for s in (found, None))
    assert torch.equal(one.values, other.values)


def test_a_good_guess_is_taken_and_an_unsure_one_is_not(stamps, best):
    batch = stamps[0]
    found = learned_starts(batch, ONE, Oracle(best), CARD)
    assert bool(found.learned.all())
    k = found.columns.index("galaxy.effective_radius")
    assert bool((found.spread[found.learned][:, k] == 0.01).all())
    assert not bool(learned_starts(batch, ONE, Oracle(best, error=3.0), CARD).learned.any())
    assert not bool(learned_starts(batch, ONE, Oracle(best, error=math.nan), CARD).learned.any())
    fitted = isolux.fit(batch, ONE, start=found)
    assert bool(fitted.converged.all())
    # Only the sky is still that of the edge.
    assert float(fitted.steps.double().mean()) < float(best.steps.double().mean())


def test_without_a_psf_moments_are_used(network, stamps):
    batch = dataclasses.replace(stamps[0], psf=None)
    assert not bool(learned_starts(batch, ONE, network, CARD).learned.any())


@pytest.mark.parametrize("size", [12, 300])
def test_stamps_of_any_size(size, network):
    """Stamps above 256 pixels are binned for the network; what it says is in the image's own pixels."""
    look = Observation(size=size, psf_size=21)
    batch, _ = mock_stamps(2, seed=4, observation=look)
    found = learned_starts(batch, ONE, StartNet().eval(), CARD)
    assert torch.equal(found.values[:, :2], Starts.by_moments(ONE, batch).values[:, :2])
    assert bool(torch.isfinite(network(Seen.of(batch)).mean).all())


def test_masked_empty_and_dark_stamps(network):
    batch = Batch.from_arrays(
        np.zeros((3, 32, 32)),
        sigma=np.ones((3, 32, 32)),
        mask=np.stack([np.ones((32, 32), bool), np.zeros((32, 32), bool), np.zeros((32, 32), bool)]),
        psf=np.pad([[1.0]], 3) * 0.5 + 0.5 / 49,
        zero_point=22.5,
    )
    batch = dataclasses.replace(batch, image=batch.image - torch.tensor([0, 0, 5.0])[:, None, None])
    found = learned_starts(batch, ONE, network, CARD)
    assert bool(torch.isfinite(found.values[1:]).all())
    assert not bool(found.learned[0])


def test_starts_belong_to_a_scene_and_a_batch(stamps):
    batch = stamps[0]
    found = Starts.by_moments(ONE, batch)
    with pytest.raises(InputError, match="another scene"):
        isolux.fit(batch, TWO, start=found)
    with pytest.raises(InputError, match="another batch"):
        isolux.fit(batch.select([0, 1]), ONE, start=found)
    assert torch.equal(isolux.fit(batch, ONE, start=found).values, isolux.fit(batch, ONE).values)


def test_estimates_beyond_their_bounds_are_moved_inside(stamps):
    """What an image says may lie outside; what a user says may not."""
    found = Starts.by_moments(ONE, stamps[0])
    found.values[:, found.columns.index("galaxy.sersic_index")] = 50.0
    assert bool(isolux.fit(stamps[0], ONE, start=found).converged.all())
    mine = isolux.fit(stamps[0], ONE, start={"galaxy.sersic_index": np.full(N, 50.0)})
    assert set(mine.status) == {Status.BAD_START}


def test_priors_shrink_errors_as_they_must(stamps, best):
    """The inverse covariance is that of the data and that of the priors added: a diagonal in log10 of radii."""
    batch = stamps[0]
    found = learned_starts(batch, ONE, Oracle(best, error=0.02), CARD)
    rows = torch.nonzero(found.learned)[:, 0]
    plain = isolux.fit(batch, ONE, start=found)
    held = isolux.fit(batch, ONE, start=found, priors=start_priors(found, ONE))
    names = [entry.full_name for entry in ONE.parameters if entry.full_name != "galaxy.boxiness"]
    place = [ONE.columns.index(name) for name in names]
    for row in rows.tolist():
        data = torch.linalg.inv(plain.covariance[row][place][:, place])
        width = found.spread[row, place].clone()
        for k, name in enumerate(names):
            if name in ("galaxy.effective_radius", "galaxy.sersic_index"):
                width[k] *= held.values[row, place[k]]
        prior = torch.diag(torch.where(torch.isfinite(width), width**-2, 0.0))
        wanted = torch.linalg.inv(data + prior).diagonal().sqrt()
        # The best fit moves a little, and the curvature with it.
        torch.testing.assert_close(held.errors[row, place], wanted, rtol=0.1, atol=0)
        assert bool((held.errors[row, place] <= plain.errors[row, place] * 1.02).all())


def test_priors_of_galaxies_begun_from_moments_are_none(stamps, best):
    batch = stamps[0]
    found = learned_starts(batch, ONE, Oracle(best), CARD)
    found = dataclasses.replace(found, spread=found.spread.clone())
    found.spread[0] = torch.nan
    priors = {p.on: p for p in start_priors(found, ONE, factor=1.5)}
    assert len(priors) == 7
    assert math.isinf(priors["galaxy.x"].width[0])
    assert priors["galaxy.x"].width[1] == pytest.approx(0.015)
    assert priors["galaxy.effective_radius"].dex[1] == pytest.approx(0.015 / math.log(10))
    for wrong in (0.0, math.nan, -1.0):
        with pytest.raises(InputError, match="factor"):
            start_priors(found, ONE, factor=wrong)
    with pytest.raises(InputError, match="another scene"):
        start_priors(found, TWO)
    with pytest.raises(InputError, match="without errors"):
        start_priors(Starts.by_moments(ONE, batch), ONE)


def test_weights_are_checked(stamps):
    with pytest.raises(InputError, match="starts"):
        learned_starts(stamps[0], ONE, StartNet(), Card("polar"))
    with pytest.raises(InputError, match="do not fit"):
        start_network({"out.bias": torch.zeros(3)}, CARD)
    for wrong in ([1.0], [0.0] * len(SPREADS), [math.nan] * len(SPREADS)):
        with pytest.raises(InputError, match="stretch"):
            StartNet(wrong)
    made = start_network(StartNet().state_dict(), Card("starts", {"stretch": [2.0] * len(SPREADS)}))
    with torch.no_grad():
        one, other = (n(Seen.of(stamps[0])).spread for n in (made, StartNet().eval()))
    torch.testing.assert_close(one, 2 * other)
    assert one.shape == (N, len(NUMBERS))


def test_the_least_chi2_is_that_of_a_fit_of_fluxes_and_sky(doubles):
    """Levenberg-Marquardt with all else fixed finds the same."""
    batch = doubles[0]
    starts = Starts.by_moments(TWO, batch)
    found = least_chi2(batch, TWO, starts, [starts.values])[0]
    table = dict(zip(starts.columns, starts.values.T, strict=True))
    held = {
        part: {
            short: Fixed(Column(f"{part}.{short}"))
            for short in TWO.components[part].settings
            if short not in ("magnitude", "boxiness")
        }
        for part in ("bulge", "disc")
    }
    for axis in ("x", "y"):
        table[f"disc.{axis}"] = table[f"bulge.{axis}"]
    scene = Scene(bulge=Sersic(**held["bulge"]), disc=Exponential(**held["disc"]), sky=FlatSky())
    given = {
        name: values
        for name, values in table.items()
        if not name.endswith(("boxiness", "magnitude", "level"))
    }
    fitted = isolux.fit(batch, scene, start=given, errors="none")
    # 0.01 is the solver's tolerance; factors are bounded by 4.
    inside = found <= fitted.chi2 + 1.0
    assert bool((found >= fitted.chi2 - 0.05).all())
    assert int(inside.sum()) >= N - 1
