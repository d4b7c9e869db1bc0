"""Store: a finished cell is whole on disk or not there; what is corrupt or foreign is told in one line."""

import json
import math
import os
import subprocess
import sys
import time

import pytest

from harness import load_results
from harness.errors import FileError
from harness.run.cells import Cell
from harness.store import COLUMNS, SCHEMA, CellResult, Row, Store, finite, to_frame

MANIFEST = {"schema": SCHEMA, "harness": "0.1.0", "run_id": "r", "commands": [], "environments": {}, "limits": {}}


def result(cell_id="a" * 16, **row):
    row = Row(cell_id=cell_id, metric="m", value=1.5, **row)
    return CellResult(Cell("s", "p").record() | {"id": cell_id, "needs": []}, [row], {"t": [1.0, 2.0]})


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "run")
    made.write_manifest(MANIFEST)
    return made


def test_a_cell_reads_back_as_it_was_written(store):
    written = result(seed=0, seq_len=128, ci_low=-0.0, status="error", reason="étrange\n")
    written.environment = "here"
    store.write(written)
    assert store.read(written.id) == written
    assert store.read("b" * 16) is None
    assert not [p.name for p in store.cells.iterdir() if p.name != f"{written.id}.json"]


def test_numbers_that_json_lacks_become_none(store):
    odd = result()
    odd.rows[0].value, odd.raw = math.nan, {"t": [math.inf, (1.0, -math.inf)], "n": {"x": math.nan}}
    store.write(odd)
    read = store.read(odd.id)
    assert read.rows[0].value is None
    assert read.raw == {"t": [None, [1.0, None]], "n": {"x": None}}
    assert finite(2) == 2


def test_results_come_in_the_order_of_their_measurement(store):
    for name, at in (("a", "2026-03-01"), ("b", "2026-01-01"), ("c", "2026-02-01")):
        store.write(result(name, started_at=at))
    assert [r.id for r in store.results()] == ["b", "c", "a"]


WRITER = """
import os, sys
from harness.store import Store, CellResult, Row
store = Store(sys.argv[1])
big = CellResult({"id": "x", "suite": "s", "plugin": "p"}, [], {"t": list(range(20_000))})
print("ready", flush=True)
while True:
    store.write(big)
"""


def test_a_cell_is_whole_whenever_it_is_read_and_after_its_writer_was_killed(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "run")], stdout=subprocess.PIPE,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    try:
        writer.stdout.readline()
        store, read = Store(tmp_path / "run"), []
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            read += [result for result in [store.read("x")] if result]
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert read
    assert {len(result.raw["t"]) for result in [*read, *store.results()]} == {20_000}


def test_an_interrupted_write_leaves_what_was_there(store, monkeypatch):
    store.write(result(seed=1))
    monkeypatch.setattr(os, "fsync", lambda descriptor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write(result(seed=2))
    assert [r.rows[0].seed for r in store.results()] == [1]
    assert len(list(store.cells.iterdir())) == 1


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '"text"', "{}", '{"cell": {"id": "other"}, "rows": [], "raw": {}, "environment": ""}',
    '{"cell": {"id": "x"}, "rows": [1], "raw": {}, "environment": ""}', '{"cell": [], "rows": []}', "\x00\x01",
    '{"cell": {"id": "x"}, "rows": [], "environment": ""}',
])
def test_a_corrupt_cell_is_named(store, text):
    (store.cells / "x.json").write_text(text)
    with pytest.raises(FileError, match=r"x\.json is corrupt .*; delete it and run again"):
        store.read("x")
    with pytest.raises(FileError, match=r"x\.json is corrupt"):
        store.results()


def test_every_truncation_of_a_cell_is_noticed(store):
    store.write(result("x"))
    whole = (store.cells / "x.json").read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        (store.cells / "x.json").write_bytes(whole[:length])
        with pytest.raises(FileError):
            store.read("x")


@pytest.mark.parametrize(("manifest", "words"), [
    ("{", "is corrupt"), ("\x80", "is corrupt"),
    ("[]", "not written by this harness"), ("{}", "not written by this harness"),
    ('{"name": "my-app", "version": "1"}', "not written by this harness"),
    (json.dumps({**MANIFEST, "schema": "1"}), "not written by this harness"),
    (json.dumps({**MANIFEST, "limits": []}), "not written by this harness"),
    (json.dumps({**MANIFEST, "schema": SCHEMA + 1}), "newer than"),
])
def test_a_directory_that_is_not_ours_is_refused(tmp_path, manifest, words):
    (tmp_path / "manifest.json").write_text(manifest, encoding="latin-1")
    for create in (True, False):
        with pytest.raises(FileError, match=words) as refused:
            Store(tmp_path, create=create)
        assert refused.value.exit_code == 4
    assert not (tmp_path / "cells").exists()


def test_a_directory_with_other_files_is_refused_untouched(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FileError, match=r"holds other files \(thesis\.tex\) and no manifest"):
        Store(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_cells_survive_a_manifest_that_was_moved_away(store):
    store.write(result())
    store.write_tables()
    store.manifest_path.unlink()
    assert [r.id for r in Store(store.directory).results()] == ["a" * 16]


@pytest.mark.parametrize(("place", "words"), [
    ("file", "is a file, not a results directory"), ("file/below", "cannot write results to .*Not a directory"),
    ("x" * 300, "cannot write results to .*name too long"),
])
def test_a_place_that_cannot_hold_results_is_refused(tmp_path, place, words):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=words):
        Store(tmp_path / place)


def test_a_disk_that_takes_no_more_is_one_clear_line(store):
    (store.directory / "cells" / f"{'a' * 16}.json").mkdir()           # os.replace cannot put a file there
    with pytest.raises(FileError, match=r"cannot write .*Is a directory"):
        store.write(result())
    assert [p.name for p in store.cells.iterdir()] == [f"{'a' * 16}.json"]


def test_tables_hold_every_row_with_fixed_types(store):
    store.write(result(seed=3))
    table = store.write_tables([Row(metric="derived", status="error", reason="none")])
    for loaded in (table, load_results(store.directory)):
        assert tuple(loaded.columns) == COLUMNS
        assert loaded["metric"].tolist() == ["m", "derived"]
        assert str(loaded["seed"].dtype) == "Int64"
        assert str(loaded["value"].dtype) == "float64"
        assert str(loaded["params"].dtype) == "Int64"
    assert (store.directory / "table.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert {p.name for p in store.directory.iterdir()} == {"cells", "manifest.json", "table.csv", "table.parquet"}


@pytest.mark.parametrize("name", ["007", "1e5", "12", "nan", "inf", "=1+1", "@x", "-2"])
def test_no_text_of_the_csv_table_is_taken_for_a_number_or_a_formula(store, name):
    pandas = pytest.importorskip("pandas")
    store.write(result(corpus=name))
    store.write_tables()
    read, exact = pandas.read_csv(store.directory / "table.csv"), pandas.read_parquet(store.directory / "table.parquet")
    assert list(read["corpus"]) == ["'" + name]
    assert list(exact["corpus"]) == [name]
    assert list(read["value"]) == list(exact["value"])


def test_results_load_without_tables_and_not_from_nowhere(store, tmp_path):
    store.write(result())
    assert load_results(store.directory)["value"].tolist() == [1.5]
    (store.directory / "table.parquet").write_text("PAR1")
    with pytest.raises(FileError, match=r"table\.parquet is corrupt"):
        load_results(store.directory)
    with pytest.raises(FileError, match="no results at"):
        load_results(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_table_keeps_its_columns():
    assert tuple(to_frame([]).columns) == COLUMNS
