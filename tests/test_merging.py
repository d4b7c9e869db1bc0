"""Merging: cells keep their bytes, machines their names; one cell with two results is refused before anything moves."""

import json

import numpy as np
import pytest
from synthetic import HERE, scored, store

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
