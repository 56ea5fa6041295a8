"""A run from its plan to its rows: what is retried, given up, refused and gone on with."""

import dataclasses
import json
import os

import numpy as np
import pyarrow.parquet
import pytest
from distributed import Client, LocalCluster

from isolux.errors import InputError
from isolux.io.plan_files import PlanWriter, look_at, read_listing, read_plan
from isolux.io.rows import text_of
from isolux.io.run_folder import RunFolder
from isolux.survey import run as running
from isolux.survey.drive import RunStopped
from isolux.survey.options import SurveyOptions
from isolux.survey.run import survey
from isolux.survey.setup import SurveyRun
from isolux.survey.work import Fault, Job, chosen, do_part
from survey.stub_input import Stub


@pytest.fixture(scope="module")
def client():
    options = {"dashboard_address": None, "processes": False, "n_workers": 1, "threads_per_worker": 2}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(autouse=True)
def _in_this_process(client, monkeypatch):
    """Runs use the test's own cluster."""

    class Open:
        def __init__(self, options):
            pass

        def __enter__(self):
            return client

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(running, "open_cluster", Open)


def run_of(folder, source=None, **options):
    options = {"part_galaxies": 4, "retries": 1, **options}
    return SurveyRun(source or Stub(count=20), folder, survey=SurveyOptions(**options))


def squares(folder):
    rows = [row for piece in RunFolder(folder).rows() for row in piece.to_pylist()]
    return {row["id"]: row["square"] for row in rows}


def expected(count=20):
    return {f"g{n}": float(n * n) for n in range(count)}


def test_every_galaxy_is_measured_once_and_the_order_is_the_plans(tmp_path):
    done = survey(run_of(tmp_path / "run"))
    assert done.parts == len(done.plan) == 5
    assert [name for piece in done.folder.rows() for name in text_of(piece, "id")] == list(expected())
    assert squares(tmp_path / "run") == expected()
    assert [event["event"] for event in done.folder.events()] == ["began", "ended"]


def test_the_folder_of_parts_is_one_table_for_any_parquet_reader(tmp_path):
    survey(run_of(tmp_path / "run"))
    table = pyarrow.parquet.read_table(tmp_path / "run" / "parts")
    assert sorted(table["square"].to_pylist()) == sorted(expected().values())


def test_a_finished_run_is_not_measured_again(tmp_path):
    survey(run_of(tmp_path / "run"))
    before = {path: path.stat().st_mtime_ns for path in RunFolder(tmp_path / "run").part_files()}
    done = survey(run_of(tmp_path / "run"))
    assert done.before == 5
    assert {path: path.stat().st_mtime_ns for path in RunFolder(tmp_path / "run").part_files()} == before


@pytest.mark.parametrize("damage", ["no receipt", "no rows", "cut off", "changed", "receipt cut off"])
def test_only_what_is_missing_or_damaged_is_measured_again(tmp_path, damage):
    folder = RunFolder(tmp_path / "run")
    survey(run_of(folder.path))
    rows, receipt = folder.part_file(2), folder.receipt_file(2)
    untouched = folder.part_file(1).stat().st_mtime_ns
    if damage == "no receipt":
        receipt.unlink()
    elif damage == "no rows":
        rows.unlink()
    elif damage == "cut off":
        rows.write_bytes(rows.read_bytes()[:-10])
    elif damage == "changed":
        content = bytearray(rows.read_bytes())
        content[len(content) // 2] ^= 1
        rows.write_bytes(content)
    else:
        receipt.write_text(receipt.read_text()[:20])
    assert survey(run_of(folder.path)).before == 4
    assert squares(folder.path) == expected()
    assert folder.part_file(1).stat().st_mtime_ns == untouched


def test_a_part_that_fails_once_is_tried_again(tmp_path):
    source = Stub(count=20, faults=((6, "once-raise"),), memory=str(tmp_path))
    done = survey(run_of(tmp_path / "run", source))
    assert squares(tmp_path / "run") == expected()
    assert done.folder.done()[1].attempt == 2


def test_a_poison_galaxy_costs_its_own_row_alone(tmp_path):
    source = Stub(count=20, faults=((6, "raise"), (13, "raise")))
    done = survey(run_of(tmp_path / "run", source, retries=0))
    found = squares(tmp_path / "run")
    assert not done.quarantined
    assert np.isnan(found.pop("g6"))
    assert np.isnan(found.pop("g13"))
    assert found == {name: value for name, value in expected().items() if name not in ("g6", "g13")}
    assert "g6 was left out" in done.folder.done()[1].remarks[0]


def test_a_galaxy_that_ends_its_process_costs_its_own_row_alone(tmp_path):
    job = Job.of(tmp_path, Stub(count=8, faults=((5, "kill"),)), 0.0)
    with PlanWriter(tmp_path / "plan") as writer:
        for part in job.source.plan(8, 0):
            writer.add(part.listing, 0, "")
        writer.finish(look_at([], False))
    receipt = do_part(job, 0, 1, careful=True)
    assert receipt.status == {"converged": 7, "failed": 1}
    found = squares(tmp_path)
    assert np.isnan(found.pop("g5"))
    assert found == {name: value for name, value in expected(8).items() if name != "g5"}
    assert "SIGKILL" in receipt.remarks[0]


def test_a_part_of_poison_is_given_up_and_the_run_ends(tmp_path):
    source = Stub(count=60, faults=tuple((n, "raise") for n in range(20, 40)))
    done = survey(run_of(tmp_path / "run", source, part_galaxies=20, retries=0))
    assert [what.part for what in done.quarantined] == [1]
    assert "number 20 is bad" in " ".join(done.quarantined[0].attempts)
    assert set(squares(tmp_path / "run")) == {f"g{n}" for n in range(60) if not 20 <= n < 40}


def test_what_was_given_up_is_tried_again_when_the_run_goes_on(tmp_path):
    bad = Stub(count=60, faults=tuple((n, "raise") for n in range(20, 40)))
    survey(run_of(tmp_path / "run", bad, part_galaxies=20, retries=0))
    done = survey(run_of(tmp_path / "run", Stub(count=60), part_galaxies=20, retries=0))
    assert not done.quarantined
    assert squares(tmp_path / "run") == expected(60)


def test_a_full_disk_stops_the_run_and_it_goes_on_later(tmp_path):
    source = Stub(count=20, faults=((6, "once-full"),), memory=str(tmp_path))
    with pytest.raises(RunStopped, match="No space left"):
        survey(run_of(tmp_path / "run", source))
    assert not RunFolder(tmp_path / "run").quarantined()
    survey(run_of(tmp_path / "run", source))
    assert squares(tmp_path / "run") == expected()
    events = [event["event"] for event in RunFolder(tmp_path / "run").events()]
    assert events in (["began", "stopped", "resumed", "ended"], ["began", "stopped", "began", "ended"])


def test_a_disk_that_is_full_when_rows_are_written_stops_the_run(tmp_path, monkeypatch):
    def full(self, number, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_part", full)
    with pytest.raises(RunStopped, match="No space left"):
        survey(run_of(tmp_path / "run"))
    monkeypatch.undo()


def test_a_run_of_which_all_parts_fail_ends_early(tmp_path):
    source = Stub(count=2000, faults=tuple((n, "raise") for n in range(2000)))
    with pytest.raises(RunStopped, match=r"the first 2 parts all failed.*is bad"):
        survey(run_of(tmp_path / "run", source, part_galaxies=100, retries=0, stop_after=2))
    assert len(RunFolder(tmp_path / "run").quarantined()) <= 4


def files_in(folder, count=20):
    folder.mkdir()
    paths = [folder / f"{n}.fits" for n in range(count)]
    for path in paths:
        path.write_text("light")
    return tuple(map(str, paths))


def test_a_file_that_vanishes_gives_its_part_up_until_it_is_back(tmp_path):
    files = files_in(tmp_path / "in")
    source = Stub(count=20, files_of=files, faults=((0, "once-full"),), memory=str(tmp_path))
    with pytest.raises(RunStopped):
        survey(run_of(tmp_path / "run", source))
    known = os.stat(files[9])
    os.unlink(files[9])
    with pytest.raises(InputError, match=r"9\.fits: is gone"):
        survey(run_of(tmp_path / "run", source))
    done = survey(run_of(tmp_path / "run", source, input_check="none", retries=0))
    assert [what.part for what in done.quarantined] == [2]
    assert "9.fits: was there when the run was planned" in done.quarantined[0].reason
    (tmp_path / "in" / "9.fits").write_text("light")
    os.utime(files[9], ns=(known.st_atime_ns, known.st_mtime_ns))
    done = survey(run_of(tmp_path / "run", source))
    assert not done.quarantined
    assert squares(tmp_path / "run") == expected()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.write_text("more light"), "had 5 bytes, has 10"),
        (lambda f: os.utime(f, ns=(1, 1)), "written again"),
        (lambda f: f.unlink(), "is gone"),
    ],
)
def test_changed_files_are_refused_by_name(tmp_path, change, message):
    source = Stub(count=20, files_of=files_in(tmp_path / "in"))
    survey(run_of(tmp_path / "run", source))
    change(tmp_path / "in" / "3.fits")
    with pytest.raises(InputError, match=rf"3\.fits: .*{message}"):
        survey(run_of(tmp_path / "run", source))
    survey(run_of(tmp_path / "run", source, input_check="none"))


def test_checksums_see_what_times_do_not_and_forgive_copies(tmp_path):
    source = Stub(count=20, files_of=files_in(tmp_path / "in"))
    survey(run_of(tmp_path / "run", source, input_check="content"))
    os.utime(tmp_path / "in" / "3.fits", ns=(1, 1))
    survey(run_of(tmp_path / "run", source, input_check="content"))
    known = (tmp_path / "in" / "3.fits").stat()
    (tmp_path / "in" / "3.fits").write_text("dark!")
    os.utime(tmp_path / "in" / "3.fits", ns=(known.st_atime_ns, known.st_mtime_ns))
    with pytest.raises(InputError, match="other content"):
        survey(run_of(tmp_path / "run", source, input_check="content"))


def test_another_configuration_is_refused_with_the_difference(tmp_path):
    survey(run_of(tmp_path / "run"))
    with pytest.raises(InputError, match=r"input\.offset: was 0, is 1"):
        survey(run_of(tmp_path / "run", Stub(count=20, offset=1)))
    with pytest.raises(InputError, match=r"survey\.part_galaxies: was 4, is 5"):
        survey(run_of(tmp_path / "run", part_galaxies=5))
    survey(run_of(tmp_path / "run", Stub(count=20, offset=1)), overwrite=True)
    assert squares(tmp_path / "run")["g2"] == 5.0


def test_a_changed_listing_is_refused_with_the_difference(tmp_path):
    survey(run_of(tmp_path / "run"))

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Renamed(Stub):
        def plan(self, galaxies, pixels):
            for part in super().plan(galaxies, pixels):
                names = ["other" if name == "g6" else name for name in text_of(part.listing, "id")]
                column = part.listing.schema.field("id")
                yield dataclasses.replace(part, listing=part.listing.set_column(0, column, [names]))

    with pytest.raises(InputError, match="without g6"):
        survey(run_of(tmp_path / "run", Renamed(count=20)))


def test_resume_and_its_opposite_can_be_demanded(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        survey(run_of(tmp_path / "run"), resume=True)
    survey(run_of(tmp_path / "run"), resume=False)
    with pytest.raises(InputError, match="holds a run already"):
        survey(run_of(tmp_path / "run"), resume=False)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    with (
        RunFolder(tmp_path / "run").locked(),
        pytest.raises(InputError, match="another run is using this folder"),
    ):
        survey(run_of(tmp_path / "run"))


def test_ids_repeated_across_parts_are_refused(tmp_path):
    with PlanWriter(tmp_path / "plan") as writer:
        for part in Stub(count=8).plan(4, 0):
            writer.add(part.listing, 0, "")
        twice = next(iter(Stub(count=4).plan(4, 0)))
        writer.add(twice.rows(2, 3).listing, 0, "")
        with pytest.raises(InputError, match=r"more than one galaxy, in parts 0 and 2.*'g2'"):
            writer.finish(look_at([], False))


def test_an_input_without_galaxies_is_refused_and_leaves_no_run(tmp_path):
    with pytest.raises(InputError, match="no galaxies"):
        survey(run_of(tmp_path / "run", Stub(count=0)))
    assert not RunFolder(tmp_path / "run").exists()


def test_a_plan_comes_back_as_it_was_written(tmp_path):
    parts = list(Stub(count=1000).plan(3, 0))
    with PlanWriter(tmp_path / "plan") as writer:
        for part in parts:
            writer.add(part.listing, 7, part.place)
        plan = writer.finish(look_at([], False))
    again = read_plan(tmp_path / "plan")
    assert again.summary == plan.summary
    assert again.summary["galaxies"] == 1000
    for number in (0, 255, 256, 333):
        assert read_listing(tmp_path / "plan", number).equals(parts[number].listing)


def test_manifest_tells_what_the_run_is(tmp_path):
    survey(run_of(tmp_path / "run"))
    said = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert said["configuration"]["input.count"] == "20"
    assert {"isolux", "torch", "numpy", "distributed", "python"} <= set(said["versions"])
    assert said["plan"]["galaxies"] == 20


def test_a_folder_of_another_format_or_a_broken_manifest_is_refused(tmp_path):
    survey(run_of(tmp_path / "run"))
    manifest = tmp_path / "run" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(InputError, match="another format"):
        survey(run_of(tmp_path / "run"))
    manifest.write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read"):
        survey(run_of(tmp_path / "run"))


def test_a_share_of_the_names_is_chosen_by_the_name_alone():
    names = [f"g{n}" for n in range(4000)]
    some = chosen(names, 0.1)
    assert 300 < len(some) < 500  # five standard deviations of the binomial about 400
    assert chosen(names[1000:], 0.1) == {name for name in some if int(name[1:]) >= 1000}
    assert chosen(names, 2.0) == set(names)


def test_a_failure_says_whose_fault_it_is(tmp_path):
    job = Job.of(tmp_path, Stub(count=4, faults=((1, "raise"),)), 0.0)
    found = do_part(job, 0, 1)  # no plan is there
    assert found.fault is Fault.PART
    assert "listing-00000.parquet" in found.reason
    with PlanWriter(tmp_path / "plan") as writer:
        for part in job.source.plan(4, 0):
            writer.add(part.listing, 0, "")
        writer.finish(look_at([], False))
    found = do_part(job, 0, 1)
    assert found.fault is Fault.PART
    assert found.reason == "RuntimeError: number 1 is bad"
    assert "stub_input" in found.trace
