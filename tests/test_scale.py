"""Ten thousand cells: what the engine does with each does not grow with their number."""

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


def seconds(action):
    """Processor seconds of the quicker of two."""
    def once():
        began = time.process_time()
        action()
        return time.process_time() - began

    return min(once(), once())


def exponent(few, many):
    return math.log(many / few) / math.log(MANY / FEW)


def test_planning_hashing_and_sharding_are_linear():
    def plan(cells):
        options = RunOptions(suite="perplexity", plugins="ssm,baseline,brain,wave", seeds=cells // 4, dtype="float32")
        made = make_plan(REGISTRY, ["perplexity"], make_request(REGISTRY, options), None, False)
        assert len(made.cells) == cells + 4
        return [cell.id for cell in sharded(made, Shard(1, 100)).cells]

    assert exponent(*(seconds(lambda n=n: plan(n)) for n in (FEW, MANY))) < 1.25


def test_reading_merging_and_tables_are_linear(tmp_path):
    took = []
    for cells in (FEW, MANY):
        made = store(tmp_path / str(cells), [scored(f"p{i % 20}", SIZES * 2, SIZES, seed=i) for i in range(cells)])
        out = tmp_path / f"all {cells}"
        merge_runs(REGISTRY, [made], out)
        took.append(seconds(lambda made=made, out=out: merge_runs(REGISTRY, [made], out)))
        assert len(Store(out).results()) == cells
    assert exponent(*took) < 1.25


def test_comparisons_and_reports_are_linear_and_small(tmp_path):
    """Ever more seeds of twenty plugins: a report holds what is shown, not every row. (A cell once took it 8 kB.) The
    script that draws plots is as large as ever."""
    drawing = len(vega.script()) if vega.available() else 0
    took, sizes = {"compare": list[float](), "report": list[float]()}, []
    for cells in (FEW // 2, MANY // 2):
        results = [scored(f"p{i % 20}", SIZES * (2 + i % 7), SIZES, seed=i // 20) for i in range(cells)]
        folder = store(tmp_path / str(cells), results)
        run = read_run(folder, REGISTRY)
        took["compare"].append(seconds(lambda run=run: compare_runs(run, run, list(REGISTRY.suites.values()))))
        took["report"].append(seconds(
            lambda folder=folder: sizes.append(len(render_html(build([folder], REGISTRY))))))
    assert exponent(*took["compare"]) < 1.25 and exponent(*took["report"]) < 1.25
    assert sizes[-1] - drawing < 1000 * MANY // 2
