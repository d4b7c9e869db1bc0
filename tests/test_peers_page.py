"""The table of peers: the fewest bits first, each number beside the baseline's, what gave none says its status."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.evidence.comparison.compare import Comparison
from harness.registry import load
from harness.store import Row
from tools import peers, values

BITS = {"suite": "perplexity", "metric": "bits_per_byte", "phase": "score"}
TRAIN = {"suite": "throughput", "metric": "tokens_per_s", "phase": "train"}


def result(label, place, value, corpus="", params=30_000, reason=""):
    row = Row("r", "c", **place, value=value, corpus=corpus, params=params, reason=reason,
              status="unsupported" if value is None else "ok")
    return SimpleNamespace(label=label, rows=[row])


@pytest.fixture
def page(monkeypatch):
    """Lines of the table of some results, and the pairs that were compared: bits of gru are 1.25 of the baseline's."""
    def lines(*results):
        rows = [row for one in results for row in one.rows]
        run = SimpleNamespace(results=results, rows=rows, environments={"e": {"packages": {"transformers": "5.24.0"}}})
        monkeypatch.setattr(peers, "read_run", lambda *_: run)
        monkeypatch.setattr(values, "compare_runs", lambda *_, plugins: compared.append(plugins) or [Comparison(
            **place, unit="", better="", plugin_a=plugins[0], plugin_b=plugins[1], seq_len=256, batch_size=4,
            verdict="", scale="ratio", effect=1.25, low=1.0, high=1.5, corpus=corpus)
            for place, corpus in ((BITS, "docstrings"), (BITS, "stdlib")) if "gru" in plugins])
        return peers.peers_part(load(), Path()).splitlines()

    compared = []
    return lines, compared


def test_the_fewest_bits_of_the_first_corpus_come_first_and_seeds_are_averaged(page):
    lines, compared = page[0], page[1]
    found = lines(
        result("baseline", BITS, 3.0, "docstrings", reason="tuned: conv=4"), result("baseline", BITS, 2.0, "stdlib"),
        result("baseline", TRAIN, 1000.0), result("gru", BITS, 2.0, "docstrings"),
        result("gru", BITS, 3.0, "docstrings"), result("gru", BITS, 2.25, "stdlib"),
        result("gru", TRAIN, None), result("lstm", BITS, None, "docstrings"))
    assert found[0] == "| plugin | params | bits/byte, `docstrings` | bits/byte, `stdlib` | train tokens/s |"
    assert [line[2:line.index("`", 3)] for line in found[2:5]] == ["`gru", "`baseline", "`lstm"]
    assert found[2].strip(" |").split(" | ")[2:] == [
        "2.50, 1.25× (1.00–1.50)", "2.25, 1.25× (1.00–1.50)", "unsupported"]
    assert found[3].strip(" |").split(" | ")[2:] == ["3 (`conv=4`)", "2", "1000"]
    assert found[4].strip(" |").split(" | ")[2:] == ["unsupported", "–", "–"]
    assert sorted(set(compared)) == [("baseline", "gru"), ("baseline", "lstm")]
