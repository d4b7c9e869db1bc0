"""A run as records of Every Eval Ever: every score with its interval, and nothing lost that has no place in the schema.

Their own validator is asked where it is installed; it needs Python 3.12.
"""

import json
import os
import re

import pytest
from exports import exportable

from harness.bridges.every_eval_ever import EXTENSION, export_every_eval_ever
from harness.errors import FileError
from harness.reading import Run


@pytest.fixture
def run(tmp_path):
    return exportable(tmp_path / "run")

def exported(run, folder):
    export_every_eval_ever(run, folder)
    records = {path.parent.name: (path, json.loads(path.read_text())) for path in folder.glob("data/*/*/*/*.json")}
    return records, [json.loads(line) for line in (folder / EXTENSION).read_text().splitlines()]


def test_a_score_stands_with_its_interval_and_setting(run, tmp_path):
    records, _ = exported(run, tmp_path / "out")
    path, record = records["ssm,layers=1"]
    first, second = record["evaluation_results"]
    assert first["score_details"]["score"] == 2.5
    assert first["score_details"]["uncertainty"] == {
        "confidence_interval": {"lower": 2.4, "upper": 2.75, "confidence_level": 0.95}}
    assert first["metric_config"] | {"evaluation_description": ""} == {
        "evaluation_description": "", "metric_id": "qllm-harness.bits_per_byte", "metric_name": "bits_per_byte",
        "metric_unit": "bits/byte", "lower_is_better": True, "score_type": "continuous", "min_score": 0,
        "max_score": "Infinity"}
    assert first["score_details"]["details"] == {"seq_len": "64", "seed": "1", "cell_id": "c1", "params": "100"}
    assert "uncertainty" not in second["score_details"]
    assert "score_type" not in second["metric_config"]          # of which no bounds are known
    assert record["model_info"]["name"] == "ssm:layers=1"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", path.stem)


def test_what_the_schema_has_no_place_for_is_kept(run, tmp_path):
    records, further = exported(run, tmp_path / "out")
    details = records["ssm,layers=1"][1]["source_metadata"]["additional_details"]
    assert details == {"no quality peak_bytes (seq_len=64, seed=1)": "oom: 9 GB",
                       "claim ssm-claim": "refuted: “it is better”"}
    name = records["ssm,layers=1"][1]["evaluation_id"]
    assert [(one["kind"], one.get("row", {}).get("metric")) for one in further] == [
        ("fact", "gate_mean"), ("failure", "peak_bytes"), ("verdict", None), ("verdict", None)]
    assert further[1]["row"]["reason"] == "9 GB"
    assert [one["evaluation_ids"] for one in further[2:]] == [[name], []]
    assert further[2]["verdict"]["findings"][0]["rule"] == "a rule"


def test_an_export_of_the_same_run_has_the_same_names(run, tmp_path):
    names = [{path.name for path, _ in exported(run, tmp_path / place)[0].values()} for place in ("a", "b")]
    assert names[0] == names[1]
    assert {path.parent.name for path in tmp_path.glob("a/data/*/*/*/*.json")} == {"ssm,layers=1", "a_b_x_y"}


def test_their_validator_passes_it(run, tmp_path, monkeypatch):
    validate = pytest.importorskip("every_eval_ever.validator.validate")
    exported(run, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    assert validate.main(["data/*/*/*/*.json"]) == 0            # 1 for errors, 2 for warnings


def test_a_run_without_rows_and_a_folder_in_use_are_one_line(run, tmp_path):
    with pytest.raises(FileError, match="holds no row of a model"):
        export_every_eval_ever(Run("empty", []), tmp_path / "out")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "x").touch()
    with pytest.raises(FileError, match="holds other files"):
        export_every_eval_ever(run, tmp_path / "used")
    if os.geteuid():
        (tmp_path / "shut").mkdir(mode=0o500)
        with pytest.raises(FileError, match="cannot write"):
            export_every_eval_ever(run, tmp_path / "shut" / "out")
