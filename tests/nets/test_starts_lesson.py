"""What the network of starting values is taught: labels, losses, their minima, and that it can be ended and go on."""

import dataclasses
import math

import pytest
import torch
from typer.testing import CliRunner

from isolux.cli.app import app
from isolux.errors import InputError
from isolux.io.weights import CheckpointFile, read_weights
from isolux.nets import TrainOptions, Universe, train
from isolux.nets.profile_data import Lots
from isolux.nets.profile_draw import TRUTH, draw_lot
from isolux.nets.start_lesson import (
    LOSSES,
    StartLesson,
    chi2_loss,
    label_loss,
    stretches,
    typical,
    with_fits,
)
from isolux.nets.start_use import start_network
from isolux.nets.starts import NUMBERS, PLACE, SPREADS, Said

UNIVERSE = Universe(("sdss", "hsc"), size=64, lot=12, seed=3)
FEW = dataclasses.replace(UNIVERSE, size=48, lot=4)


@pytest.fixture(scope="module")
def lesson():
    with Lots(UNIVERSE) as lots:
        yield StartLesson(UNIVERSE, lots, count=48, validation=48)


@pytest.fixture(scope="module")
def example(lesson):
    return lesson.batch(0)


def labels_said(example, spread=0.01):
    """An answer that says the labels, where there are some."""
    mean = torch.where(torch.isfinite(example.wanted), example.wanted, example.seen.base)
    return Said(mean.clone(), typical(mean).expand_as(mean) * spread)


def test_labels_are_the_truth_or_a_fit_to_it():
    lot = draw_lot((UNIVERSE, 5))
    found = with_fits(lot).truth
    single = lot.truth[:, 0] == 0
    assert torch.equal(found[single, : len(TRUTH)].nan_to_num(), lot.truth[single].nan_to_num())
    fitted = found[:, [TRUTH.index(n) for n in ("ln_radius", "ln_index", "e1", "e2")]]
    assert bool(torch.isfinite(fitted).all())
    assert torch.equal(found[single, -1], lot.truth[single, 1])
    # The best single profile holds about the light that there is.
    assert float((found[:, -1] - found[:, 1]).abs().median()) < 0.2


def test_labels_are_near_what_moments_say(example):
    """In the same units: of bright single galaxies moments are off by a few per cent."""
    apart = (example.seen.base - example.wanted) / typical(example.wanted)
    for name in ("x", "y", "ln_flux", "ln_radius", "e1", "e2", "ln_both", "ln_disc_radius"):
        assert float(apart[:, PLACE[name]].abs().nanmedian()) < 3.0, name
    told = torch.isfinite(example.seen.given)
    assert bool(told.any())
    assert not bool(told.all())
    known = example.wanted[:, [PLACE["ln_index"], PLACE["ln_bulge_index"]]]
    there = told & torch.isfinite(known)
    torch.testing.assert_close(example.seen.given[there], known[there])


@pytest.mark.parametrize("kind", LOSSES)
def test_the_labels_are_the_least_loss(kind, example):
    said = labels_said(example)
    best = float(label_loss(said, example.wanted, kind))
    for name in NUMBERS:
        for sign in (-1, 1):
            moved = Said(said.mean.clone(), said.spread)
            moved.mean[:, PLACE[name]] += 0.02 * sign * typical(said.mean)[PLACE[name]]
            assert float(label_loss(moved, example.wanted, kind)) > best, name


def test_a_gaussian_error_is_learned():
    """Of misses of scatter s the likelihood is largest where s is said."""
    wanted = torch.randn(4000, len(NUMBERS), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = wanted * typical(wanted)
    mean = torch.zeros_like(wanted)
    losses = {
        s: float(label_loss(Said(mean, s * typical(mean).expand_as(mean)), wanted, "gaussian"))
        for s in (0.8, 1.0, 1.25)
    }
    assert losses[1.0] == min(losses.values())


def test_chi2_is_least_where_the_image_is_the_galaxys(example):
    right = chi2_loss(labels_said(example), example)
    base = chi2_loss(Said(example.seen.base, torch.ones_like(example.seen.base)), example)
    assert float(right) < float(base)
    mean = labels_said(example).mean.requires_grad_()
    chi2_loss(Said(mean, mean), example).backward()
    there = torch.isfinite(example.wanted[:, 0])
    assert bool(torch.isfinite(mean.grad).all())
    assert bool((mean.grad[there][:, PLACE["ln_radius"]] != 0).any())


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_teaches(kind, lesson, example):
    """Twenty steps on one batch."""
    torch.manual_seed(0)
    with Lots(FEW) as lots:
        own = StartLesson(FEW, lots, loss=kind, count=16, validation=0)
    adam = torch.optim.Adam(own.model.parameters(), lr=4e-3)
    losses = []
    for _ in range(20):
        loss = own.loss(own.model, example)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0] - 0.2
    # The index that is told is not guessed.
    said = own.model(example.seen)
    told = torch.isfinite(example.seen.given[:, 0])
    torch.testing.assert_close(said.mean[told, PLACE["ln_index"]], example.seen.given[told, 0])


def test_an_untrained_network_scores_as_moments(lesson):
    with torch.no_grad():
        found = lesson.scores(lesson.model.eval())
    # Shapes above 0.92 are bounded.
    assert found["over_moments"] == pytest.approx(1, abs=0.01)


def test_nothing_to_learn_is_no_loss(example):
    empty = dataclasses.replace(example, wanted=torch.full_like(example.wanted, torch.nan))
    said = labels_said(example)
    for kind in LOSSES:
        assert float(label_loss(said, empty.wanted, kind)) == 0
    assert float(chi2_loss(said, empty)) == 0


def test_errors_are_stretched_to_hold_their_share(lesson):
    factors = stretches(lesson.model.eval(), lesson.fixed)
    assert len(factors) == len(SPREADS)
    assert all(0 < factor < 100 for factor in factors)


def test_a_batch_is_a_function_of_its_number(lesson):
    with Lots(UNIVERSE) as lots:
        other = StartLesson(UNIVERSE, lots, count=48, validation=0)
        later = other.batch(9)
    lesson.batch(8)
    same = lesson.batch(9)
    assert torch.equal(same.wanted.nan_to_num(), later.wanted.nan_to_num())
    assert torch.equal(same.seen.frame.image, later.seen.frame.image)


def test_it_resumes(tmp_path):
    options = TrainOptions(steps=4, validate_every=4)
    runs = []
    for name, pieces in (("whole", (4,)), ("parts", (2, 4))):
        for until in pieces:
            with Lots(FEW) as lots:
                own = StartLesson(FEW, lots, loss="mse+chi2", count=4, validation=4)
                given = own.batch

                def batch(step, given=given, until=until):
                    if step == until:
                        raise KeyboardInterrupt
                    return given(step)

                own.batch = batch
                run = train(own, options, CheckpointFile(tmp_path / name, {}))
        runs.append(torch.cat([run.average[n].flatten() for n in sorted(run.average)]))
    assert torch.equal(*runs)


def test_an_unknown_loss():
    with Lots(UNIVERSE) as lots, pytest.raises(InputError, match="loss"):
        StartLesson(UNIVERSE, lots, loss="pinn")


def test_the_command_writes_weights_that_can_be_used(tmp_path, monkeypatch):
    monkeypatch.setattr("isolux.cli.train_starts.Universe", lambda *a: Universe(*a, lot=4))
    call = ["train", "starts", "--preset", "sdss", "--size", "48", "--batch", "3", "--validation", "4"]
    call += ["--steps", "2", "--loss", "mse", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    tensors, card = read_weights(tmp_path / "starts.safetensors")
    assert card.network == "starts"
    assert card.data["loss"] == "mse"
    assert set(card.ranges) == {"psf_fwhm", "radius", "brightness"}
    assert not start_network(tensors, card).training
    other = CliRunner().invoke(app, [*call, "--loss", "gaussian"])
    assert other.exit_code == 2
    wrong = CliRunner().invoke(app, [*call[:-4], "--loss", "pinn"])
    assert wrong.exit_code == 2
