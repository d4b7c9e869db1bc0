"""Whether a rate is carried: drifts and powers in closed form, verdicts on both sides of half a window."""

import json
import math

import pytest

from harness.evidence.comparison.transfer import AtWidth, drifted, power_of_width, transfer
from harness.store import CellResult, Row


def cell(params, width, lr, spread=0.1, window=2.0, reason="", note="", **sizes):
    """A size whose interval is `spread` octaves to both sides, None for none."""
    rows = [Row(metric="width", value=width), Row(
        metric="learning_rate", value=lr, params=params, reason=note,
        ci_low=None if spread is None else lr / 2**spread, ci_high=None if spread is None else lr * 2**spread),
        Row(metric="lr_window_octaves", value=window, reason=reason),
        *(Row(metric=metric.replace("_at_", "@"), value=value) for metric, value in sizes.items())]
    return CellResult({"id": f"c{params}", "plugin": "m", "options": {}, "params": params}, rows)


def at(width, lr=1.0, spread=None):
    low, high = (None, None) if spread is None else (lr / 2**spread, lr * 2**spread)
    return AtWidth(width, width, lr, low, high, 1.0, False, "")


def test_a_power_of_the_width_is_found():
    widths = [at(w) for w in (16, 32, 96)]
    assert power_of_width(widths, [3 * at.width**0.5 for at in widths]) == pytest.approx(0.5)


def test_the_interval_of_a_drift_is_that_of_a_difference():
    drift, low, high = drifted(at(1, 1.0, 0.3), at(2, 0.5, 0.4))
    assert (drift, low, high) == pytest.approx((-1, -1.5, -0.5))
    assert drifted(at(1, 1.0, 0.3), at(2, 0.5))[1:] == (None, None)


@pytest.mark.parametrize(("last", "verdict"), [
    ({"lr": 8e-3}, "carried"),
    ({"lr": 8e-3 * 2**0.8}, "carried"),
    ({"lr": 8e-3 * 2**1.0}, "undecided"),                           # half the window, and a bit of the interval beyond
    ({"lr": 8e-3 * 2**-1.5}, "not carried"),
    ({"lr": 8e-3 * 2**-1.5, "reason": "at least"}, "undecided"),    # who knows how wide the window is
    ({"lr": 8e-3, "spread": None, "note": "at the edge"}, "undecided"),
])
def test_a_rate_is_carried_within_half_the_window_of_the_largest(last, verdict):
    found = transfer([cell(300_000, 96, **last), cell(30_000, 32, 8e-3), cell(100_000, 56, 7e-3)])
    assert found.verdict == verdict
    assert [at.width for at in found.widths] == [32, 56, 96]
    assert found.drift == pytest.approx(math.log2(last["lr"] / 8e-3))
    assert "from 30 k to 300 k" in found.reason and ("at the edge" in found.reason) == ("note" in last)


def test_growths_are_of_what_every_width_has():
    found = transfer([cell(1, 16, 1e-2, activation_rms_at_blocks_0=1.0, update_ratio_at_head=0.1),
                      cell(2, 64, 1e-2, activation_rms_at_blocks_0=2.0, update_ratio_at_head=0.1, update_ratio_at_x=1)])
    assert [(g.kind, g.part, g.word) for g in found.growths] == [("activation", "blocks_0", "grows"),
                                                                 ("update", "head", "flat")]
    assert found.growths[0].power == pytest.approx(0.5)


def test_one_width_is_no_transfer():
    failed = CellResult({"id": "c", "plugin": "m", "options": {}}, [Row(status="error", reason="no")])
    assert transfer([cell(1, 16, 1e-2), failed]) is None


def test_the_command_measures_every_size_and_gives_a_verdict(command, toy):
    done = command("lr", "toy", "-p", toy, "--params", "500,1k", "--budget", "1k", "--corpus", "markov", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = map(json.loads, done.stdout.splitlines())
    assert (found["kind"], found["plugin"]) == ("transfer", "toy")
    assert len(found["widths"]) == 2 and found["verdict"] in ("carried", "not carried", "undecided")
    assert {growth["part"] for growth in found["growths"]} >= {"logits", "head"}


def test_one_size_alone_is_refused(command, toy):
    done = command("lr", "toy", "-p", toy, "--params", "2k")
    assert done.returncode == 2 and "--params must name two sizes at least" in done.stderr
