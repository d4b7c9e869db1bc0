"""Ladders whose law is known: what several tests of laws fit."""

from __future__ import annotations

import math

import numpy as np

from harness.evidence.laws.point import Point

SIZES, BUDGETS = (30_000, 100_000, 300_000, 1_000_000), (1_000_000, 3_000_000, 10_000_000)
E, A, ALPHA, B, BETA = 1.0, 20.0, 0.3, 500.0, 0.4
FACTORS = {"base": (1.0, 1.0), "new": (1.3, 1.5)}           # what a parameter, and a byte, of a plugin is worth
POWER, DEARER = 0.9, 1.2                                    # FLOPs are 6 N^0.9 D, of the newcomer 1.2 times as many
WEIGHT = {"text": 1.0, "code": 0.7}                         # of a corpus: all of its loss is that much less


def loss(plugin: str, corpus: str, params: float, data: float, alpha: float = ALPHA, factors=FACTORS) -> float:
    worth_n, worth_d = factors[plugin]
    return WEIGHT[corpus] * (E + A / (worth_n * params)**alpha + B / (worth_d * data)**BETA)


def multiplier() -> float:
    """What the newcomer needs of the baseline's FLOPs at any loss: both factors by their part in log C(L)."""
    return DEARER * math.exp(-POWER * math.log(FACTORS["new"][0]) - math.log(FACTORS["new"][1]))


def ladder(generator: np.random.Generator | None = None, seeds=(3, 3, 2, 1), corpora=("text",), sizes=SIZES,
           run_sd: float = 0.004, rung_sd: float = 0.003, alpha: float = ALPHA, factors=FACTORS) -> list[Point]:
    """Runs vary as a whole and every rung besides, log-normally; exact without a generator. `alpha`: the newcomer's."""
    points = []
    for plugin in FACTORS:
        for corpus in corpora:
            for params, many in zip(sizes, seeds, strict=False):
                for seed in range(many):
                    run = generator.normal(0, run_sd) if generator else 0.0
                    for data in BUDGETS:
                        noise = run + (generator.normal(0, rung_sd) if generator else 0.0)
                        exponent = alpha if plugin == "new" else ALPHA
                        bits = loss(plugin, corpus, params, data, exponent, factors) * math.exp(noise)
                        flops = 6 * params**POWER * data * (DEARER if plugin == "new" else 1)
                        points.append(Point(plugin, corpus, seed, params, data, bits, flops, 1e-9 * flops,
                                            4096 if plugin == "new" else data // 1000))
    return points
