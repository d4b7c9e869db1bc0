"""Ten thousand cells: what the engine does with each does not grow with their number."""

import math
import time

import numpy as np
from synthetic import scored, store

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
