"""The scoring protocol: which targets of a document are scored in which window. (no torch)

A document of n tokens is read as BOS, t_0 … t_{n-1}. A window holds `window` inputs, and the targets one step later.
The first window starts at BOS; the next ones start every `stride` tokens, and their first input is the token before
their first target, so with stride == window the context is reset but for that one token. With a shorter stride the
first window - stride targets of a later window are context only. Every token of a document is scored exactly once.

Models and the oracles of known-entropy sources read the protocol from here, so both see the same context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError


@dataclass(frozen=True)
class Span:
    """Window over targets start … stop-1, of which those from `scored` on count."""

    start: int
    scored: int
    stop: int


def spans(length: int, window: int, stride: int = 0) -> Iterator[Span]:
    """The windows over a document of `length` tokens. Stride 0 means the window. Raises UsageError."""
    stride = stride or window
    if not 1 <= stride <= window:
        raise UsageError(f"stride must be between 1 and the window, {window}; it is {stride}")
    done = start = 0
    while done < length:
        stop = min(start + window, length)
        yield Span(start, done, stop)
        done, start = stop, start + stride


def first_visible(length: int, window: int, stride: int = 0) -> np.ndarray:
    """Index of the first token that a model sees when it predicts each target, (length,) int64."""
    visible = np.zeros(length, np.int64)
    for span in spans(length, window, stride):
        visible[span.scored:span.stop] = max(span.start - 1, 0)
    return visible


def first_visible_byte(token_lengths: np.ndarray, window: int, stride: int = 0) -> np.ndarray:
    """Index of the first byte that a model of tokens sees when it predicts each byte of a document, (bytes,) int64.

    `token_lengths` (tokens,) are the bytes that each token of the document stands for; `window` and `stride` count
    tokens. Of a token's own bytes the earlier ones are in sight of the later ones: a token is predicted whole.
    """
    starts = np.concatenate([[0], np.cumsum(token_lengths)]).astype(np.int64)
    return np.repeat(starts[first_visible(len(token_lengths), window, stride)], token_lengths)


def limit_documents(documents: Sequence[bytes], max_bytes: int, least: int = 1024) -> list[bytes]:
    """Leading parts of as many documents as `max_bytes` allows, all cut at one length.

    Bytes of one document are alike, so an interval over documents is narrowest when the budget is spread over all of
    them; cutting at one common length keeps them equally weighted. Where the share of each would fall under `least`
    bytes (mostly cold starts), evenly spaced documents are kept instead of all. Raises UsageError for a budget under 1.
    """
    if max_bytes < 1:
        raise UsageError(f"the held-out limit must be at least 1 byte; it is {max_bytes}")
    if sum(map(len, documents)) <= max_bytes:
        return list(documents)
    keep = min(len(documents), max(1, max_bytes // least))
    kept = [documents[i * len(documents) // keep] for i in range(keep)]
    left, cut = max_bytes, 0
    for rank, length in enumerate(sorted(map(len, kept))):
        cut = left // (keep - rank)          # what each of the longer documents may have
        if length > cut:
            break
        left -= length
    else:
        return kept
    return [document[:cut] for document in kept]
