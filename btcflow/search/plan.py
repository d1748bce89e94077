"""The question a search asks: everything its asked parameter sets depend on, except how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from btcflow.errors import ConfigError, UnknownName
from btcflow.search.space import Space

__all__ = ["DIRECTIONS", "SAMPLERS", "Direction", "Plan", "Sampler"]

Sampler = Literal["tpe", "random", "grid", "nsga2"]
Direction = Literal["maximize", "minimize"]
SAMPLERS: tuple[Sampler, ...] = ("tpe", "random", "grid", "nsga2")
DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A space and how it is searched; raises :class:`ConfigError` for what cannot be done."""

    space: Space
    sampler: Sampler
    seed: int
    batch: int
    direction: Direction

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise UnknownName("sampler", str(self.sampler), SAMPLERS)
        problems = [*_whole("batch", self.batch, least=1), *_whole("seed", self.seed, least=0)]
        if self.direction not in DIRECTIONS:
            problems.append(f"search.direction is {self.direction!r}; expected 'maximize' or 'minimize'")
        if problems:
            raise ConfigError(problems)

    def total(self, trials: int | None) -> int:
        """Count the trials the search makes; a grid makes all its sets or is refused."""
        problems = [] if trials is None else _whole("trials", trials, least=1)
        if trials is None and self.sampler != "grid":
            problems = [f"search.trials is missing; expected how many sets {self.sampler} may try"]
        if not problems and self.sampler == "grid" and trials is not None and trials < self.space.size:
            problems = [
                f"search.trials is {trials:,}; the grid holds {self.space.size:,} sets: allow as many, "
                "coarsen an axis, or use the sampler 'random' or 'tpe'"
            ]
        if problems:
            raise ConfigError(problems)
        return self.space.size if trials is None or self.sampler == "grid" else trials

    def written(self) -> dict[str, Any]:
        """Return the plan as a journal keeps it."""
        return {
            "space": self.space.model_dump(mode="json"),
            "sampler": self.sampler,
            "seed": self.seed,
            "batch": self.batch,
            "direction": self.direction,
        }

    def batch_seed(self, batches: int) -> int:
        """Return the sampler's seed for the next batch, from the plan's seed and the finished batches."""
        import numpy as np

        return int(np.random.SeedSequence(self.seed, spawn_key=(batches,)).generate_state(1)[0])


def _whole(name: str, value: object, *, least: int) -> list[str]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return []
    return [f"search.{name} is {value!r}; expected a whole number, {least} or more"]
