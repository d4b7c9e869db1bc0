"""Texts of a generator beside those of an independent one, told apart by what they hold on average."""

from itertools import pairwise

import numpy as np

from harness.data.abilities.stream import IGNORED, Stream


def texts(draw, n, part="test", seed=0, **setting):
    return [draw(Stream("a task", part, seed, index), **setting) for index in range(n)]


def answers(text):
    """Place and target of all that is asked."""
    return [(place, int(text.targets[place])) for place in np.flatnonzero(text.targets != IGNORED)]


def features(text, vocab):
    """How often each token stands in the inputs, in either half of them and in the targets; how many targets there are,
    where they lie, and what distinct tokens there are."""
    inputs, targets = (np.asarray(side) for side in text)
    where = np.flatnonzero(targets != IGNORED)
    half = len(inputs) // 2
    return np.concatenate([
        np.bincount(inputs[:half], minlength=vocab), np.bincount(inputs[half:], minlength=vocab),
        np.bincount(targets[where], minlength=vocab),
        [len(where), where.mean() if len(where) else 0, where.std() if len(where) else 0, len(set(inputs.tolist())),
         (inputs[1:] == inputs[:-1]).mean(), len(set(pairwise(inputs.tolist())))]])


def furthest(first, second, vocab):
    """The largest difference of two lists of texts, in standard errors."""
    a, b = (np.array([features(text, vocab) for text in side]) for side in (first, second))
    error = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
    gap = np.abs(a.mean(0) - b.mean(0))
    assert (gap[error == 0] == 0).all()
    return (gap[error > 0] / error[error > 0]).max()
