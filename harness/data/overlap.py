"""How much of held-out text also stands in training text, however either is cut into lines and documents. (no torch)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEAST_LINE = 24                             # bytes; a blank line or a brace is nobody's
STRETCH = 64                                # bytes, a power of two
SLICE = 1 << 16                             # stretches looked up at once
FILTER_BITS = 20


def overlap(train: Sequence[bytes], heldout: Sequence[bytes]) -> float:
    """The share of held-out bytes that also stand in training text: in whole lines or in stretches, what is more.

    Lines find what was shuffled, stretches what has short lines, none, or others.
    """
    return max(_in_lines(train, heldout), _in_stretches(train, heldout))


def _in_lines(train: Sequence[bytes], heldout: Sequence[bytes]) -> float:
    """Of the bytes in lines of LEAST_LINE and more, those in lines of training text."""
    scored = Counter(line for document in heldout for line in _lines(document))
    seen = {line for document in train for line in _lines(document) if line in scored}
    total = sum(len(line) * count for line, count in scored.items())
    return sum(len(line) * scored[line] for line in seen) / total if total else 0.0


def _lines(document: bytes) -> Iterator[bytes]:
    return (line for raw in document.splitlines() if len(line := raw.strip()) >= LEAST_LINE)


def _in_stretches(train: Sequence[bytes], heldout: Sequence[bytes]) -> float:
    """Of held-out documents cut into stretches, those that stand anywhere in training text, whatever its line ends; a
    document that is shorter than one counts where it is a whole one of training text."""
    import numpy as np

    texts = [text for document in heldout if (text := _words(document))]
    cut = [hashes[::STRETCH] for text in texts if len(hashes := _hashes(text))]
    short = Counter(text for text in texts if len(text) < STRETCH)
    total = STRETCH * sum(map(len, cut)) + sum(len(text) * count for text, count in short.items())
    seen = {text for document in train if len(text := _words(document)) < STRETCH and text in short}
    common = sum(len(text) * short[text] for text in seen)
    if cut:
        stretches = np.concatenate(cut)
        common += STRETCH * int(np.isin(stretches, _found(b" ".join(map(_words, train)), np.unique(stretches))).sum())
    return common / total if total else 0.0


def _found(text: bytes, stretches: np.ndarray) -> np.ndarray:
    """Those of `stretches`, hashes (n,) in ascending order, that stand in `text`."""
    import numpy as np

    shift = np.uint64(64 - FILTER_BITS)
    likely = np.zeros(1 << FILTER_BITS, dtype=bool)         # nearly all of a long text is told apart by this alone
    likely[stretches >> shift] = True
    found = np.zeros(len(stretches), dtype=bool)
    for start in range(0, len(text), SLICE):
        hashes = _hashes(text[start:start + SLICE + STRETCH - 1])
        hashes = hashes[likely[hashes >> shift]]
        places = np.searchsorted(stretches[:-1], hashes)
        found[places[stretches[places] == hashes]] = True
    return stretches[found]


def _hashes(text: bytes) -> np.ndarray:
    """Of the STRETCH bytes from every place where as many follow, (n - STRETCH + 1,) uint64."""
    import numpy as np

    hashes, width = np.frombuffer(text, np.uint8).astype(np.uint64), 1
    while width < STRETCH:                                  # a stretch of twice the width is one and its next
        hashes = hashes[:-width] * np.uint64(0x9E3779B97F4A7C15) + hashes[width:]
        hashes ^= hashes >> np.uint64(29)
        width *= 2
    return hashes


def _words(document: bytes) -> bytes:
    """A document regardless of its indentation and line breaks."""
    return b" ".join(document.split())
