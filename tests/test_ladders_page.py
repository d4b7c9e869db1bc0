"""The page on ladders: every rung beside the baseline's in order of size, equal amounts, and the law that is known."""

from dataclasses import replace
from pathlib import Path

import ladders
import numpy as np
import pytest
from synthetic import run

from harness.registry import load
from tools.ladders import ladder_part


@pytest.fixture(scope="module")
def lines():
    """Of a ladder in which `phasefield` is the newcomer and an `ssm` does as the baseline, on less text."""
    points = ladders.ladder(np.random.default_rng(3))
    own = [replace(point, plugin="phasefield" if point.plugin == "new" else point.plugin) for point in points]
    third = [replace(point, plugin="ssm") for point in points if point.plugin == "base" and point.bytes < 10_000_000]
    found = run(*map(ladders.cell_of, [*own, *third]))
    for result in found.results:
        bits, rung = (1.5, 1.5) if result.cell["plugin"] == "phasefield" else (2.25, 2.75), result.rows[0].rung
        result.rows += [replace(result.rows[0], metric="bits_per_byte_in_window", seq_len=length, value=value)
                        for length, value in zip((256, 512), bits, strict=True) if rung]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.ladders.read_run", lambda *_: found)
        return ladder_part(load(), Path()).splitlines()


def test_a_row_a_rung_from_the_smallest_on_the_baseline_first(lines):
    assert lines[0] == "| text | rung | `baseline` | `ssm` | `phasefield` | `phasefield` beside `ssm` |"
    rungs = [line.split(" | ")[1] for line in lines[2:14]]
    assert rungs == [f"N={size} D={data}B" for size in ("30k", "100k", "300k", "1M") for data in ("1M", "3M", "10M")]


def test_a_number_is_the_mean_of_seeds_beside_the_baseline(lines):
    first, last = lines[2].strip("| ").split(" | "), lines[13].strip("| ").split(" | ")
    scores = [point.bits for point in ladders.ladder(np.random.default_rng(3))
              if (point.plugin, point.rung) == ("base", "N=30k D=1MB")]
    assert float(first[2]) == pytest.approx(np.mean(scores), abs=0.005)
    assert first[3].startswith(f"{first[2]}, 1.00× (")
    truth = ladders.loss("new", "text", 1e6, 1e7) / ladders.loss("base", "text", 1e6, 1e7)
    assert float(last[4].split(", ")[1].partition("×")[0]) == pytest.approx(truth, abs=0.02)
    assert last[3] == last[5] == "–"
    truth = ladders.loss("new", "text", 3e4, 1e6) / ladders.loss("base", "text", 3e4, 1e6)
    assert float(first[5].partition("×")[0]) == pytest.approx(truth, abs=0.02)


def test_longer_windows_are_told_at_the_largest_rung_alone(lines):
    told = [line for line in lines if "| T=" in line]
    assert [line.strip("| ").split(" | ") for line in told] == [
        ["`text`", "N=1M D=10MB", "T=256", "2.25", "–", "1.50"],
        ["`text`", "N=1M D=10MB", "T=512", "2.75", "–", "1.50"]]


def test_equal_amounts_and_laws_of_the_newcomer_are_told(lines):
    table = [line for line in lines if line.startswith(("| compute | ", "| data | ", "| time | "))]
    assert [line.split(" | ")[2] for line in table][1] == "3 MB"
    assert any("phasefield needs" in line and "times the compute of baseline" in line for line in lines)
    assert any("times the compute of ssm" in line or line.startswith("no law: ") for line in lines)
    assert sum(line.startswith("held out: phasefield") for line in lines) >= 1
