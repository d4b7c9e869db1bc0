"""Models that change what they are judged by: the loss, the rows and the comparison are in a process of the
referee's, where no code of theirs runs."""

import re

import pytest
import zoo

TAMED = (                       # what they change is in their own process
    "patches-cross-entropy", "patches-score", "patches-row", "enters-a-mode", "returns-a-kind",
    "relabels-targets", "empties-mask")
CAUGHT = {
    "patches-audit": "suffix perturbation at length 96: changing tokens",
    "patches-comparison": "sealed scoring: ",
    "wider-vocabulary": r"logits of shape \(4, 96, 264\) for \(4, 96\) tokens of 257",
    "fewer-targets": r"logits of shape \(4, 95, 257\) for \(4, 96\) tokens of 257",
    "infinite": "not a number",
    "not-a-number": "not a number",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return zoo.verdicts("scoring", (*TAMED, *CAUGHT), tmp_path_factory.mktemp("scoring"))


@pytest.mark.parametrize("name", TAMED)
def test_what_a_model_changes_of_its_own_process_changes_no_score(found, name):
    assert found[name].status == "ok"
    assert found[name].bits > found[zoo.TWIN].bits - 0.01


@pytest.mark.parametrize(("name", "words"), CAUGHT.items())
def test_logits_that_are_none_and_audits_that_always_pass_cost_the_score(found, name, words):
    assert found[name].status != "ok"
    assert re.search(words, found[name].reason)


@pytest.mark.parametrize(("tokenizer", "words"), [
    ("inflated", "token 0 stands for 1 bytes .*, token_bytes says 2"),
    ("lossy", r"document \d+: tokenizer lossy: the tokens of \d+ bytes stand for 1 bytes, other ones from byte \d+ on"),
])
def test_a_tokenizer_that_makes_scores_better_costs_them(tmp_path, tokenizer, words):
    table, done = zoo.run("tokenizers", (), tmp_path, "--tokenizer", tokenizer)
    (row,) = table.to_dict("records")
    assert row["status"] == "audit_failed" and done.returncode == 1
    assert re.search(words, row["reason"])
