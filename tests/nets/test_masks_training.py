"""Scenes for the mask network, their labels, the loss, the scores, and the command that trains it."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from isolux.cli import app
from isolux.io.weights import read_weights
from isolux.nets import mask_data, mask_scenes
from isolux.nets.mask_data import ASKED, FOUND, OTHER, SKY, THIS, mask_examples
from isolux.nets.mask_lesson import MaskLesson, centre_loss, centre_target, mask_loss
from isolux.nets.mask_read import mask_network
from isolux.nets.mask_scenes import Drawn, defects, draw_scene, half_light, star
from isolux.nets.mask_scores import contamination, mask_scores, overlap
from isolux.nets.masks import Answer
from isolux.nets.profile_data import Lots
from isolux.nets.profile_draw import Universe, draw_lot

UNIVERSE = Universe(("sdss", "euclid"), size=64, lot=8, seed=11)
SIDE = 64


@pytest.fixture(scope="module")
def lots():
    return [draw_lot((UNIVERSE, number)) for number in range(4)]


@pytest.fixture(scope="module")
def many(lots):
    return [mask_examples(lots, UNIVERSE, step, 16) for step in range(8)]


def always(patch, module, **settings):
    for name, value in settings.items():
        patch.setattr(module, name, value)


def right(truth):
    """The answer that is the truth."""
    labels = truth.labels()
    logits = 20 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 2).float()
    share = truth.own / (truth.own + truth.others).clamp_min(1e-6)
    target, _ = centre_target(truth.places, truth.strength, truth.own.shape[2:])
    heat = torch.where(target == 1, 10.0, -10.0)
    return Answer(logits, torch.logit(share, 1e-6), heat, torch.zeros(len(labels)))


def test_batches_are_the_same_every_time(lots):
    one, two = (mask_examples(lots, UNIVERSE, 3, 5) for _ in range(2))
    other = mask_examples(lots, UNIVERSE, 4, 5)
    assert torch.equal(one.batch.image, two.batch.image)
    assert torch.equal(one.at, two.at)
    assert torch.equal(one.own, two.own)
    assert not torch.equal(one.batch.image[0, :48, :48], other.batch.image[0, :48, :48])


def test_light_is_that_of_the_layers(lots):
    with pytest.MonkeyPatch.context() as patch:
        always(patch, mask_data, LEVEL=0.0, GRADIENT=0.0, SMOOTHED=0.0)
        always(patch, mask_scenes, BRIGHT=0.0)
        patch.setattr(
            mask_data, "defects", lambda side, *_: (torch.zeros(side, side), torch.zeros(side, side) > 1)
        )
        some = [mask_examples(lots, dataclasses.replace(UNIVERSE, seed=k), 0, 16) for k in range(6)]
    for examples in some:
        total = examples.own[:, 0] + examples.others[:, 0]
        torch.testing.assert_close(total, examples.own[:, 1] + examples.others[:, 1])
    # What is left is the noise; both are over the noise of the pixel, of which sources' photons are part.
    grain = torch.tensor([lot.grain for lot in lots]).repeat(4)[:, None, None]
    left = []
    for examples in some:
        over = examples.own[:, 0] + examples.others[:, 0]
        noise = 0.5 * (grain * over + torch.sqrt((grain * over) ** 2 + 4))
        good = ~examples.batch.mask
        left.append((examples.batch.image / noise - over)[good])
    left = torch.cat(left)
    assert float(left.mean()) == pytest.approx(0, abs=0.02)
    assert float(left.std()) == pytest.approx(1, abs=0.02)


def test_labels_go_by_light_over_the_noise():
    own = torch.tensor([0.0, 0.2, 0.4, 10.0, 10.0, 0.4, 0.0, 3.0])
    others = torch.tensor([0.2, 0.2, 0.2, 0.9, 1.1, 0.35, 0.35, 0.29])
    zero = torch.zeros(1)
    made = mask_data.MaskExamples(zero, zero, zero, own, others, zero, zero, zero)
    assert made.labels().tolist() == [SKY, SKY, THIS, THIS, OTHER, OTHER, OTHER, THIS]


def test_scenes_hold_all_kinds(many):
    labels = torch.cat([m.labels().flatten(1) for m in many])
    part = [float((labels == kind).float().mean()) for kind in (SKY, THIS, OTHER)]
    assert min(part) > 0.05
    empty = torch.cat([(m.own.flatten(2).amax(2) < 0.3) for m in many])
    assert 0 < int(empty[:, 0].sum()) < 0.35 * len(empty)
    assert all(bool(torch.isfinite(t).all()) for m in many for t in (m.own, m.others, m.batch.image, m.at))
    assert {bool(torch.isnan(w)) for m in many for w in m.width} == {True, False}


def test_places_are_on_the_source_that_is_asked_about(many):
    near = []
    for m in many:
        for own, at, radius in zip(m.own.flatten(0, 1), m.at.flatten(0, 1), m.radius.flatten(), strict=True):
            if float(own.max()) > 3:
                peak = np.unravel_index(int(own.argmax()), own.shape)
                away = math.hypot(float(at[0]) - peak[1], float(at[1]) - peak[0])
                near.append(away < 6 + float(radius))
    assert len(near) > 100
    assert (
        np.mean(near) > 0.93
    )  # the brightest pixel over the noise may be of a clump, and centres outside the stamp


def test_stamps_turn_with_their_places(lots):
    image = torch.arange(35.0).reshape(5, 7)[:5, :5]
    places = torch.tensor([[1.0, 3.0], [4.0, 0.0]])
    for turns in range(4):
        for flip in (False, True):
            turned = mask_data._turned(image, turns, flip)
            moved = mask_data._moved(places, 5, turns, flip).long()
            assert [float(turned[y, x]) for x, y in moved] == [float(image[3, 1]), float(image[0, 4])]


def test_half_light_of_a_disc():
    rows, columns = np.mgrid[:121, :121] - 60
    light = torch.from_numpy(np.exp(-np.hypot(rows, columns) / 8.0))
    assert half_light(light, 60, 60) == pytest.approx(1.678 * 8, abs=0.7)
    assert half_light(torch.zeros(9, 9), 4, 4) == 0


def test_stars_lie_where_they_are_said_to(lots):
    axis = torch.arange(SIDE)
    for x, y in ((30.0, 28.0), (31.4, 27.8), (25.5, 33.1)):
        light, *_ = star(lots[0], 100.0, x, y, SIDE)
        assert float((light.sum(0) * axis).sum() / light.sum()) == pytest.approx(x, abs=0.02)
        assert float((light.sum(1) * axis).sum() / light.sum()) == pytest.approx(y, abs=0.02)
    whole = float(star(lots[0], 100.0, 30.0, 28.0, SIDE)[0].sum())
    assert float(star(lots[0], 100.0, 31.4, 27.8, SIDE)[0].sum()) == pytest.approx(whole, rel=1e-3)
    assert float(star(lots[0], 100.0, -500.0, 27.8, SIDE)[0].sum()) == 0


def test_defects_add_what_they_say_they_do():
    rng = np.random.default_rng(0)
    light = torch.full((SIDE, SIDE), 5.0)
    kinds = {"ray": 0, "column": 0, "known": 0, "unknown": 0, "none": 0}
    for _ in range(300):
        added, known = defects(SIDE, light, rng)
        struck = added != 0
        kinds["none"] += not bool(struck.any())
        kinds["column"] += bool(struck.all(0).any() or struck.all(1).any())
        kinds["ray"] += bool((added > 7).any()) and int(struck.sum()) < SIDE
        kinds["known"] += bool(known.any())
        kinds["unknown"] += bool((struck & ~known).any())
    assert all(value > 3 for value in kinds.values())


def test_every_ingredient_can_be_drawn(lots):
    with pytest.MonkeyPatch.context() as patch:
        always(patch, mask_scenes, PAIR=1.0, SATELLITES=1.0, WINGS=1.0, BRIGHT=1.0, EMPTY=0.0, LARGE=2.0)
        for seed in range(12):
            drawn = draw_scene(lots[seed % 4], SIDE, np.random.default_rng(seed))
            assert isinstance(drawn, Drawn)
            assert bool(torch.isfinite(drawn.layers).all())
            assert bool((drawn.layers >= 0).all())
            assert len(drawn.layers) == len(drawn.x) == len(drawn.y) <= mask_scenes.MOST
            assert drawn.limit < math.inf


def test_where_a_source_is_lost_what_is_seen_there_is_meant():
    layers = torch.zeros(2, 40, 40)
    layers[0, 10, 10], layers[1, 8:13, 8:13] = 1.0, 500.0
    drawn = Drawn(layers, torch.tensor([10.0, 10.0]), torch.tensor([10.0, 10.0]))
    assert mask_data._dominant(drawn, 10.0, 10.0) == 1
    assert mask_data._dominant(drawn, 30.0, 20.0) == -1
    layers[1, 8:13, 8:40] = 2.0
    far = Drawn(layers, torch.tensor([10.0, 10.0]), torch.tensor([10.0, 24.0]))
    assert mask_data._dominant(far, 39.0, 10.0) == -1  # its wings


def test_overlap_and_contamination_are_their_definitions():
    found, truth = torch.zeros(2, 10, 10, dtype=torch.bool), torch.zeros(2, 10, 10, dtype=torch.bool)
    truth[0, :4], found[0, 2:6] = True, True
    assert overlap(found, truth).tolist() == [pytest.approx(20 / 60)]  # the second has no truth
    own, others = torch.full((1, 10, 10), 2.0), torch.zeros(1, 10, 10)
    others[0, 4, 4], others[0, 5, 5], others[0, 0, 0] = 30.0, 10.0, 999.0
    bad = torch.zeros(1, 10, 10, dtype=torch.bool)
    bad[0, 4, 4] = True
    at, radius = torch.tensor([[4.5, 4.5]]), torch.tensor([1.6])
    inside = sum((x - 4.5) ** 2 + (y - 4.5) ** 2 < 3.2**2 for x in range(10) for y in range(10))
    left, lost = contamination(bad, own, others, at, radius)
    assert float(left) == pytest.approx(10 / (2 * inside))
    assert float(lost) == pytest.approx(1 / inside)


def test_the_truth_has_the_best_scores_and_the_least_loss(many):
    truth = many[0]
    good = (~truth.batch.mask).float()
    best = right(truth)
    scores = mask_scores([best], [truth])
    for name, value in {"this": 1, "other": 1, "found": 1, "right": 1, "share": 0, "score": 0}.items():
        assert scores[name] == pytest.approx(value, abs=1e-3), name
    least = float(mask_loss(best, truth, good))
    for wrong in (
        dataclasses.replace(best, logits=best.logits.roll(1, 2)),
        dataclasses.replace(best, share=-best.share),
        dataclasses.replace(best, heat=-best.heat),
        dataclasses.replace(best, heat=best.heat.roll(5, 2)),
    ):
        assert float(mask_loss(wrong, truth, good)) > least + 0.1
    # What is said of bad pixels does not count.
    bad = truth.batch.mask[:, None, None].expand_as(best.logits)
    assert bool(bad.any())
    same = dataclasses.replace(best, logits=torch.where(bad, 7.0, best.logits))
    assert float(mask_loss(same, truth, good)) == pytest.approx(least)


def test_doubtful_sources_need_not_be_found(many):
    places = torch.tensor([[[10.0, 12.0], [30.0, 20.0], [torch.nan, torch.nan]]])
    strength = torch.tensor([[50.0, 0.7 * FOUND, 0.0]])
    target, counts = centre_target(places, strength, (40, 50))
    assert (target == 1).nonzero().tolist() == [[0, 12, 10]]
    assert float(counts[0, 20, 30]) == 0
    assert float(counts[0, 30, 30]) == 1
    truth = dataclasses.replace(many[0], places=places, strength=strength)
    good = torch.ones(1, 40, 50)
    heat = torch.where(target == 1, 8.0, -8.0)
    with_it = heat.clone()
    with_it[0, 20, 30] = 8.0
    assert float(centre_loss(with_it, truth, good)) == pytest.approx(float(centre_loss(heat, truth, good)))
    with_it[0, 35, 40] = 8.0
    assert float(centre_loss(with_it, truth, good)) > float(centre_loss(heat, truth, good)) + 1


def test_the_network_learns_a_batch(lots):
    with Lots(UNIVERSE) as here:
        lesson = MaskLesson(UNIVERSE, here, count=4, validation=0)
        lesson.lots.kept = dict(enumerate(lots))
        adam = torch.optim.Adam(lesson.model.parameters(), 3e-3)
        truth = mask_examples(lots, UNIVERSE, 1, 4, SIDE)
        losses = []
        for _ in range(12):
            loss = lesson.loss(lesson.model.train(), truth)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]
    assert float((lesson.model.seen_mean != 0).float().mean()) > 0.9
    assert truth.at.shape == (4, ASKED, 2)


def test_the_command_trains_resumes_and_writes(tmp_path):
    call = ["train", "masks", "--preset", "sdss", "--size", "48", "--batch", "2", "--validation", "2"]
    call += ["--validate-every", "1", "--out", str(tmp_path)]
    first = CliRunner().invoke(app, [*call, "--steps", "2", "--minutes", "0"])
    assert first.exit_code == 0, first.output
    done = CliRunner().invoke(app, [*call, "--steps", "2"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "masks.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    tensors, card = read_weights(tmp_path / "masks.safetensors")
    assert mask_network(tensors, card)
    assert card.data["presets"] == ["sdss"]
    assert "psf_fwhm" in card.ranges
    assert card.scores["unlike"] > 0
    assert CliRunner().invoke(app, ["train", "masks", "--preset", "sds"]).exit_code == 2
