"""The six tasks of MAD: recall, also noisy and fuzzy, selective copying, compression, memorisation. (no torch)

Specification: Poli et al. 2024, Mechanistic Design and Scaling of Hybrid Architectures, and the code beside it.
Texts to train on ask for every next token in the recall tasks; texts to test on ask for the value of each key seen
before.

Where the published texts have a trap:

- in a few fuzzy ones the last key has not been seen before, and nobody can answer it; here it always has;
- compression counts the last token, which is the same in every text, 1/T of the accuracy for nothing: as theirs with
  `marker`, without it here;
- the gaps of selective copying come from a generator of the whole process; here they belong to the text.
"""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .stream import Stream, Text, asked

MOTIF = 3                               # tokens of the longest key and of the longest value in fuzzy recall


def context_recall(stream: Stream, *, vocab: int, length: int, noise_vocab: int = 0, noise: float = 0.0) -> Text:
    """Pairs of key and value, keys drawn again and again, each with one value throughout; inputs (length - 1,).

    A pair is two tokens of noise instead with the chance `noise`, but one at least is none. The last key has come.
    """
    meaning, pairs = vocab - noise_vocab, length // 2
    if meaning < 2 or length < 4 or length % 2:
        raise UsageError(f"in-context recall needs 2 tokens beside noise and an even length of at least 4, not "
                         f"{meaning} and {length}")
    values = meaning // 2 + stream.below(meaning - meaning // 2, meaning // 2)      # of each key
    keys = stream.below(meaning // 2, pairs)
    quiet = stream.shares(pairs) >= noise
    quiet[stream.one(0, pairs - 2)] = quiet[-1] = True
    seen = np.unique(keys[:-1][quiet[:-1]])
    keys[-1] = seen[stream.one(0, len(seen) - 1)]
    tokens = np.stack([keys, values[keys]], 1)
    tokens[~quiet] = meaning + stream.below(max(noise_vocab, 1), 2 * pairs).reshape(pairs, 2)[~quiet]
    known = np.zeros((pairs, 2), bool)
    known[:, 1] = quiet
    known[np.flatnonzero(quiet)[np.unique(keys[quiet], return_index=True)[1]]] = False      # the first of its key
    if stream.part == "train":
        known[:] = True
    flat = tokens.ravel()
    return Text(flat[:-1], asked(flat, known.ravel())[1:])


def fuzzy_recall(stream: Stream, *, vocab: int, length: int) -> Text:
    """Recall whose keys and values are 1 … 3 distinct tokens, in test keys always 3; pads (V - 1) at the left.

    Keys and values are of different tokens, so it is plain where each ends.
    """
    key_tokens = (vocab - 1) // 2
    if key_tokens < MOTIF or length < 4 * MOTIF:
        raise UsageError(f"fuzzy recall needs {2 * MOTIF + 1} tokens and a length of {4 * MOTIF}, not {vocab} "
                         f"and {length}")
    shortest = 1 if stream.part == "train" else MOTIF
    values: dict[tuple[int, ...], np.ndarray] = {}
    tokens, known = list[int](), list[bool]()
    while True:
        key = tuple(stream.distinct(key_tokens, stream.one(shortest, MOTIF)).tolist())
        value = key_tokens + stream.distinct(vocab - 1 - key_tokens, stream.one(1, MOTIF))
        last = len(tokens) + 4 * MOTIF > length + 1                 # no room for two further pairs of any size
        if last:
            key = list(values)[stream.one(0, len(values) - 1)]
        repeated = key in values
        value = values.setdefault(key, value)
        tokens += [*key, *value.tolist()]
        known += [False] * len(key) + [repeated] * len(value)
        if last:
            break
    pads = length + 1 - len(tokens)
    flat = np.array([vocab - 1] * pads + tokens)
    where = np.array([False] * pads + known) | (stream.part == "train")
    return Text(flat[:-1], asked(flat, where)[1:])


def selective_copy(stream: Stream, *, vocab: int, length: int, tokens: int) -> Text:
    """Data with blanks (V - 2) before each, a mark (V - 1), as many blanks as data: there the data are the answers."""
    blanks = length - 2 * tokens - 1
    if vocab < 3 or tokens < 1 or blanks < 0:
        raise UsageError(f"selective copying of {tokens} tokens needs 3 tokens and a length of {2 * tokens + 1}, "
                         f"not {vocab} and {length}")
    data = stream.below(vocab - 2, tokens)
    before = np.cumsum(np.bincount(stream.below(tokens, blanks), minlength=tokens))
    inputs = np.full(length, vocab - 2)
    inputs[np.arange(tokens) + before] = data
    inputs[-tokens - 1] = vocab - 1
    targets = asked(np.zeros(length, np.int64), np.zeros(length, bool))
    targets[-tokens:] = data
    return Text(inputs, targets)


def compression(stream: Stream, *, vocab: int, length: int, marker: bool = True) -> Text:
    """Random tokens and a mark (V - 1), each to be told from its place and the hidden state at the last place alone."""
    if vocab < 2 or length < 2:
        raise UsageError(f"compression needs 2 tokens and a length of 2, not {vocab} and {length}")
    inputs = np.append(stream.below(vocab - 1, length - 1), vocab - 1)
    return Text(inputs, asked(inputs, np.arange(length) < length - 1 + marker))


def memorisation(stream: Stream, *, vocab: int, length: int) -> Text:
    """Key, mark (V - 1), key, mark …: at a mark the value of its key is asked, one map for all texts of a seed."""
    keys = (vocab - 1) // 2
    if keys < 1 or length < 2 or length % 2:
        raise UsageError(f"memorisation needs 3 tokens and an even length, not {vocab} and {length}")
    values = keys + stream.shared().distinct(vocab - 1 - keys, keys)
    drawn = stream.below(keys, length // 2)
    inputs = np.stack([drawn, np.full_like(drawn, vocab - 1)], 1).ravel()
    return Text(inputs, asked(np.repeat(values[drawn], 2), inputs == vocab - 1))
