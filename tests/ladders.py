"""Ladders whose law is known: what several tests of laws fit."""

from __future__ import annotations

import math

import numpy as np
from synthetic import finished, row

from harness import Cell
from harness.evidence.laws.point import Point
from harness.rungs import rung_name
from harness.store import CellResult

SIZES, BUDGETS = (30_000, 100_000, 300_000, 1_000_000), (1_000_000, 3_000_000, 10_000_000)
E, A, ALPHA, B, BETA = 1.0, 20.0, 0.3, 500.0, 0.4
FACTORS = {"base": (1.0, 1.0), "new": (1.3, 1.5)}           # what a parameter, and a byte, of a plugin is worth
POWER, DEARER = 0.9, 1.2                                    # FLOPs are 6 N^0.9 D, of the newcomer 1.2 times as many
NAMES = {"base": "baseline", "new": "ssm"}                  # of plugins that there are
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
                    for budget in BUDGETS:
                        data = budget + 3 * seed                # a seed reads to the end of its own last window
                        noise = run + (generator.normal(0, rung_sd) if generator else 0.0)
                        exponent = alpha if plugin == "new" else ALPHA
                        bits = loss(plugin, corpus, params, data, exponent, factors) * math.exp(noise)
                        flops = 6 * params**POWER * data * (DEARER if plugin == "new" else 1)
                        points.append(Point(plugin, corpus, seed, params, data, bits, flops, 1e-9 * flops,
                                            4096 if plugin == "new" else data // 1000,
                                            rung=rung_name(params, budget)))
    return points


def cell_of(point: Point, suite: str = "ladder") -> CellResult:
    """A rung as the suite leaves it."""
    budget = max(budget for budget in BUDGETS if budget <= point.bytes)
    cell = Cell(suite, NAMES.get(point.plugin, point.plugin), corpus=point.corpus, tokenizer="bytes", seq_len=256,
                batch_size=4, params=point.params, seed=point.seed, code=point.plugin, protocol=(
                    ("budget_bytes", budget), ("role", "rung"), ("rung", point.rung)))
    shared = {"rung": point.rung, "params": point.params, "bytes_seen": point.bytes, "phase": "train"}
    rows = [row(cell, "bits_per_byte", point.bits, unit="bits/byte", **shared | {"phase": "score"}),
            row(cell, "train_flops", point.flops, unit="FLOP", **shared),
            row(cell, "train_seconds", point.seconds, unit="s", **shared),
            row(cell, "state_bytes_per_sequence", point.state_bytes, unit="B", **shared | {"phase": "decode"})]
    return finished(cell, rows, document_bits=[point.bits * 900, point.bits * 1100], document_bytes=[900, 1100])
