"""Synthetic tasks at the workbench: epochs of a training set, an oracle at 1, known chances at a distance of 0."""

import itertools

import numpy as np
import pytest
import torch

from harness.bench import exercises as module
from harness.bench.exercises import Exercises
from harness.data.abilities.sizes import Task
from harness.data.abilities.stream import IGNORED
from harness.data.abilities.table import ABILITIES, Size, alike

VOCAB, EDGE = 16, {"letters": 5, "states": 5, "strings": (2, 3), "longest": 4, "length": 16}


def exercises(name, size=None, batch_size=4):
    return Exercises(Task(ABILITIES[name], size or ABILITIES[name].quick), batch_size)


def one_hot(tokens, vocab=VOCAB):
    return torch.nn.functional.one_hot(tokens, vocab).float()


def test_an_epoch_is_the_training_set_in_another_order_each_time():
    size = Size(((10, {"vocab": 16, "length": 16, "pairs": 2}), (6, {"vocab": 16, "length": 20, "pairs": 2})), ())
    batches = list(itertools.islice(exercises("mqar:64x4", size).practice(0), 10))      # 3 and 2 a setting, twice
    epochs = [[tuple(row) for inputs, _, _ in part for row in inputs.tolist()] for part in (batches[:5], batches[5:])]
    assert len(set(epochs[0])) == 16
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert epochs[0] != epochs[1]
    assert sorted(inputs.shape[0] for inputs, _, _ in batches[:5]) == [2, 2, 4, 4, 4]
    assert all(inputs.shape == targets.shape and count == inputs.numel() for inputs, targets, count in batches)
    again = next(exercises("mqar:64x4", size).practice(0))
    assert torch.equal(again[0], batches[0][0])


def test_who_practises_again_reads_the_same_however_far_others_came(monkeypatch):
    """Kept batches are those that are drawn; a model that writes into its texts spoils no other's."""
    size = Size(((64, {"vocab": 16, "length": 16, "pairs": 2}),), ())
    monkeypatch.setattr(module, "KEPT_TOKENS", 6 * 4 * 16)                  # of the 16 batches of an epoch
    fresh = [inputs.clone() for inputs, _, _ in itertools.islice(exercises("mqar:64x4", size).practice(0), 20)]
    shared = exercises("mqar:64x4", size)
    for batches in (3, 20, 5, 20):
        for expected, (inputs, targets, _) in zip(fresh, itertools.islice(shared.practice(0), batches), strict=False):
            assert torch.equal(inputs, expected)
            inputs.zero_()
            targets.zero_()
    one, other = shared.practice(1), shared.practice(1)
    together = [torch.equal(a[0], b[0]) for a, b in itertools.islice(zip(one, other, strict=True), 12)]
    assert all(together) and not torch.equal(next(shared.practice(1))[0], fresh[0])


def test_who_knows_the_answers_has_them_all_and_who_answers_the_same_has_chance():
    task, setting = exercises("parity"), {"shortest": 3, "length": 16}

    def oracle(tokens, state):
        return one_hot((tokens.masked_fill(tokens == 2, 0)).cumsum(1) % 2), state

    assert (task.right_answers(oracle, setting, 30, 0) == 1).all()
    constant = task.right_answers(lambda tokens, state: (one_hot(torch.ones_like(tokens)), state), setting, 1000, 0)
    assert abs(constant.mean() - 0.5) < 5 * 0.5 / 1000**0.5


def test_texts_to_test_on_are_not_practised():
    size, seen = alike(50, 50, group="A5", length=8), set()
    for inputs, _, _ in itertools.islice(exercises("a5", size).practice(0), 13):
        seen |= {tuple(row) for row in inputs.tolist()}
    sample = exercises("a5", size).sample(50, 0).reshape(50, 8)
    assert len(seen) == 50
    assert not seen & {tuple(row) for row in sample.tolist()}


def test_known_chances_are_at_no_distance_from_themselves():
    task, texts = exercises("regbench", alike(1, 1, **EDGE)), iter(range(9))

    def informed(tokens, state):
        logits = torch.full((*tokens.shape, VOCAB), -torch.inf, dtype=torch.float64)
        for row in range(len(tokens)):
            known = task.ability.chances(EDGE, "test", 0, next(texts), tokens[row].numpy())
            logits[row, :, :7] = torch.from_numpy(known).log()
        return logits, state

    found = task.distances(informed, EDGE, 9, 0)
    assert abs(found.excess_bits).max() < 1e-9
    assert found.total_variation.max() < 1e-9
    assert (found.allowed == 1).all()


def test_distances_of_a_uniform_guess_by_hand():
    task = exercises("regbench", alike(1, 1, **EDGE))
    found = task.distances(lambda tokens, state: (torch.zeros(*tokens.shape, VOCAB), state), EDGE, 6, 0)
    for index in range(6):
        text = task.ability.text(EDGE, "test", 0, index)
        bits, variation, allowed = [], [], []
        for row in task.ability.chances(EDGE, "test", 0, index, text.inputs)[text.targets != IGNORED].tolist():
            bits.append(sum(p * np.log2(p * VOCAB) for p in row if p))
            variation.append(sum(abs(p - 1 / VOCAB) for p in [*row, *[0] * (VOCAB - 7)]) / 2)
            allowed.append(row[0] > 0)                      # the first of equals is taken
        assert found.excess_bits[index] == pytest.approx(np.mean(bits))
        assert found.total_variation[index] == pytest.approx(np.mean(variation))
        assert found.allowed[index] == pytest.approx(np.mean(allowed))
