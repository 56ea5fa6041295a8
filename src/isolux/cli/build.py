"""Run file and options together as the dataclasses of a run. An option wins over the run file."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from isolux.cli.arguments import FitArguments, ModelArguments, OutputArguments, StampArguments
from isolux.cli.declare import given_of
from isolux.cli.model import model_table
from isolux.errors import InputError
from isolux.io.runfile import RunFile, read_run_file, scene_from, solver_from
from isolux.io.source import StampSource
from isolux.options import RunOptions
from isolux.priors import Prior, prior_from
from isolux.scene import Scene
from isolux.solve import FirstOrder, LevenbergMarquardt

NOISE = {"sigma", "variance", "ivar"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """All that was given to ``isolux fit`` or ``isolux check``."""

    run_file: Path | None
    stamps: StampArguments
    model: ModelArguments
    fit: FitArguments
    output: OutputArguments

    def run(self) -> RunFile:
        """Stamps, model and options of the run.

        Raises
        ------
        InputError
            For the first thing that cannot be meant.
        """
        base = self.base()
        return RunFile(self.source(base), self.scene(base), self.options(base))

    def faults(self) -> tuple[RunFile | None, list[InputError]]:
        """The run if there is one, or else everything that cannot be meant."""
        found: list[InputError] = []

        def attempt(part: Callable[[], Any]) -> Any:
            try:
                return part()
            except InputError as error:
                found.append(error)

        base = attempt(self.base)
        if found:
            return None, found
        source, scene, options = (
            attempt(functools.partial(part, base)) for part in (self.source, self.scene, self.options)
        )
        return (None if found else RunFile(source, scene, options)), found

    def base(self) -> RunFile | None:
        """What the run file says."""
        return None if self.run_file is None else read_run_file(self.run_file)

    def source(self, base: RunFile | None) -> StampSource:
        """Where the stamps are."""
        given = self.stamps.fields()
        if base is None:
            if not {"image", "table"} & set(given):
                raise InputError(
                    "no stamps: give --image 'stamps/*_image.fits', say, or --table, or a run file"
                )
            return StampSource(**given)
        if NOISE & set(given):
            given = {**dict.fromkeys(NOISE), **given}
        return dataclasses.replace(base.source, **given)

    def scene(self, base: RunFile | None) -> Scene:
        """The model."""
        if base is None:
            return scene_from(model_table(self.model))
        if not given_of(self.model):
            return base.scene
        assert self.run_file is not None
        content = tomllib.loads(self.run_file.expanduser().read_text(encoding="utf-8"))
        return scene_from(model_table(self.model, content["model"]), self.run_file.expanduser().parent)

    def options(self, base: RunFile | None) -> RunOptions:
        """How to fit and what to write."""
        options = RunOptions() if base is None else base.options
        solver = self.solver(options.solver)
        if self.output.figures is not None and self.output.figures < 0:
            raise InputError("--figures", self.output.figures, "0 or more")
        given = {**self.fit.fields(), **self.output.fields()}
        if self.fit.draws is not None:
            given["sampler"] = dataclasses.replace(options.sampler, draws=self.fit.draws)
        return dataclasses.replace(options, solver=solver, priors=self.priors(options.priors), **given)

    def priors(self, others: Sequence[Prior]) -> tuple[Prior, ...]:
        """The priors that were asked for, and those of the others that are on something else."""
        given = [prior_from(text) for text in self.fit.prior or ()]
        return (*(prior for prior in others if prior.on not in [own.on for own in given]), *given)

    def solver(self, solver: LevenbergMarquardt | FirstOrder) -> LevenbergMarquardt | FirstOrder:
        """The solver that was asked for, or the given one, with the numbers that were asked for."""
        match self.fit.solver:
            case None:
                pass
            case "lm" | "LM" | "levenberg-marquardt":
                solver = LevenbergMarquardt()
            case name:
                solver = solver_from({"name": "first-order", "optimizer": name})
        steps = "iterations" if isinstance(solver, FirstOrder) else "max_steps"
        values: Mapping[str, Any] = {
            steps: self.fit.steps,
            "tolerance": self.fit.tolerance,
            "learning_rate": self.fit.learning_rate,
        }
        given = {name: value for name, value in values.items() if value is not None}
        if "learning_rate" in given and isinstance(solver, LevenbergMarquardt):
            raise InputError("--learning-rate is for an optimiser of torch.optim: give --solver Adam, say")
        return dataclasses.replace(solver, **given)
