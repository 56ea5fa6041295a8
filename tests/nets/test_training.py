"""The training loop, on a lesson with a known answer and on the real ones; checkpoints and weights in files."""

import ast
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from isolux.cli.app import app
from isolux.errors import InputError
from isolux.io.weights import CheckpointFile, read_network, read_weights, write_weights
from isolux.nets import Card, PolarNet, TrainOptions, Universe, train
from isolux.nets.calibrate import factor
from isolux.nets.polar_lesson import PolarLesson
from isolux.nets.profile_data import Lots

SOURCE = Path(__file__).parents[2] / "src" / "isolux"


class Line:
    """A line through points: y = 3 x - 1, with dropout, so that its seed is tested too."""

    def __init__(self, ends_at=None):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 1))
        self.ends_at = ends_at

    def batch(self, step):
        if step == self.ends_at:
            raise KeyboardInterrupt
        x = torch.rand(16, 1, generator=torch.Generator().manual_seed(step))
        return x, 3 * x - 1

    def loss(self, model, batch):
        return (model(batch[0]) - batch[1]).square().mean()

    def scores(self, model):
        assert not model.training
        x, y = self.batch(10**6)
        return {"score": float((model(x) - y).abs().mean())}


OPTIONS = TrainOptions(steps=60, rate=0.02, warm=5, validate_every=20)


def weights_of(run):
    return torch.cat([run.average[name].flatten() for name in sorted(run.average)])


def test_it_learns_and_tells(tmp_path):
    rows = []
    run = train(Line(), OPTIONS, CheckpointFile(tmp_path / "c", {}), rows.append)
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert run.score == min(row["score"] for row in rows) < 0.5
    assert rows[-1]["loss"] < rows[0]["loss"]


@pytest.mark.parametrize("ends_at", [1, 17, 40])
def test_a_run_in_pieces_gives_the_same_weights(tmp_path, ends_at):
    whole = train(Line(), OPTIONS, CheckpointFile(tmp_path / "whole", {}))
    part = train(Line(ends_at), OPTIONS, CheckpointFile(tmp_path / "parts", {}))
    assert part.step == ends_at
    rest = train(Line(), OPTIONS, CheckpointFile(tmp_path / "parts", {}))
    assert rest.step == 60
    assert torch.equal(weights_of(rest), weights_of(whole))
    assert rest.score == whole.score


def test_a_limit_of_time_ends_it(tmp_path):
    run = train(Line(), TrainOptions(steps=10**6, minutes=0.0), CheckpointFile(tmp_path / "c", {}))
    assert run.step == 0 or run.step < 10**6


def test_a_loss_that_is_not_finite_changes_nothing(tmp_path):
    lesson = Line()
    lesson.loss = lambda model, batch: model(batch[0]).sum() * torch.nan
    before = [p.clone() for p in lesson.model.parameters()]
    train(lesson, TrainOptions(steps=3, validate_every=100), CheckpointFile(tmp_path / "c", {}))
    assert all(torch.equal(a, b) for a, b in zip(before, lesson.model.parameters(), strict=True))


def test_the_rate_rises_and_falls():
    options = TrainOptions(steps=1000, rate=1.0, warm=100)
    rates = [options.rate_at(step) for step in (0, 50, 500, 1000)]
    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert rates[1] == pytest.approx(0.51, rel=0.02)
    assert rates[2] == pytest.approx(0.505, rel=0.01)
    assert rates[3] == pytest.approx(0.01)


def test_our_network_resumes_too(tmp_path):
    universe = Universe(("sdss",), size=48, lot=4)
    options = TrainOptions(steps=4, validate_every=4)
    runs = []
    for name, pieces in (("whole", (4,)), ("parts", (2, 4))):
        for until in pieces:
            with Lots(universe) as lots:
                lesson = PolarLesson(universe, lots, count=3, validation=3)
                stopped = lesson.batch

                def batch(step, until=until, own=stopped):
                    if step == until:
                        raise KeyboardInterrupt
                    return own(step)

                lesson.batch = batch
                run = train(lesson, options, CheckpointFile(tmp_path / name, {}))
        runs.append(run)
    assert runs[0].step == runs[1].step == 4
    assert torch.equal(weights_of(runs[0]), weights_of(runs[1]))


def test_checkpoints_of_another_run_are_refused(tmp_path):
    train(Line(), TrainOptions(steps=1), CheckpointFile(tmp_path / "c", {"seed": 1}))
    with pytest.raises(InputError, match="seed"):
        CheckpointFile(tmp_path / "c", {"seed": 2}).load()
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(InputError, match="safetensors"):
        CheckpointFile(tmp_path / "text", {}).load()


def test_weights_come_back_as_float16_with_their_card(tmp_path):
    network = PolarNet()
    card = Card("polar", {"passes": 2}, scores={"score": 0.1}, pixel_scale=(0.2,), limits=("a",))
    path = write_weights(tmp_path / "w.safetensors", network.state_dict(), card)
    assert path.stat().st_size < 16 << 20
    found, read = read_network(path)
    assert read == card
    for name, tensor in found.state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=1e-3, atol=1e-6)
    tensors, _ = read_weights(path)
    assert all(t.dtype == torch.float32 for t in tensors.values())


def test_weights_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="finite"):
        write_weights(tmp_path / "w", {"a": torch.tensor([1e30])}, Card("polar"))
    write_weights(tmp_path / "w", {"a": torch.ones(1)}, Card("polar"))
    with pytest.raises(InputError, match="do not fit"):
        read_network(tmp_path / "w")
    CheckpointFile(tmp_path / "c", {}).save({"a": torch.ones(1)}, {})
    with pytest.raises(InputError, match="card"):
        read_weights(tmp_path / "c")
    with pytest.raises(InputError):
        CheckpointFile(tmp_path / "w", {}).load()
    with pytest.raises(InputError):
        Card("polr")
    with pytest.raises(InputError):
        Card.of_dict({"network": "polar", "colour": 1})


def test_nothing_here_is_unpickled():
    for path in (*SOURCE.glob("nets/*.py"), SOURCE / "io" / "weights.py", SOURCE / "cli" / "train.py"):
        tree = ast.parse(path.read_text())
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        attributes = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        assert not names & {"pickle", "load"}, path
        assert not attributes & {"torch.load", "torch.save", "numpy.load", "np.load"}, path


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"rate": -1.0}, {"average": 2.0}, {"save_every": 300.0}, {"minutes": float("nan")}],
)
def test_training_that_cannot_be(wrong):
    with pytest.raises(InputError):
        TrainOptions(**wrong)


def test_factor_stretches_to_the_share():
    ratios = torch.linspace(0, 2, 2001)
    assert factor(ratios) == pytest.approx(1.365, abs=0.01)
    assert factor(ratios[:5]) == 1.0


def test_the_command_trains_resumes_and_writes(tmp_path):
    call = ["train", "profile", "--preset", "sdss", "--size", "48", "--batch", "3", "--validation", "4"]
    call += ["--validate-every", "2", "--out", str(tmp_path)]
    first = CliRunner().invoke(app, [*call, "--steps", "4", "--minutes", "0"])
    assert first.exit_code == 0, first.output
    done = CliRunner().invoke(app, [*call, "--steps", "4"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "polar.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    _, card = read_network(tmp_path / "polar.safetensors")
    assert card.training["steps_done"] == 4
    assert card.data["presets"] == ["sdss"]
    assert (tmp_path / "polar.png").stat().st_size > 1000
    other = CliRunner().invoke(app, [*call, "--steps", "5"])
    assert other.exit_code == 2
    assert "steps" in other.output


def test_any_sequence_of_a_table_can_be_learned(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    images = torch.rand(12, 32, 32, generator=torch.Generator().manual_seed(0)).tolist()
    labels = [[float(k), 2.0] for k in range(12)]
    names = [f"g{k // 2}" for k in range(12)]
    parquet.write_table(pa.table({"id": names, "image": images, "label": labels}), tmp_path / "t.parquet")
    call = ["train", "profile", "--network", "pix2prof", "--table", str(tmp_path / "t.parquet")]
    call += ["--share", "0.4", "--batch", "2", "--steps", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    network, card = read_network(tmp_path / "out" / "pix2prof.safetensors")
    assert card.data["rows"] == 12
    assert network.config.size == 32
    brighter = (100 * torch.tensor(images)).tolist()
    parquet.write_table(pa.table({"id": names, "image": brighter, "label": labels}), tmp_path / "t.parquet")
    other = CliRunner().invoke(app, call)  # another scaling than that of the checkpoint
    assert other.exit_code == 2
    assert "high" in other.output
    for wrong in (["--label", "nothing"], ["--network", "polar"], ["--share", "0.000001"]):
        assert CliRunner().invoke(app, [*call, *wrong]).exit_code == 2
