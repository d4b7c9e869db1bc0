"""Ten thousand cells: what the engine does with each does not grow with their number."""

import itertools
import math
import time

import numpy as np
from synthetic import scored, store

from harness.evidence.comparison.compare import compare_runs
from harness.evidence.drawing import vega
from harness.evidence.report.compose import build
from harness.evidence.report.html import render_html
from harness.reading import read_run
from harness.registry import load
from harness.run.merging import merge_runs
from harness.run.plan import make_plan
from harness.run.request import RunOptions, make_request
from harness.run.shards import Shard, sharded
from harness.store import Store

REGISTRY = load()
SIZES = np.full(10, 1000.0)
FEW, MANY = 200, 1600
LINEAR = 1.25  # a power below it reads as linear


def seconds(action):
    """Processor seconds."""
    began = time.process_time()
    action()
    return time.process_time() - began


def exponent(few, many, clock=seconds):
    """The power of the number of cells with which the time grows from `few` to `many`. A neighbour only ever adds to
    a time: the quickest of each counts, and the two take turns until the growth reads as linear, at most ten times."""
    quickest, power = (math.inf, math.inf), math.inf
    for turn in range(10):
        quickest = (min(quickest[0], clock(few)), min(quickest[1], clock(many)))
        power = math.log(quickest[1] / quickest[0]) / math.log(MANY / FEW)
        if turn and power < LINEAR:
            break
    return power


def test_a_busy_neighbour_hides_neither_a_linear_growth_nor_a_square():
    def neighbour(costs):
        """Adds up to half to some of the times, and five times its cost to the first."""
        slower = itertools.chain([1, 6], itertools.cycle([1.5, 1, 1.2, 1.3, 1]))
        return lambda cells: next(slower) * costs(cells)

    assert exponent(FEW, MANY, neighbour(lambda cells: 1e-3 + cells)) < LINEAR
    assert exponent(FEW, MANY, neighbour(lambda cells: cells**2)) > 1.9
    assert exponent(FEW, MANY, neighbour(lambda cells: cells**1.5)) > 1.4


def test_planning_hashing_and_sharding_are_linear():
    def plan(cells):
        options = RunOptions(suite="perplexity", plugins="ssm,baseline,brain,wave", seeds=cells // 4, dtype="float32")
        made = make_plan(REGISTRY, ["perplexity"], make_request(REGISTRY, options), None, False)
        assert len(made.cells) == cells + 4
        return [cell.id for cell in sharded(made, Shard(1, 100)).cells]

    assert exponent(lambda: plan(FEW), lambda: plan(MANY)) < LINEAR


def test_reading_merging_and_tables_are_linear(tmp_path):
    def merging(cells):
        made = store(tmp_path / str(cells), [scored(f"p{i % 20}", SIZES * 2, SIZES, seed=i) for i in range(cells)])
        out = tmp_path / f"all {cells}"
        merge_runs(REGISTRY, [made], out)
        assert len(Store(out).results()) == cells
        return lambda: merge_runs(REGISTRY, [made], out)

    assert exponent(merging(FEW), merging(MANY)) < LINEAR


def test_comparisons_and_reports_are_linear_and_small(tmp_path):
    """Ever more seeds of twenty plugins: a report holds what is shown, not every row. (A cell once took it 8 kB.) The
    script that draws plots is as large as ever."""
    def folder(cells):
        results = [scored(f"p{i % 20}", SIZES * (2 + i % 7), SIZES, seed=i // 20) for i in range(cells)]
        return store(tmp_path / str(cells), results)

    def comparing(run):
        return lambda: compare_runs(run, run, list(REGISTRY.suites.values()))

    def reporting(folder):
        return lambda: render_html(build([folder], REGISTRY))

    folders = [folder(FEW // 2), folder(MANY // 2)]
    assert exponent(*(comparing(read_run(folder, REGISTRY)) for folder in folders)) < LINEAR
    assert exponent(*map(reporting, folders)) < LINEAR
    drawing = len(vega.script()) if vega.available() else 0
    assert len(reporting(folders[-1])()) - drawing < 1000 * MANY // 2
