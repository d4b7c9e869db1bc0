"""Words as prefix, root and suffix: a token for each part, so that the score of a text is that of all of its parts.

Every token is a literal string of bytes, with the space before it and the capitals that it had in the training text:
" un" "happi" "ness". The affixes are those of `harness.data.affixes`; the roots, and what is no word (numbers, marks,
white space), are the most frequent ones of the training text. A part that is not in the vocabulary is spelt with the
longest roots that it begins with, and at last with bytes, so nothing is lost.

qllm2 v4 predicts the root, the prefix and the suffix of a position by three heads that do not see each other, and
reports the perplexity of the root alone, in which the affixes come for free. Here every part is predicted after those
before it, so the bits of a text are the sum over all of its parts, the chain rule in full; divided by its bytes they
compare with those of any other tokenizer. (no torch)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from ..errors import UsageError
from .affixes import split_word

# A run of letters, of digits or of marks, with the space before it; white space up to that space.
CHUNKS = re.compile(rb" ?[A-Za-z]{1,64}| ?[0-9]{1,64}| ?[^\sA-Za-z0-9]{1,64}|\s{1,64}(?= \S)|\s{1,64}")
ZONES = ("prefixes", "roots", "suffixes")
ROOTS = 2048                            # best of 512 … 8192, over pydoc and WikiText-2 (300 k parameters, 400 kB)
LEAST = 2                               # times that a part occurs in the training text, to be worth a token
CACHED = 1 << 17                        # chunks whose tokens are remembered

Learned = dict[str, list[str]]          # the parts of each zone, a character a byte


def split_chunk(chunk: bytes) -> tuple[bytes, bytes, bytes]:
    """(prefix, root, suffix) of one of CHUNKS, b"" for none; together they are the chunk. A space stays in front."""
    word = chunk.removeprefix(b" ")
    if not word.isalpha():
        return b"", chunk, b""
    prefix, root, suffix = (part.encode() for part in split_word(word.decode()))
    space = chunk[:len(chunk) - len(word)]
    return (space + prefix, root, suffix) if prefix else (b"", space + root, suffix)


def learn(documents: Iterable[bytes], roots: int = ROOTS) -> Learned:
    """The affixes of a text and its most frequent roots, at most so many. Raises UsageError for a negative number."""
    if roots < 0:
        raise UsageError(f"the morphological tokenizer needs roots of at least 0, got {roots}")
    chunks: Counter[bytes] = Counter()
    for document in documents:
        chunks.update(CHUNKS.findall(document))
    counts: dict[str, Counter[bytes]] = {zone: Counter() for zone in ZONES}
    for chunk, count in chunks.items():
        for zone, part in zip(ZONES, split_chunk(chunk), strict=True):
            counts[zone][part] += count
    kept = {zone: [part for part, count in sorted(counts[zone].items(), key=lambda item: (-item[1], item[0]))
                   if count >= LEAST and part and (zone != "roots" or len(part) > 1)] for zone in ZONES}
    kept["roots"] = kept["roots"][:roots]
    return {zone: [part.decode("latin-1") for part in kept[zone]] for zone in ZONES}


class Morphological:
    """Ids 0-255 are bytes, 256 is BOS; then come prefixes, roots and suffixes: `zones` are their ranges."""

    name, bos = "morphological", 256

    def __init__(self, learned: Learned):
        self._pieces = [*(bytes([value]) for value in range(256)), b""]
        self.zones: dict[str, range] = {}
        for zone in ZONES:
            parts = [part.encode("latin-1") for part in learned[zone]]
            self.zones[zone] = range(len(self._pieces), len(self._pieces) + len(parts))
            self._pieces += parts
        self._ids = {zone: {self._pieces[i]: i for i in ids} for zone, ids in self.zones.items()}
        self._longest = max(map(len, self._ids["roots"]), default=1)
        self.vocab_size = len(self._pieces)
        self.token_bytes = np.array([*map(len, self._pieces)], np.int64)
        self._tokens = lru_cache(CACHED)(self._tokenize)

    def encode(self, text: bytes) -> np.ndarray:
        ids: list[int] = []
        for chunk in CHUNKS.findall(text):
            ids += self._tokens(chunk)
        return np.array(ids, np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        return b"".join(self._pieces[token] for token in np.asarray(tokens, np.int64).tolist())

    def _tokenize(self, chunk: bytes) -> list[int]:
        ids: list[int] = []
        for zone, part in zip(ZONES, split_chunk(chunk), strict=True):
            known = self._ids[zone].get(part)
            ids += self._spell(part) if known is None else [known]
        return ids

    def _spell(self, part: bytes) -> list[int]:
        """The longest root that `part` begins with, or its first byte; and so on."""
        roots, ids = self._ids["roots"], []
        while part:
            length = next((n for n in range(min(self._longest, len(part)), 1, -1) if part[:n] in roots), 1)
            ids.append(roots[part[:length]] if length > 1 else part[0])
            part = part[length:]
        return ids
