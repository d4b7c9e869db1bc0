"""Effects find what was planted and, between runs, take the machine's drift for what it is."""

import math

import numpy as np
import pytest
from synthetic import SUITES, documents, group, rounds, run, scored, timed, weighed

from harness import Cell
from harness.evidence.comparison import effect as effects
from harness.evidence.comparison.effect import UNCONTROLLED, Incomparable, effect
from harness.evidence.comparison.pairs import Reading, pair_readings
from harness.store import CellResult, Row
from harness.suite import ByDocument


def one(a, b, metric="step_time_s", plugin="", **more):
    """The effect of the pair of this metric (and plugin)."""
    pair, = (p for p in pair_readings(a, b, SUITES, **more) if p.key.metric == metric and plugin in ("", p.key.plugin))
    return effect(pair, a, b)


def test_rounds_of_one_group_are_paired_under_its_drift():
    a = run(*group(np.random.default_rng(0)))
    found = one(a, a, plugins=("baseline", "ssm"))
    assert found.how == "paired by round, 12 rounds"
    assert found.estimate.low < 1.2 < found.estimate.high
    assert found.estimate.high - found.estimate.low < 0.05
    assert 1 <= found.floor < 1.03
    assert found.p < 0.001
    assert found.detectable < 1.04


def test_a_rate_is_inverse_to_its_rounds():
    cells = [Cell("throughput", name, seq_len=64, group="g") for name in ("baseline", "ssm")]
    results = [CellResult(cell.record(), [Row(suite="throughput", plugin=cell.plugin, cell_id=cell.id, seq_len=64,
                                              metric="tokens_per_s", value=64 / seconds, better="higher", phase="train",
                                              unit="tokens/s")], {"train": [seconds] * 9})
               for cell, seconds in zip(cells, (1.0, 2.0), strict=True)]
    a = run(*results)
    found = one(a, a, "tokens_per_s", plugins=("baseline", "ssm"))
    assert found.estimate.value == pytest.approx(0.5)


def test_runs_are_divided_by_a_program_that_did_not_change():
    """The machine was 30 % slower in B, ssm 50 % slower on top: the baseline beside it tells them apart."""
    generator = np.random.default_rng(1)
    a = run(*group(generator))
    b = run(*group(generator, machine=1.3, plugins=(("baseline", 1.0), ("ssm", 1.8)), codes={"ssm": "new"}.items()))
    found = one(a, b, plugin="ssm")
    assert found.how == "unpaired, 12 and 12 rounds; each is divided by baseline, timed beside it"
    assert found.estimate.low < 1.5 < found.estimate.high
    assert found.floor == pytest.approx(effects.control_noise(a, a.results[1], "train")
                                        * effects.control_noise(b, b.results[1], "train"))
    assert one(a, b, plugin="baseline").how == "unpaired, 12 and 12 rounds"


@pytest.mark.parametrize("change", ["code", "engine", "weights"])
def test_a_program_that_changed_is_no_measure_of_the_machine(change):
    generator = np.random.default_rng(2)
    a, b = run(*group(generator)), run(*group(generator))
    b.results[0].cell[change] = "other"
    assert one(a, b, plugin="ssm").how == "unpaired, 12 and 12 rounds"


def test_runs_apart_are_widened_by_the_noise_of_both():
    generator = np.random.default_rng(3)
    alone = [[timed("ssm", rounds(generator, 1.0), rounds(generator, 1.0))] for _ in range(2)]
    a, b = run(*alone[0]), run(*alone[1])
    found = one(a, b)
    floors = [effects.control_noise(side, side.results[0], "train") for side in (a, b)]
    assert found.floor == pytest.approx(math.prod(floors))
    assert found.estimate.high / found.estimate.low > found.floor**2
    assert found.p == 1
    without = run(timed("ssm", rounds(generator, 1.0)))
    assert one(without, run(timed("ssm", rounds(generator, 1.0)))).floor == pytest.approx(UNCONTROLLED**2)


def test_the_same_measurement_is_no_experiment():
    results = group(np.random.default_rng(4), run_id="r")
    found = one(run(*results), run(*results), plugin="ssm")
    assert (found.how, found.estimate.value, found.p) == ("one and the same measurement", 1.0, None)


def test_scores_are_paired_by_document():
    """One plugin before and after a change starts a seed from the same weights."""
    generator = np.random.default_rng(5)
    sizes, bits = documents(generator)
    better = bits * 0.99 + sizes * generator.normal(0, 0.01, len(bits))
    found = one(run(scored("ssm", bits, sizes)), run(scored("ssm", better, sizes)), "bits_per_byte")
    assert found.how == "paired by document, 30 documents, one seed"
    assert found.estimate.value == pytest.approx(better.sum() / bits.sum())
    assert found.p < 1e-3
    assert found.ratio


def test_one_seed_of_two_plugins_is_not_ranked_where_nothing_tells_what_another_gives():
    sizes, bits = documents(np.random.default_rng(5))
    trained = run(scored("ssm", bits, sizes), scored("wave", 0.9 * bits, sizes))
    found = one(trained, trained, "bits_per_byte", plugins=("ssm", "wave"))
    assert found.how.endswith("one seed and an interval of these weights: what another would give is not known")
    assert (found.estimate.value, found.p, found.tight.low) == (pytest.approx(0.9), None, None)
    assert found.estimate.high < 1 and not found.told(1.0, found.p) and not found.same(0.2)
    given = run(*(scored("ssm", side * bits, sizes, checkpoint=name, weights=name)
                  for side, name in ((1, "a"), (0.9, "b"))))
    found = one(given, given, "bits_per_byte", plugins=("ssm@a", "ssm@b"))
    assert found.p < 1e-3                                   # those weights are the question, and no seed is


def others(generator, bits, sizes, spreads):
    """Three seeds each of further plugins, which vary by so much."""
    return [scored(f"other{index}", bits * (1 + generator.normal(0, spread)), sizes, seed)
            for index, spread in enumerate(spreads) for seed in range(3)]


def test_the_seed_variance_of_one_seed_is_pooled_over_plugins_that_vary_alike():
    generator = np.random.default_rng(6)
    sizes, bits = documents(generator)
    a, b = scored("ssm", bits, sizes), scored("wave", 0.99 * bits, sizes)
    alike, unlike = (run(a, b, *others(generator, bits, sizes, spreads))
                     for spreads in ([0.01] * 6, [1e-4, 1e-4, 0.05]))
    found = one(alike, alike, "bits_per_byte", plugins=("ssm", "wave"))
    assert found.how == "paired by document, 30 documents, one seed, seed variance pooled over 6 plugins"
    assert math.log(found.estimate.high / found.estimate.low) / 2 == pytest.approx(2.18 * 0.01 * 2**0.5, rel=0.4)
    wide = one(unlike, unlike, "bits_per_byte", plugins=("ssm", "wave"))
    assert wide.how.endswith("one seed, seed variance of the one of 3 plugins that varies most")
    assert wide.estimate.high / wide.estimate.low > 1.1


@pytest.mark.parametrize("change", [lambda sizes: sizes * 2, lambda sizes: sizes[:-1]])
def test_other_documents_are_refused(change):
    sizes, bits = documents(np.random.default_rng(6))
    other = change(sizes)
    with pytest.raises(Incomparable, match="other documents were scored"):
        one(run(scored("ssm", bits, sizes)), run(scored("ssm", bits[:len(other)], other)), "bits_per_byte")


def test_without_the_raw_measurements_the_values_are_left():
    """Over seeds by t, of one seed by the intervals of the rows; without those nothing tells them apart."""
    sizes, bits = documents(np.random.default_rng(7))

    def bare(scale, seeds, **row):
        results = [scored("ssm", bits * scale, sizes, seed) for seed in range(seeds)]
        for index, result in enumerate(results):
            result.raw = {}
            result.rows[0].value *= 1 + 0.001 * index
            for name, value in row.items():
                setattr(result.rows[0], name, value)
        return run(*results)

    assert one(bare(1, 3), bare(1.1, 2), "bits_per_byte").how == "3 and 2 seeds"
    by_interval = one(bare(1, 1, ci_low=1.9, ci_high=2.1), bare(1, 1, ci_low=1.8, ci_high=2.2), "bits_per_byte")
    assert by_interval.how == "by the intervals of each"
    bare_value = one(bare(1, 1), bare(1.08, 1), "bits_per_byte")
    assert (bare_value.how, bare_value.p) == ("one value each, no spread: not ranked", None)
    assert not one(bare(1, 1), bare(9, 1), "bits_per_byte").told(2, None)


def test_texts_of_every_seed_are_paired_within_it():
    generator = np.random.default_rng(8)

    def answered(plugin, right, seed):
        cell = Cell("recall", plugin, seed=seed)
        row = Row(suite="recall", plugin=plugin, cell_id=cell.id, metric="copy_accuracy@8", value=float(np.mean(right)),
                  better="higher", phase="score", seed=seed)
        return Reading(row, CellResult(cell.record(), [row], {"right@copy@8": list(map(float, right))}),
                       ByDocument("right@copy@8", nested=True))

    hard = generator.random((3, 64))
    a = [answered("ssm", hard[seed] < 0.5, seed) for seed in range(3)]
    b = [answered("wave", hard[seed] < 0.7, seed) for seed in (2, 1)]
    measured = run(*(reading.result for reading in (*a, *b)))
    found = effects._by_document(effects.ReadingPair(None, tuple(a), tuple(b)), a[0].compared, measured, measured)
    assert found.how.startswith("paired by document, 64 documents of each seed, 2 seeds")
    assert not found.ratio
    assert found.estimate.value == pytest.approx(np.mean([np.mean(hard[s] < 0.7) - np.mean(hard[s] < 0.5)
                                                          for s in (1, 2)]))


def test_a_count_has_no_noise():
    found = one(run(weighed("ssm", "weights_bytes", 1000)), run(weighed("ssm", "weights_bytes", 1003)), "weights_bytes")
    assert (found.exact, found.how, found.p) == (True, "counted", None)
    assert found.beyond(1000)
    assert found.same(0.01)
    assert not found.same(0.001)
