"""Merging: cells keep their bytes, machines their names; one cell with two results is refused before anything moves."""

import json

import numpy as np
import pytest
from synthetic import HERE, scored, store

from harness import load_results
from harness.errors import FileError, UsageError
from harness.reading import read_table
from harness.registry import load
from harness.run.merging import merge_runs
from harness.store import Store

REGISTRY = load()


def part(folder, names, machine="here", worse=0.0):
    bits, sizes = np.full(4, 200.0), np.full(4, 100.0)
    made = store(folder, [scored(name, bits + worse, sizes) for name in names], environments={machine: HERE})
    Store(folder).write_manifest({**Store(folder).manifest(), "commands": [{"at": machine, "argv": [machine]}],
                                  "limits": {machine: {"cpu": {"copy": 1.0}}}})
    return made


def test_parts_become_one_run(tmp_path):
    one, two = part(tmp_path / "one", ["ssm", "wave"], "a"), part(tmp_path / "two", ["wave", "brain"], "b")
    merged = merge_runs(REGISTRY, [one, two], tmp_path / "all", ["harness", "merge"])
    for source in (one, two):
        for path in source.glob("cells/*.json"):
            assert (merged.cells / path.name).read_bytes() == path.read_bytes()
    assert {result.label for result in merged.results()} == {"ssm", "wave", "brain"}
    manifest = merged.manifest()
    assert set(manifest["environments"]) == set(manifest["limits"]) == {"a", "b"}
    assert [command["argv"] for command in manifest["commands"]] == [["a"], ["b"], ["harness", "merge"]]
    assert sorted(set(read_table(tmp_path / "all")["plugin"])) == ["brain", "ssm", "wave"]


def test_readers_take_rows_that_keep_the_id_of_the_run_that_measured_them(tmp_path, invoke):
    """Comparison tells them for one measurement, in the merged and in the part; the table and the manifest name all."""
    bits, sizes = np.arange(200.0, 220.0), np.full(20, 100.0)
    parts = [store(tmp_path / name, [scored(name, bits * worse, sizes)], run_id=f"r{name}")
             for name, worse in (("ssm", 1.0), ("brain", 1.1))]
    merged = merge_runs(REGISTRY, parts, tmp_path / "all")
    own = merged.manifest()["run_id"]
    table = read_table(tmp_path / "all")
    assert set(table[table["metric"] == "bits_per_byte"]["run_id"]) == {"rssm", "rbrain"}
    assert set(table["run_id"]) <= {own, *merged.manifest()["merged"]} and merged.manifest()["merged"] == [
        "rssm", "rbrain"]
    code, out, _ = invoke("compare", tmp_path / "all", parts[0], "--json")
    (same,) = [one for line in out.splitlines() if (one := json.loads(line)).get("metric") == "bits_per_byte"
               and one.get("plugin", "ssm") == "ssm" and one.get("ratio") is not None]
    assert same["ratio"] == 1
    code, out, _ = invoke("compare", tmp_path / "all", "--plugins", "brain,ssm")
    assert code == 0 and "20 documents" in out
    assert load_results(tmp_path / "all").ratio(to="ssm")["value"].tolist() == pytest.approx([1.1])
    for arguments in (("report", tmp_path / "all", "-o", tmp_path / "r.html"), ("show", tmp_path / "all")):
        assert invoke(*arguments)[0] == 0


def test_merging_again_or_one_more_changes_no_cell(tmp_path):
    one, two = part(tmp_path / "one", ["ssm"]), part(tmp_path / "two", ["brain"])
    merged = merge_runs(REGISTRY, [one], tmp_path / "all")
    run = merged.manifest()["run_id"]
    before = {path: path.stat().st_mtime_ns for path in merged.cells.iterdir()}
    merge_runs(REGISTRY, [one, two], tmp_path / "all")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {result.label for result in merged.results()} == {"ssm", "brain"}
    assert merged.manifest()["run_id"] == run


def test_weights_come_along(tmp_path):
    one = part(tmp_path / "one", ["ssm"])
    (name,) = (path.stem for path in one.glob("cells/*.json"))
    (one / "weights" / name).mkdir(parents=True)
    (one / "weights" / name / "weights.safetensors").write_bytes(b"some")
    merged = merge_runs(REGISTRY, [one], tmp_path / "all")
    assert (merged.weights / name / "weights.safetensors").read_bytes() == b"some"


def test_a_cell_with_two_results_is_refused_and_nothing_is_written(tmp_path):
    one, two = part(tmp_path / "one", ["ssm", "wave"]), part(tmp_path / "two", ["wave"], worse=1.0)
    with pytest.raises(FileError, match=r"measured twice: .*one.* and .*two.* differ; delete"):
        merge_runs(REGISTRY, [one, two], tmp_path / "all")
    assert not (tmp_path / "all").exists()
    with pytest.raises(UsageError, match="into itself"):
        merge_runs(REGISTRY, [one, two], one)


@pytest.mark.parametrize("content", ["", "[]", '{"cell": {"id": "other"}}'])
def test_a_corrupt_cell_is_one_line(tmp_path, content):
    one = part(tmp_path / "one", ["ssm"])
    (path,) = one.glob("cells/*.json")
    path.write_text(content)
    with pytest.raises(FileError, match=r"is corrupt .*; delete it and run again"):
        merge_runs(REGISTRY, [one], tmp_path / "all")


def test_a_copied_cell_passes_for_no_other(tmp_path):
    one = part(tmp_path / "one", ["ssm"])
    (path,) = one.glob("cells/*.json")
    forged = json.loads(path.read_text())
    path.with_name("c123.json").write_text(json.dumps(forged))
    with pytest.raises(FileError, match="it holds cell"):
        merge_runs(REGISTRY, [one], tmp_path / "all")
