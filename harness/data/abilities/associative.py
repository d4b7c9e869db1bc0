"""Multi-query associative recall, with keys bound again and keys of two tokens. (no torch)

Specification: Arora et al. 2023, Zoology, and the code beside it. A context of pairs, then places for queries, each two
tokens wide; which of them the keys take is drawn without replacement, the i-th in proportion to i^(power - 1), so
that most come soon. The value is the target at its key's place and stands nowhere after the context.

`filler` is what lies elsewhere: "zero" as in their Figure 2; "random" as in their later sets, uniform on all tokens,
so that now and then a key comes where nothing is asked; "other" is random without the keys of the text.
"""

from __future__ import annotations

import numpy as np

from ...errors import UsageError
from .stream import IGNORED, Stream, Text

POWER = 0.01
FILLERS = ("zero", "random", "other")
FIGURE_2 = ((64, 4), (128, 8), (256, 16), (512, 64))                    # length and pairs of each of its four sets
BASED_TRAIN = ((64, 4, 100_000), (128, 8, 20_000), (256, 16, 20_000), (256, 32, 20_000), (256, 64, 20_000))
BASED_TEST = ((64, 4), (64, 8), (64, 16), (128, 32), (256, 64), (512, 128), (1024, 256))       # 1,000 texts of each


def multi_query_recall(stream: Stream, *, vocab: int, length: int, pairs: int, filler: str = "zero",
                       bindings: int = 1, grid: int = 0) -> Text:
    """`pairs` keys and values, each key bound `bindings` times of which the last counts, then every key asked once.

    With `grid` a key is two tokens, row and column of a grid of that side: neither alone tells the value.
    """
    wide = 2 if grid else 1                                 # tokens of a key
    stride, context = wide + 1, (wide + 1) * pairs * bindings
    places, keys_at_hand = (length - context) // stride, grid * grid if grid else vocab // 2 - 1
    if min(pairs, bindings) < 1 or places < pairs:
        raise UsageError(f"{pairs} pairs need a length of {context + stride * max(pairs, 1)} tokens, not {length}")
    if pairs > keys_at_hand or pairs * bindings > vocab - vocab // 2 or 2 * grid > vocab // 2 - 1:
        raise UsageError(f"a vocabulary of {vocab} and a grid of {grid} hold no {pairs} keys bound {bindings} times")
    if filler not in FILLERS:
        raise UsageError(f"filler is one of {', '.join(FILLERS)}, not {filler!r}")
    drawn = stream.distinct(keys_at_hand, pairs)
    keys = np.stack([1 + drawn // grid, 1 + grid + drawn % grid], 1) if grid else 1 + drawn[:, None]
    values = vocab // 2 + stream.distinct(vocab - vocab // 2, pairs * bindings)
    which = stream.distinct(pairs * bindings, pairs * bindings) % pairs
    latest = np.zeros(pairs, np.int64)
    for key, value in zip(which, values, strict=True):
        latest[key] = value
    at = context + stride * stream.weighted(np.arange(1, places + 1) ** (POWER - 1), pairs)
    inputs = np.zeros(length, np.int64)
    if filler != "zero":
        inputs = stream.below(vocab, length)
    if filler == "other":
        inputs[np.isin(inputs, keys)] = 0
    inputs[:context] = np.concatenate([keys[which], values[:, None]], 1).ravel()
    inputs[at[:, None] + np.arange(wide)] = keys
    targets = np.full(length, IGNORED)
    targets[at + wide - 1] = latest
    return Text(inputs, targets)
