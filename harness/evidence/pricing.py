"""What a matrix of cells will take, of time, memory and disk, from what cells like them took. (no torch)

The log of what a cell takes is linear in the logs of its text, parameters and batch, with an offset for its kind (a
suite and a role) and one for its plugin: Bayesian regression (Gelman et al. 2013, 14.2) with wide priors, so that a
plugin that was never measured takes what the others do, with an interval that says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..store import CellResult
from .statistics.student import Estimate

if TYPE_CHECKING:
    from numpy import ndarray

KIND, PLUGIN = 5.0, 0.7                     # prior deviations of the offsets, in logs: a plugin within a factor of two
NOISE = 0.3                                 # prior guess of the deviation of a cell
DRAWS = 2000


@dataclass(frozen=True)
class Quantity:
    """Something that a cell takes: `of` a finished one, 0 where that is not told."""

    of: Callable[[CellResult], float]
    slopes: tuple[tuple[float, float], ...]     # prior mean and deviation: of text, parameters, tokens of a batch
    largest: bool = False                       # cells one after the other take what the largest takes, not the sum


def kind_of_cell(cell: Mapping[str, Any]) -> str:
    """ "perplexity/score": what cells are priced together."""
    return "/".join(filter(None, [cell["suite"], cell["protocol"].get("role", "")]))


def prices(
    recorded: Iterable[CellResult], cells: Sequence[Mapping[str, Any]], quantity: Quantity | None = None, seed: int = 0,
) -> dict[str, Estimate | None]:
    """What cells, as `Cell.record()` has them, will take of a `quantity`, seconds by default, by kind: together, or the
    largest of them, with a 95 % interval; `n` is of how many recorded cells that rests. None for a kind of which
    nothing is recorded."""
    import numpy as np

    quantity = quantity or SECONDS
    known = [(result.cell, took) for result in recorded if (took := quantity.of(result))]
    kinds = list(dict.fromkeys(kind_of_cell(cell) for cell, _ in known))
    wanted = [cell for cell in cells if kind_of_cell(cell) in kinds]
    found: dict[str, Estimate | None] = {kind_of_cell(cell): None for cell in cells}
    if not wanted:
        return found
    plugins = list(dict.fromkeys(str(cell["plugin"]) for cell in [*(cell for cell, _ in known), *wanted]))
    measured = np.array([_features(cell, kinds, plugins) for cell, _ in known])
    drawn = _coefficients(
        measured, np.log([took for _, took in known]), quantity.slopes, len(kinds), len(plugins), seed)
    logs = np.array([_features(cell, kinds, plugins) for cell in wanted]) @ drawn[:-1]          # (cells, draws)
    noise = np.random.default_rng(seed + 1).normal(size=logs.shape) * drawn[-1]
    each = np.exp(np.clip(logs + noise, -20, 40))
    for kind in kinds:
        own = [index for index, cell in enumerate(wanted) if kind_of_cell(cell) == kind]
        if own:
            total = each[own].max(0) if quantity.largest else each[own].sum(0)
            low, middle, high = np.quantile(total, [0.025, 0.5, 0.975])
            count = sum(kind_of_cell(cell) == kind for cell, _ in known)
            found[kind] = Estimate(float(middle), float(low), float(high), count)
    return found


def seconds_of(result: CellResult) -> float:
    """What a finished cell took; 0 for one that failed, or does not tell."""
    return max((row.wall_s or 0.0 for row in result.rows), default=0.0) if result.ok else 0.0


def memory_of(result: CellResult) -> float:
    """The highest peak that a finished cell tells, in bytes; 0 for none."""
    return max((row.value or 0.0 for row in result.rows if row.unit == "B" and row.metric.startswith("peak")),
               default=0.0) if result.ok else 0.0


SECONDS = Quantity(seconds_of, ((1.0, 0.5), (0.5, 0.5), (0.5, 0.5)))
MEMORY = Quantity(memory_of, ((0.0, 0.3), (0.5, 0.5), (0.7, 0.5)), largest=True)


def disk(bytes_of: Mapping[str, float]) -> Quantity:
    """Bytes on disk, where `bytes_of` has those of finished cells by their ids: a cell's file and its weights."""
    return Quantity(lambda result: bytes_of.get(result.id, 0.0), ((0.0, 0.3), (0.7, 0.5), (0.0, 0.3)))


def _features(cell: Mapping[str, Any], kinds: Sequence[str], plugins: Sequence[str]) -> list[float]:
    amounts = (cell["protocol"].get("budget_bytes") or 1, cell["params"] or 1,
               (cell["seq_len"] or 1) * (cell["batch_size"] or 1))
    return [*(math.log(amount) for amount in amounts), *(float(kind == kind_of_cell(cell)) for kind in kinds),
            *(float(plugin == cell["plugin"]) for plugin in plugins)]


def _coefficients(
    features: ndarray, logs: ndarray, slopes: Sequence[tuple[float, float]], kinds: int, plugins: int, seed: int,
) -> ndarray:
    """Draws from what the recorded cells leave open, the deviation of a cell in the last row. (features + 1, draws)"""
    import numpy as np

    mean = np.array([slope for slope, _ in slopes] + [0.0] * (kinds + plugins))
    prior = np.diag(1 / np.array([width for _, width in slopes] + [KIND] * kinds + [PLUGIN] * plugins)**2)
    deviation, centre = NOISE, mean
    for _ in range(5):                                      # the noise that the fit leaves, with one guess counted in
        precision = prior + features.T @ features / deviation**2
        centre = np.linalg.solve(precision, prior @ mean + features.T @ logs / deviation**2)
        left = logs - features @ centre
        deviation = math.sqrt((NOISE**2 + float(left @ left)) / (1 + len(logs)))
    generator = np.random.default_rng(seed)
    root = np.linalg.cholesky(np.linalg.inv(precision))
    drawn = centre[:, None] + root @ generator.normal(size=(len(mean), DRAWS))
    return np.vstack([drawn, np.full(DRAWS, deviation)])
