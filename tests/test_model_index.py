"""Model cards: the head is YAML that the hub's own parser reads, with the numbers that were measured."""

import pytest
from conftest import ROOT
from exports import ROWS, exportable

from harness.bridges.model_index import export_model_index, yaml_lines
from harness.commands.export import OF_A_RUN
from harness.suite import Suite

SUITES = {"quality": Suite("quality", "of texts", lambda request: [], lambda cell, bench: None,
                           primary=("bits_per_byte", "peak_bytes"))}
NEST = {"a": [1, 2.5, 1e-05, 1e+30, -3e-12], "b": {"c": 'text: "with" é\n', "d": [{"e": True, "f": None}, []]},
        "g": ["yes", "1e5", "- x", "#"]}


@pytest.fixture
def run(tmp_path):
    return exportable(tmp_path / "run")


def test_the_head_is_yaml():
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load("\n".join(yaml_lines(NEST))) == NEST


def test_a_card_holds_the_primary_scores_and_what_failed(run, tmp_path):
    assert export_model_index(run, tmp_path / "cards", SUITES) == "2 cards with 2 scores"
    text = (tmp_path / "cards" / "ssm,layers=1" / "README.md").read_text()
    assert "| quality | bits_per_byte | seq_len=64, seed=1 | 2.50" in text
    assert "- quality peak_bytes (seq_len=64, seed=1): oom, 9 GB" in text
    assert "gate_mean" not in text
    assert "accuracy" not in text


def test_the_hubs_parser_finds_every_score(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    export_model_index(run, tmp_path / "cards", {})
    card = hub.ModelCard.load(tmp_path / "cards" / "ssm,layers=1" / "README.md")
    found = {result.metric_type: result for result in card.data.eval_results}
    assert card.data.model_name == "ssm:layers=1"
    assert {name: result.metric_value for name, result in found.items()} == {
        row.metric: row.value for row in ROWS[:2]}
    result = found["bits_per_byte"]
    assert (result.dataset_type, result.dataset_revision, result.task_type) == ("text", "ab", "text-generation")
    assert result.metric_args["ci_high"] == 2.75


@pytest.mark.parametrize("form", OF_A_RUN)
def test_the_command_writes_a_folder(invoke, tmp_path, form):
    code, out, _ = invoke("export", ROOT / "results/reference/demo", "--format", form, "-o", tmp_path / "new")
    assert (code, out.startswith(f"{tmp_path / 'new'}: 2 ")) == (0, True)
    assert [*(tmp_path / "new").rglob("*.json"), *(tmp_path / "new").rglob("README.md")]


@pytest.mark.parametrize(("arguments", "code", "reason"), [
    (("nowhere", "--format", "model-index"), 4, "no results at nowhere"),
    ((ROOT / "results/reference/demo", "--format", "model-indexx"), 2, "did you mean 'model-index'?"),
])
def test_what_cannot_be_exported_is_one_line(invoke, tmp_path, arguments, code, reason):
    found, out, err = invoke("export", *arguments, "-o", tmp_path / "new")
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert reason in err
    assert not (tmp_path / "new").exists()
