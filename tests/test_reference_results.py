"""The shipped results are read back as they are, by readers that know nothing of their types."""

import json
import re

import pandas
import pytest
from conftest import ROOT

from harness.reading import read_table
from harness.store import Store

RUNS = sorted(path.parent for path in (ROOT / "results/reference").glob("*/manifest.json"))
IDS = ("run_id", "cell_id", "corpus_sha256")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|n/?a|null|none|inf(inity)?", re.IGNORECASE)


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_ids_are_texts_to_a_reader_without_types(run):
    """9701399304e6 was 9.7e15 in pandas and in spreadsheets, which take each value for itself."""
    loose, typed = pandas.read_csv(run / "table.csv"), pandas.read_parquet(run / "table.parquet")
    for name in IDS:
        texts = typed[name].replace("", pandas.NA)
        assert [None if pandas.isna(one) else one for one in loose[name]] == [
            None if pandas.isna(one) else one for one in texts]
        assert not [text for text in texts.dropna().unique() if NUMBER.fullmatch(text)]
    merged = loose[["run_id", "cell_id", "metric"]].merge(typed, on=["run_id", "cell_id", "metric"])
    assert len(merged) >= len(typed[typed["metric"] != ""])
    assert len(read_table(run)) == len(typed)


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.name)
def test_every_id_leads_to_its_cell(run):
    store = Store(run, create=False)
    ids = {result.id for result in store.results()}
    assert not [one for one in ids if NUMBER.fullmatch(one)]
    table = read_table(run)
    assert set(table["cell_id"].dropna()) - {""} <= ids
    manifest = store.manifest()
    assert set(table["run_id"]) <= {manifest["run_id"], *manifest.get("merged", ())}
    assert {row.cell_id for result in store.results() for row in result.rows} <= ids
    verdicts = run / "verdicts.json"
    named = json.loads(verdicts.read_text())["verdicts"] if verdicts.exists() else []
    assert {cell for one in named for finding in one["findings"] for cell in finding["cells"]} <= ids
