"""Timing rows: ratios are paired within a group and stand beside the noise of the control; growth runs over lengths."""

import random
from types import MappingProxyType

import pytest

from harness import Cell
from harness.evidence.comparison.timing import ANCHOR, CONTROL, ratio_rows, scaling_rows
from harness.run.executors import CONTROL as EXECUTORS_CONTROL
from harness.store import CellResult, Row

ROUNDS = 15


def result(plugin, group="g", seq_len=256, options=(), status="ok", fields=MappingProxyType({}), **raw):
    cell = Cell("s", plugin, tuple(options), seq_len=seq_len, group=group, **fields).record()
    row = Row(suite="s", plugin=plugin, seq_len=seq_len, params=7, status=status)
    return CellResult(cell, [row], {key.replace("control_", CONTROL): value for key, value in raw.items()})


def rounds(seconds, noise=0.01, seed=0):
    """Timings with a drift that all lanes of a group share, round by round."""
    draw = random.Random(seed)
    return [seconds * (1 + 0.5 * i / ROUNDS) * (1 + draw.uniform(-noise, noise)) for i in range(ROUNDS)]


def only(rows, metric, **fields):
    found = [row for row in rows if row.metric == metric and all(getattr(row, k) == v for k, v in fields.items())]
    assert len(found) == 1
    return found[0]


def test_the_executor_and_the_rows_agree_on_the_control():
    assert CONTROL == EXECUTORS_CONTROL


def test_a_ratio_is_found_under_a_drift_that_all_share():
    rows = ratio_rows([
        result("slow", train=rounds(0.3, seed=1)),
        result("baseline", train=rounds(0.1, seed=2), control_train=rounds(0.1, seed=3)),
    ], ("train", "prefill"))
    ratio, floor = only(rows, "time_ratio"), only(rows, "noise_floor")
    assert len(rows) == 2
    assert (ratio.plugin, ratio.unit, ratio.phase, ratio.params) == ("slow", "x baseline", "train", 7)
    assert ratio.ci_low <= 3 <= ratio.ci_high
    assert ratio.value == pytest.approx(3, rel=0.02)
    assert ratio.reason == ""
    assert (floor.plugin, floor.unit) == ("baseline", "x")
    assert 1 <= floor.value < 1.05
    assert ratio.limit == floor.value


def test_what_is_within_the_noise_is_not_ranked():
    rows = ratio_rows([
        result("baseline", train=rounds(0.1, 0.2, seed=1), control_train=rounds(0.1, 0.2, seed=2)),
        result("twin", train=rounds(0.1, 0.2, seed=3)),
    ], ("train",))
    assert only(rows, "time_ratio").reason == "within the noise: not ranked"


def test_groups_are_never_mixed():
    rows = ratio_rows([
        result("baseline", "a", train=rounds(0.1), control_train=rounds(0.1, seed=1)),
        result("m", "a", train=rounds(0.2)),
        result("baseline", "b", train=rounds(1.0), control_train=rounds(1.0, seed=1)),
        result("m", "b", train=rounds(4.0)),
        result("lonely", "", train=rounds(1.0)),
    ], ("train",))
    ratios = [round(row.value, 1) for row in rows if row.metric == "time_ratio"]
    assert ratios == [2.0, 4.0]


@pytest.mark.parametrize("member", [
    result("m", train=rounds(0.2)[:3]), result("m"), result("m", status="oom"), result("m", train=[]),
])
def test_members_without_their_rounds_have_no_ratio(member):
    base = result("baseline", train=rounds(0.1), control_train=rounds(0.1, seed=1))
    assert [row.metric for row in ratio_rows([base, member], ("train",))] == ["noise_floor"]


def test_without_a_control_nothing_is_compared():
    assert ratio_rows([result("baseline", train=rounds(0.1)), result("m", train=rounds(0.2))], ("train",)) == []


def test_options_name_the_baseline_they_belong_to():
    base = result("m", options=[("dim", "3")], train=rounds(0.1), control_train=rounds(0.1, seed=1))
    assert only(ratio_rows([base, result("n", train=rounds(0.2))], ("train",)), "time_ratio").unit == "x m:dim=3"


LENGTHS = (128, 256, 512, 1024)


def series(plugin, seconds, lengths=LENGTHS, control=False, **more):
    return [result(plugin, str(n), n, train=rounds(seconds(n), seed=n),
                   **({"control_train": rounds(seconds(n), seed=n + 1)} if control else {}), **more) for n in lengths]


def test_slopes_and_exponents_are_those_of_the_cost():
    quadratic = series("baseline", lambda n: 1e-7 * n**2, control=True)
    rows = scaling_rows([*quadratic, *series("linear", lambda n: 1e-4 * n)])
    for plugin, power in (("baseline", 2), ("linear", 1)):
        slopes = [row for row in rows if row.metric == "local_slope" and row.plugin == plugin]
        assert [row.seq_len for row in slopes] == [256, 512, 1024]
        assert [row.unit for row in slopes] == ["from T=128", "from T=256", "from T=512"]
        assert all(row.value == pytest.approx(power, abs=0.1) for row in slopes)
        assert only(rows, "exponent", plugin=plugin).value == pytest.approx(power, abs=0.05)
        assert only(rows, "fitted_exponent", plugin=plugin).value == pytest.approx(power, abs=0.1)


def test_anchors_cancel_what_the_machine_did_between_lengths():
    """Four groups whose clocks differ by up to a factor of two: beside the anchor of each the slope is exact again."""
    clocks = dict(zip(LENGTHS, (1.0, 1.6, 0.8, 1.3), strict=True))
    members = series("linear", lambda n: 1e-4 * n * clocks[n])
    for n, member in zip(LENGTHS, members, strict=True):
        member.cell["group"] = f"group of {n}"
    plain = only(scaling_rows(members), "exponent")
    anchors = [result("linear", f"group of {n}", LENGTHS[0], anchor=rounds(1e-4 * LENGTHS[0] * clocks[n], seed=n + 7))
               for n in LENGTHS]
    for anchor in anchors:
        anchor.cell["protocol"] = {"role": ANCHOR}
    rows = scaling_rows([*members, *anchors])
    found = only(rows, "exponent")
    assert abs(plain.value - 1) > 0.1 and plain.ci_low < 1 < plain.ci_high                  # widened, and so not wrong
    assert found.value == pytest.approx(1, abs=0.05) and found.ci_high - found.ci_low < 0.2
    assert {row.seq_len for row in rows if row.metric == "local_slope"} == {256, 512, 1024}


def test_the_crossover_is_where_the_costs_meet():
    """1e-7 T^2 = 4e-5 T at T = 400."""
    quadratic = series("baseline", lambda n: 1e-7 * n**2, control=True)
    rows = scaling_rows([*quadratic, *series("linear", lambda n: 4e-5 * n)])
    found = only(rows, "crossover_length")
    assert found.plugin == "linear"
    assert found.value == pytest.approx(400, rel=0.1)
    assert found.reason == "against baseline: cheaper from here on"


def test_a_length_whose_rounds_are_no_pairs_tells_nothing_of_the_crossover():
    ours = series("linear", lambda n: 4e-5 * n)
    theirs = series("baseline", lambda n: 1e-7 * n**2, control=True)
    sound = only(scaling_rows([*ours, *theirs]), "crossover_length")
    ours[0].raw["train"] = ours[0].raw["train"][:-1]
    less = only(scaling_rows([*ours, *theirs]), "crossover_length")
    assert less.value == pytest.approx(sound.value, rel=0.2)


def test_only_what_differs_in_plugin_and_length_is_set_side_by_side():
    """Another batch size is another series: mixed into one, the slopes would be nonsense."""
    rows = scaling_rows([*series("m", lambda n: 1e-4 * n), *series("m", lambda n: 9e-4 * n, fields={"batch_size": 8})])
    assert [row.value for row in rows if row.metric == "exponent"] == pytest.approx([1, 1], abs=0.05)


def test_what_failed_bounds_the_largest_length():
    lost = [result("m", str(n), n, status="timeout") for n in (2048, 4096)]
    rows = scaling_rows([*series("m", lambda n: 1e-4 * n), *lost])
    assert only(rows, "largest_length").value == 1024
    assert only(rows, "exponent").value == pytest.approx(1, abs=0.05)


def test_one_length_or_none_gives_no_slope():
    assert scaling_rows([]) == []
    assert scaling_rows([result("m", train=rounds(0.1))]) == []
    assert scaling_rows([result("m", status="oom"), result("m", "h", 512, status="oom")]) == []


def test_a_length_that_was_timed_twice_is_no_growth():
    """The baseline beside one plugin, then beside another: two series, each with a slope of its own."""
    results = [
        result(plugin, f"{beside}{length}", length, train=rounds(length * seconds, seed=length))
        for beside, seconds in (("slow", 1e-3), ("other", 2e-3)) for length in (128, 256, 512)
        for plugin in ("baseline", beside)]
    exponents = [row for row in scaling_rows(results) if row.metric == "exponent"]
    assert sorted(row.plugin for row in exponents) == ["baseline", "baseline", "other", "slow"]
    assert all(row.value == pytest.approx(1, abs=0.05) for row in exponents)
