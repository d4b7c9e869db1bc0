"""Recall at the workbench and as a suite: masks, equal texts, an oracle at 1, a leak without a score."""

import itertools

import numpy as np
import pytest
import torch

from harness import Request, load_results, stats
from harness.bench.recall import Recall
from harness.data.abilities.mixture import LETTERS
from harness.data.abilities.stream import IGNORED
from harness.registry import load
from harness.run.choices import choose

SEQ_LEN, VOCAB = 64, 257
RECALL = Recall(SEQ_LEN, 8)


def oracle(tokens, state=None):
    """What followed the last time the same token came: the rule of every task but copy."""
    logits = torch.zeros(*tokens.shape, VOCAB)
    for row, text in enumerate(tokens.tolist()):
        for t, token in enumerate(text):
            if token in text[:t]:
                logits[row, t, text[t - text[:t][::-1].index(token)]] = 1
    return logits, state


@pytest.mark.parametrize("case", [case for case in RECALL.cases if case.name != "copy"], ids=str)
def test_an_oracle_answers_everything_and_a_constant_stays_at_chance(case):
    assert (RECALL.right_answers(oracle, case, 20, seed=0) == 1).all()

    def constant(tokens, state=None):
        return torch.nn.functional.one_hot(torch.full_like(tokens, int(LETTERS[-3])), VOCAB).float(), state

    shares = RECALL.right_answers(constant, case, 512, seed=0)
    assert len(shares) == 512
    assert abs(shares.mean() - case.chance) < 5 * shares.std() / 512**0.5


def test_practice_is_the_same_for_every_model_and_never_held_out():
    def texts(seed, batches=20):
        return [inputs for inputs, _, _ in itertools.islice(RECALL.practice(seed, 10_000), batches)]

    first, again, other = texts(0), texts(0), texts(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, other, strict=True))
    practised, heldout = {tuple(row) for batch in first for row in batch.tolist()}, set()

    def forward(tokens, state=None):
        heldout.update(map(tuple, tokens.tolist()))
        return torch.zeros(*tokens.shape, VOCAB), state

    cases = [case for case in RECALL.cases if case.name != "needle"]        # one pair has a few hundred texts in all
    for case in cases:
        RECALL.right_answers(forward, case, 32, seed=0)
    assert len(heldout) == 32 * len(cases)
    assert not practised & heldout


def test_practice_goes_from_short_texts_to_the_scored_length():
    """Equal tokens a batch, some answers in each, bytes counted as tokens."""
    lengths = []
    for inputs, targets, size in itertools.islice(RECALL.practice(0, 100 * 8 * SEQ_LEN), 100):
        assert inputs.numel() == targets.numel() == size == 8 * SEQ_LEN
        assert (targets != IGNORED).any()
        lengths.append(inputs.shape[1])
    assert lengths == sorted(lengths)
    assert (min(lengths), max(lengths)) == (16, SEQ_LEN)


def test_the_sample_for_the_audit_holds_every_case():
    sample = RECALL.sample(2, seed=0)
    assert len(sample) == 2 * SEQ_LEN * len(RECALL.cases)
    assert set(sample.tolist()) == set(LETTERS.tolist())


# As a suite

def cells(*plugins, **request):
    registry = load()
    return list(registry.suite("recall").plan(Request(choose(registry, plugins), **request)))


def test_every_seed_and_length_is_a_cell_that_needs_the_search_of_its_plugin_and_length():
    found = cells("baseline", "ssm", seeds=(0, 1), seq_lens=(32, 64))
    searches = {cell.id: cell for cell in found if cell.get("role") == "search"}
    scores = [cell for cell in found if cell.get("role") == "score"]
    assert len({cell.id for cell in found}) == len(found) == 4 + 8
    for cell in scores:
        (need,) = cell.needs
        assert (searches[need].plugin, searches[need].seq_len) == (cell.plugin, cell.seq_len)
        assert searches[need].get("budget_bytes") == cell.get("budget_bytes")
    (given,) = cells("ssm", lr=1e-3, budgets=(5000,))
    assert (given.get("lr"), given.get("budget_bytes"), given.needs) == (1e-3, 5000, ())


def test_heads_are_untied_unless_the_user_decides():
    labels = [cell.label for cell in cells("baseline", "ssm:tied=true", "phasefield:as_published=true", lr=1e-3)]
    assert labels == ["baseline:tied=false", "ssm:tied=true", "phasefield:as_published=true"]


def test_a_leak_costs_every_accuracy(command, toy, tmp_path):
    done = command("run", "-p", toy, "--suite", "recall", "--plugins", "toy:fault=leak", "--params", "2k", "--budget",
                   "20k", "--seq-len", "24", "--lr", "3e-3", "--out", tmp_path / "run")
    assert done.returncode == 1, done.stderr
    table = load_results(tmp_path / "run")
    assert not table["metric"].str.contains("accuracy", na=False).any()
    (row,) = table[table["status"] == "audit_failed"].to_dict("records")
    assert "suffix perturbation at length 24" in row["reason"]
    assert "audit_failed" in done.stdout


@pytest.mark.parametrize(("share", "n", "low", "high"), [(0.5, 10, 0.2366, 0.7634), (0.0, 10, 0.0, 0.2775),
                                                         (1.0, 128, 0.9709, 1.0)])
def test_intervals_of_shares_are_wilsons(share, n, low, high):
    """0 of n: [0, z^2 / (n + z^2)]; the rest from the textbook formula (Brown, Cai and DasGupta 2001, eq. 4)."""
    found = stats.share_interval(share, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_intervals_of_shares_hold_their_value_to_the_last_bit():
    for n in range(1, 400):
        for share in (0.0, 1.0):
            found = stats.share_interval(share, n)
            assert found.low <= share <= found.high


def test_intervals_of_shares_cover():
    generator = np.random.default_rng(0)
    for p in (0.03, 0.3, 0.9):
        successes = generator.binomial(128, p, size=2000) / 128
        covered = [stats.share_interval(float(s), 128) for s in successes]
        assert 0.93 < np.mean([e.low <= p <= e.high for e in covered]) < 0.98
