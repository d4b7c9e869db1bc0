"""Copying, induction and needles: what stands far behind is asked of the text itself. (no torch)

Sources: Jelassi et al. 2024, Repeat After Me (copying a string after a mark); Fu et al. 2023, H3, and Gu and Dao 2023,
Mamba (induction: what followed the mark the first time); Hsieh et al. 2024, RULER, for needles in a haystack that says
the same again and again, several of them and several asked. Their strings are words, these are bare symbols.

A distance is that from the answer to its query, in tokens.
"""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .stream import IGNORED, Stream, Text, asked


def string_copy(stream: Stream, *, vocab: int, shortest: int, length: int, most: int = 0) -> Text:
    """A string of random symbols from 1 on and the mark (0), again and again; the symbols after the first mark are
    asked.

    As many of them as `shortest` … `length` tokens hold twice, `most` at most, so that no fixed lag copies.
    """
    if vocab < 2 or not 2 <= shortest <= length:
        raise UsageError(f"copying needs 2 tokens and texts of at least 2, not {vocab} and {shortest} to {length}")
    letters = stream.one(shortest // 2, most or length // 2)
    string = np.append(1 + stream.below(vocab - 1, letters), 0)
    text = np.resize(string, length + 1)
    return Text(text[:-1], asked(text, (np.arange(length + 1) > letters) & (text > 0))[1:])


def induction(stream: Stream, *, vocab: int, length: int, distance: int = 0) -> Text:
    """Random symbols from 1 on, among them the mark (0) once; it comes again at the end and asks what followed it.

    The place of the first is drawn, unless a `distance` fixes it.
    """
    if vocab < 2 or length < 3 or not 0 <= distance <= length - 2:
        raise UsageError(f"induction needs 2 tokens and a length of {max(3, distance + 2)}, not {vocab} and {length}")
    inputs = 1 + stream.below(vocab - 1, length)
    at = length - 2 - (distance or stream.one(1, length - 2))
    inputs[[at, -1]] = 0
    return Text(inputs, np.where(np.arange(length) == length - 1, inputs[at + 1], IGNORED))


def needle(stream: Stream, *, vocab: int, length: int, pairs: int = 1, queries: int = 1, distance: int = 0) -> Text:
    """`pairs` of key and value anywhere in filler (0); the last `queries` places are keys of theirs, whose values are
    asked.

    Keys are distinct, values independent: none follows by elimination. A `distance` is that of the key asked first.
    """
    free = length - queries                                   # tokens before the queries
    first = free % 2                                        # of the places for pairs, each two tokens wide
    if distance:
        first = (free - 1 - distance) % 2
    places, keys_at_hand = (free - first) // 2, vocab // 2 - 1
    if not 1 <= queries <= pairs or pairs > places or not 0 <= distance < free:
        raise UsageError(f"{queries} of {pairs} needles need a length of {max(2 * pairs + 1, distance + 1) + queries}, "
                         f"not {length}")
    if pairs > keys_at_hand:
        raise UsageError(f"a vocabulary of {vocab} holds {max(0, keys_at_hand)} keys, not {pairs}")
    at = first + 2 * stream.distinct(places, places)
    if distance:
        own = free - 1 - distance                           # the value lies one behind its key
        at = np.append(own, at[at != own])
    keys = 1 + stream.distinct(keys_at_hand, pairs)
    values = vocab // 2 + stream.below(vocab - vocab // 2, pairs)
    inputs, targets = np.zeros(length, np.int64), np.full(length, IGNORED)
    inputs[at[:pairs]], inputs[at[:pairs] + 1] = keys, values
    inputs[free:], targets[free:] = keys[:queries], values[:queries]
    return Text(inputs, targets)
