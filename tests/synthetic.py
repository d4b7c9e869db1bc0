"""Runs made on the spot: cells with raw measurements of known effect and noise, as the suites leave them."""

import numpy as np

from harness import Cell
from harness.evidence.comparison.timing import CONTROL
from harness.reading import Run
from harness.registry import load
from harness.store import SCHEMA, CellResult, Row, Store

SUITES = list(load().suites.values())
HERE = {"packages": {"torch": "2.11"}, "cpu": {"model": "one"}, "git": {"commit": "a"}}
SHAPE = {"tokenizer": "bytes", "params": 300_000, "dtype": "float32"}


def row(cell, metric, value, better="lower", sha="", **fields):
    """A row of a cell; every corpus has a digest of its own."""
    options = cell.label.removeprefix(cell.plugin).removeprefix(":")
    sha = (sha or f"5ha of {cell.corpus}") if cell.corpus else ""
    return Row(suite=cell.suite, plugin=cell.plugin, options=options, cell_id=cell.id, seq_len=cell.seq_len or None,
               batch_size=cell.batch_size or None, corpus=cell.corpus, tokenizer=cell.tokenizer, seed=cell.seed,
               dtype=cell.dtype, corpus_sha256=sha, metric=metric, value=value, better=better,
               **fields)


def finished(cell, rows, run_id="", environment="here", **raw):
    for one in rows:
        one.run_id, one.started_at = run_id, "2030-01-01"
    return CellResult(cell.record(), rows, {key.replace("control_", CONTROL): list(map(float, values))
                                            for key, values in raw.items()}, environment)


def documents(generator, n=30):
    """Bytes and bits of n documents of unequal size and difficulty."""
    sizes = np.exp(generator.normal(7, 0.6, n)).round() + 1
    return sizes, sizes * generator.normal(2, 0.3, n)


def scored(plugin, bits, sizes, seed=0, budget=1_000_000, run_id="", sha="", **fields):
    """A score of the perplexity suite."""
    cell = Cell("perplexity", plugin, **SHAPE | {"corpus": "pydoc", "seq_len": 256, "batch_size": 16} | fields,
                seed=seed, protocol=(("budget_bytes", budget), ("role", "score")))
    value = float(np.sum(bits) / np.sum(sizes))
    return finished(cell, [row(cell, "bits_per_byte", value, unit="bits/byte", phase="score", sha=sha,
                               bytes_seen=budget)], run_id, document_bits=bits, document_bytes=sizes)


def tuned(plugin, trials, budget=200_000, **fields):
    """A search for the learning rate."""
    cell = Cell("perplexity", plugin, **SHAPE | {"corpus": "pydoc", "seq_len": 256, "batch_size": 16} | fields,
                protocol=(("budget_bytes", budget), ("role", "search")))
    rows = [row(cell, f"trial_bits_per_byte@{rate}", 2.0, phase="train", bytes_seen=budget) for rate in range(trials)]
    rows += [row(cell, metric, value, better="", phase="train") for metric, value in (
        ("learning_rate", 3e-3), ("tuning_trials", trials), ("tuning_seconds", 10.0))]
    return finished(cell, rows)


def timed(plugin, seconds, control=(), seq_len=256, group="g", run_id="", environment="here", **fields):
    """A timed training step of the scaling suite, with the rounds of its A/A control."""
    cell = Cell("scaling", plugin, **SHAPE | {"corpus": "pydoc", "seq_len": seq_len, "batch_size": 1} | fields,
                group=f"{group}{seq_len}", protocol=(("role", "time"),))
    raw = {"train": seconds, **({"control_train": control} if len(control) else {})}
    rows = [row(cell, "step_time_s", float(np.median(seconds)), unit="s", phase="train")]
    return finished(cell, rows, run_id, environment, **raw)


def weighed(plugin, metric, value, seq_len=256, run_id="", **fields):
    """One number of the memory suite."""
    cell = Cell("memory", plugin, **SHAPE | {"seq_len": seq_len, "batch_size": 4} | fields)
    return finished(cell, [row(cell, metric, value, unit="B", phase="train")], run_id)


def failed(result, status="oom", reason="out of memory", metric=""):
    """The same cell, failed."""
    bad = Row(**{name: getattr(result.rows[0], name) for name in (
        "suite", "plugin", "options", "cell_id", "seq_len", "batch_size", "seed")}, metric=metric, status=status,
        reason=reason)
    return CellResult(result.cell, [bad], {}, result.environment)


def rounds(generator, seconds, n=12, noise=0.01, drift=()):
    """Rounds of a time with log-normal noise, times a drift that a group shares."""
    return seconds * np.exp(generator.normal(0, noise, n)) * (drift if len(drift) else 1.0)


def group(generator, lengths=(256,), run_id="", noise=0.01, machine=1.0, plugins=(("baseline", 1.0), ("ssm", 1.2)),
          codes=(), **fields):
    """Timing groups of several plugins (name, seconds per token) under a drift of the machine that they share."""
    results = []
    for seq_len in lengths:
        drift = machine * np.exp(np.cumsum(generator.normal(0, 0.02, 12)))
        for index, (plugin, each) in enumerate(plugins):
            took = [rounds(generator, each * seq_len, noise=noise, drift=drift) for _ in range(2)]
            results.append(timed(plugin, took[0], () if index else took[1], seq_len, run_id=run_id,
                                 code=dict(codes).get(plugin, plugin), **fields))
    return results


def run(*results, name="run", derived=(), environments=None):
    return Run(name, list(results), derived, {"environments": {"here": HERE} if environments is None else environments})


def store(directory, results, run_id="r", environments=None):
    """The results on disk, as a run leaves them."""
    made = Store(directory)
    for result in results:
        for one in result.rows:
            one.run_id = run_id
        made.write(result)
    made.write_manifest({"schema": SCHEMA, "harness": "0", "run_id": run_id, "commands": [], "limits": {},
                         "environments": {"here": HERE} if environments is None else environments})
    return directory
