"""How much of a resource an architecture needs for the baseline's loss, as a multiple of the baseline's. (no torch)

A resource (operations, seconds, joules) that training takes is measured at every rung and modelled as k N^p D. Each
architecture goes its own cheapest way through sizes and budgets: with L - E = u + v, what parameters and what data
leave over, the cost k N^p D is least where u : v = p beta : alpha, so that

    log C(L) = c - (p / alpha + 1 / beta) log (L - E).

Bytes have no size to choose: there the cost is D at the largest size that both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...quantities import format_count
from ..statistics.student import Estimate
from .law import Law
from .point import NoLaw, Point
from .shared import Laws

if TYPE_CHECKING:
    from numpy import ndarray

FURTHEST = 10.0                             # times the largest common rung; nothing is told beyond


@dataclass(frozen=True)
class CostCurve:
    """log C(L) = `constant` - `slope` log(L - `floor`); arrays (1 + R,), the fit first."""

    constant: ndarray
    slope: ndarray
    floor: ndarray

    def log_cost(self, loss: Any) -> ndarray:
        """Infinite where the loss is never reached."""
        import numpy as np

        above = loss - self.floor
        return np.where(above > 0, self.constant - self.slope * np.log(np.where(above > 0, above, 1.0)), np.inf)

    def loss(self, log_cost: Any) -> Any:
        import numpy as np

        return self.floor + np.exp((self.constant - log_cost) / self.slope)


@dataclass(frozen=True)
class Multiplier:
    """`estimate` times the baseline's `cost` is what the plugin needs for `loss`; at `times` the largest common rung.

    `params` and `data`: where the cheapest way of the baseline, and of the plugin, passes at that loss.
    """

    plugin: str
    baseline: str
    corpus: str
    resource: str
    times: float
    loss: float
    cost: float
    estimate: Estimate
    params: tuple[float, float]
    data: tuple[float, float]


def multiplier(laws: Laws, plugin: str, corpus: str, resource: str = "flops", times: float = 1.0) -> Multiplier:
    """At the loss that both reach with what their largest rungs took, or at that which the baseline reaches with
    `times` as much. Raises ValueError beyond FURTHEST, NoLaw where the resource was not measured, or where the cheapest
    way to what both reach lies more than FURTHEST times from the sizes or the bytes that were."""
    import numpy as np

    if not 0 < times <= FURTHEST:
        raise ValueError(f"beyond {FURTHEST:g} times the largest rung nothing is extrapolated; {times:g} was asked for")
    baseline = laws.form.plugins[0]
    sides = (baseline, plugin)
    own = [[point for point in laws.points if (point.plugin, point.corpus) == (side, corpus)] for side in sides]
    for side, points in zip(sides, own, strict=True):
        if not points:
            raise NoLaw(f"no rung of {side} was measured on {corpus}")
    size = min(max(point.params for point in points) for points in own)
    curves = [cost_curve(laws, side, corpus, resource, size) for side in sides]
    reached = max(float(curve.loss(np.log(max(point.amount(resource) or 0.0 for point in points)))[0])
                  for curve, points in zip(curves, own, strict=True))
    log_cost = float(curves[0].log_cost(reached)[0]) + np.log(times)
    losses = curves[0].loss(log_cost)
    ways = [cheapest_way(laws, side, corpus, resource, size, losses[0]) for side in sides]
    if resource != "bytes":
        for side, points in zip(sides, own, strict=True):
            _within_reach(cheapest_way(laws, side, corpus, resource, size, reached), points, resource)
    with np.errstate(over="ignore"):
        ratio = np.exp(curves[1].log_cost(losses) - log_cost)
    return Multiplier(plugin, baseline, corpus, resource, times, float(losses[0]), float(np.exp(log_cost)),
                      laws.interval(ratio), *zip(*ways, strict=True))


def _within_reach(way: tuple[float, float], points: Sequence[Point], resource: str) -> None:
    """Raises NoLaw where the cheapest way of a plugin lies further from its rungs than may be extrapolated."""
    for amount, measured, unit in zip(way, ([point.params for point in points], [point.bytes for point in points]),
                                      (" parameters", "B of text"), strict=True):
        if not min(measured) / FURTHEST <= amount <= FURTHEST * max(measured):
            raise NoLaw(f"{resource} of {points[0].plugin} are least at {format_count(amount)}{unit}, more than "
                        f"{FURTHEST:g} times from all that was measured")


def cost_curve(laws: Laws, plugin: str, corpus: str, resource: str, size: float) -> CostCurve:
    """Of the cheapest way; of bytes at that `size`."""
    import numpy as np

    law = laws.law(plugin, corpus)
    if resource == "bytes":
        return CostCurve(np.log(law.B) / law.beta, 1 / law.beta, law.E + law.A / size**law.alpha)
    k, p = resource_model(laws, plugin, resource)
    share = _of_parameters(law, p)
    constant = k + p / law.alpha * np.log(law.A / share) + np.log(law.B / (1 - share)) / law.beta
    return CostCurve(constant, p / law.alpha + 1 / law.beta, law.E)


def _of_parameters(law: Law, p: ndarray) -> ndarray:
    """Of the loss above E, what the number of parameters leaves over on the cheapest way."""
    share: ndarray = p * law.beta / (law.alpha + p * law.beta)
    return share


def cheapest_way(laws: Laws, plugin: str, corpus: str, resource: str, size: float,
                 loss: float) -> tuple[float, float]:
    """Parameters and bytes with which the fitted law reaches a loss at the least cost; of bytes at that `size`."""
    numbers = laws.law(plugin, corpus)
    law = Law(*(float(values[0]) for values in (numbers.E, numbers.A, numbers.alpha, numbers.B, numbers.beta)))
    above = loss - law.E
    if resource == "bytes":
        params, left = size, above - law.A / size**law.alpha
    else:
        share = float(_of_parameters(law, resource_model(laws, plugin, resource)[1][0]))
        params, left = (law.A / (share * above)) ** (1 / law.alpha), (1 - share) * above
    return float(params), float((law.B / left) ** (1 / law.beta)) if left > 0 else float("inf")


def resource_model(laws: Laws, plugin: str, resource: str) -> tuple[ndarray, ndarray]:
    """log k and p of k N^p D by least squares on the log scale, of the fit and of every resampling, (1 + R,) each.

    Raises NoLaw where a rung has none of it, or where it does not grow with size.
    """
    import numpy as np

    mine = [i for i, point in enumerate(laws.points) if point.plugin == plugin]
    points: Sequence[Point] = [laws.points[i] for i in mine]
    amounts = [point.amount(resource) for point in points]
    if None in amounts:
        raise NoLaw(f"{resource} of {plugin} was not measured at every rung")
    weights = laws.weights[:, mine] / laws.weights[:, mine].sum(1, keepdims=True)
    x = np.log([float(point.params) for point in points])
    y = np.log(np.array(amounts, float) / [point.bytes for point in points])
    mean_x, mean_y = weights @ x, weights @ y
    u = x - mean_x[:, None]
    p = (weights * u * (y - mean_y[:, None])).sum(1) / (weights * u * u).sum(1)
    if p[0] <= 0:
        raise NoLaw(f"{resource} of {plugin} does not grow with its size: there is no cheapest size")
    p = np.maximum(p, 1e-3)
    return mean_y - p * mean_x, p
