"""Sources of known entropy: no honest model can beat their floor, so a score below it is a leak. (no torch)

| source | text                                                    | entropy, bits per byte | what it asks for        |
|--------|---------------------------------------------------------|------------------------|-------------------------|
| markov | 16 letters, the next one depends on the last `order`    | 2.71875                | a table of contexts     |
| hmm    | 8 letters from 16 hidden states, unifilar               | 2                      | tracking a hidden state |
| copy   | `length` random letters, then the same ones in capitals | 2 (half of log2 16)    | exact recall            |

Every chance is a whole number of 64ths, drawn as six random bits, and all else is integer arithmetic on the Mersenne
Twister's bits: the text is the same for a seed on every machine. The chances of the next letter are one fixed list in
every context, only the letters they belong to change, so the entropy rate is the entropy of that list (for a unifilar
source the conditional entropy given the hidden state: Cover & Thomas, Elements of Information Theory, ch. 4). The
tables are permutations in every argument, so the stationary distribution is uniform and the text starts in it.

The oracles give the exact loss on a given text with the context a model sees (`harness.data.windows`), which says much
more than the rate alone: model loss - oracle loss has an expectation of at least 0 and little variance.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..errors import UsageError
from .documents import Documents, Source

SIXTYFOURTHS = 64
DOCUMENT_BYTES = 4096
HELDOUT_DOCUMENTS = 48


def _permutation(n: int, generator: random.Random) -> np.ndarray:
    """A random order of 0 … n-1."""
    return np.array(sorted(range(n), key=lambda _: generator.getrandbits(64)))


def _random_bytes(shape: tuple[int, ...], generator: random.Random) -> np.ndarray:
    return np.frombuffer(generator.randbytes(math.prod(shape)), np.uint8).reshape(shape).astype(np.int64)


def _entropy(weights: Sequence[int]) -> float:
    return sum(w * math.log2(SIXTYFOURTHS / w) for w in weights) / SIXTYFOURTHS


def _text(symbols: np.ndarray, first: str = "a") -> list[bytes]:
    """(documents, n) symbols as letters from `first` on."""
    return [row.astype(np.uint8).tobytes() for row in symbols + ord(first)]


def _symbols(document: bytes) -> np.ndarray:
    """Letters as 0 …, capitals alike."""
    return (np.frombuffer(document.lower(), np.uint8) - ord("a")).astype(np.int64)


def _windows(visible: np.ndarray) -> list[tuple[int, int, int]]:
    """(first in sight, first scored, stop) of every run of targets that see the text from the same place on."""
    edges = [0, *(np.flatnonzero(np.diff(visible)) + 1).tolist(), len(visible)]
    return [(int(visible[start]), start, stop) for start, stop in pairwise(edges) if start < stop]


class Markov:
    """x_t = name(shift_1(x_{t-1}) + … + shift_k(x_{t-k}) + rank mod 16), rank drawn with chances WEIGHTS / 64.

    With fewer than k letters in sight the next one is uniform: any k letters in a row are.
    """

    WEIGHTS = (32, 8, 4, 4, 4, 2, *[1] * 10)

    def __init__(self, order: int, generator: random.Random):
        self.order, self.size = order, len(self.WEIGHTS)
        self.entropy_bits_per_byte = _entropy(self.WEIGHTS)
        self._rank = np.repeat(np.arange(self.size), self.WEIGHTS)                       # of six random bits
        self._shift = [_permutation(self.size, generator) for _ in range(order)]
        self._name = _permutation(self.size, generator)

    def sample(self, documents: int, generator: random.Random) -> list[bytes]:
        bits = _random_bytes((documents, DOCUMENT_BYTES), generator)
        x = bits % self.size                                        # the first `order` letters stay uniform
        for t in range(self.order, DOCUMENT_BYTES):
            context = sum(shift[x[:, t - 1 - i]] for i, shift in enumerate(self._shift))
            x[:, t] = self._name[(context + self._rank[bits[:, t] % SIXTYFOURTHS]) % self.size]
        return _text(x)

    def log_loss(self, documents: Sequence[bytes], visible: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._bits(_symbols(document), first) for document, first in zip(documents, visible, strict=True)]

    def _bits(self, x: np.ndarray, visible: np.ndarray) -> np.ndarray:
        n, k = len(x), self.order
        bits = np.full(n, math.log2(self.size))
        if n > k:
            context = sum(shift[x[k - 1 - i:n - 1 - i]] for i, shift in enumerate(self._shift))
            rank = (np.argsort(self._name)[x[k:]] - context) % self.size
            bits[k:] = np.log2(SIXTYFOURTHS / np.array(self.WEIGHTS))[rank]
        in_sight = np.arange(n) - visible
        bits[in_sight < k] = math.log2(self.size)
        return bits


class HiddenMarkov:
    """Hidden state h writes x = name(shift(h) + rank mod 8) and moves to move[rank](h), rank with chances WEIGHTS / 64.

    Given h the letter tells the move (unifilar), but two states write alike and the first one is uniform, so a reader
    has to infer where the source is. The oracle is the forward filter (Rabiner 1989, section III.A) from the uniform
    belief that a reader has at the start of a window.
    """

    WEIGHTS = (32, 16, 8, 4, 1, 1, 1, 1)
    STATES = 16

    def __init__(self, generator: random.Random):
        self.size = len(self.WEIGHTS)
        self.entropy_bits_per_byte = _entropy(self.WEIGHTS)
        self._rank = np.repeat(np.arange(self.size), self.WEIGHTS)
        shift, name = _permutation(self.STATES, generator), _permutation(self.size, generator)
        self._letter = name[(shift[:, None] + np.arange(self.size)) % self.size]         # (state, rank)
        self._move = np.stack([_permutation(self.STATES, generator) for _ in self.WEIGHTS], 1)   # (state, rank)

    def sample(self, documents: int, generator: random.Random) -> list[bytes]:
        bits = _random_bytes((documents, 1 + DOCUMENT_BYTES), generator)
        state, ranks = bits[:, 0] % self.STATES, self._rank[bits[:, 1:] % SIXTYFOURTHS]
        x = np.empty_like(ranks)
        for t in range(DOCUMENT_BYTES):
            x[:, t] = self._letter[state, ranks[:, t]]
            state = self._move[state, ranks[:, t]]
        return _text(x)

    def log_loss(self, documents: Sequence[bytes], visible: Sequence[np.ndarray]) -> list[np.ndarray]:
        # Letter x turns a belief over states, as a row vector, into belief @ step[x]; its sum is the chance of x.
        step = np.zeros((self.size, self.STATES, self.STATES))
        states = np.arange(self.STATES)
        for rank, weight in enumerate(self.WEIGHTS):
            step[self._letter[:, rank], states, self._move[:, rank]] = weight / SIXTYFOURTHS
        texts = [_symbols(document) for document in documents]
        losses = [np.empty(len(text)) for text in texts]
        # Every window reads from the first letter in its sight on; the filters of all windows run side by side.
        rows = [(i, *window) for i, first in enumerate(visible) for window in _windows(first)]
        seen = [texts[i][begin:stop] for i, begin, _, stop in rows]
        letters = np.zeros((len(rows), max(map(len, seen), default=0)), np.int64)
        for row, text in enumerate(seen):
            letters[row, :len(text)] = text
        bits = np.empty(letters.shape)
        belief = np.full((len(rows), self.STATES), 1 / self.STATES)
        for t in range(letters.shape[1]):
            belief = np.einsum("ws,wsr->wr", belief, step[letters[:, t]])
            chance = belief.sum(1, keepdims=True)
            bits[:, t], belief = -np.log2(chance[:, 0]), belief / chance
        for row, (i, begin, scored, stop) in enumerate(rows):
            losses[i][scored:stop] = bits[row, scored - begin:stop - begin]
        return losses


class Copy:
    """Records of `length` random letters followed by the same letters in capitals.

    The oracle knows where in the record it is (the change of case tells a model almost as much); a capital costs
    nothing where its letter is in the window, and as much as a random letter where it is not.
    """

    SIZE = 16

    def __init__(self, length: int):
        self.length = length
        self.entropy_bits_per_byte = math.log2(self.SIZE) / 2

    def sample(self, documents: int, generator: random.Random) -> list[bytes]:
        records = DOCUMENT_BYTES // (2 * self.length)
        block = _random_bytes((documents, records, self.length), generator) % self.SIZE
        capitals = block + ord("A") - ord("a")
        return _text(np.concatenate([block, capitals], 2).reshape(documents, -1))

    def log_loss(self, documents: Sequence[bytes], visible: Sequence[np.ndarray]) -> list[np.ndarray]:
        losses = []
        for document, first in zip(documents, visible, strict=True):
            at = np.arange(len(document))
            copied = (at % (2 * self.length) >= self.length) & (at - self.length >= first)
            losses.append(np.where(copied, 0.0, math.log2(self.SIZE)))
        return losses


def _generator(name: str, seed: int) -> random.Random:
    """Raises UsageError for a negative seed: `random.Random` takes it for its opposite."""
    if seed < 0:
        raise UsageError(f"the seed of corpus {name} must be at least 0; it is {seed}")
    return random.Random(seed)


def _documents(name: str, source: Source, documents: int, generator: random.Random) -> Documents:
    if documents < 1:
        raise UsageError(f"corpus {name} needs at least 1 training document; documents={documents}")
    texts = source.sample(documents + HELDOUT_DOCUMENTS, generator)
    return Documents(name, tuple(texts[HELDOUT_DOCUMENTS:]), tuple(texts[:HELDOUT_DOCUMENTS]), source)


def markov(argument: str = "", *, order: int = 1, seed: int = 0, documents: int = 320) -> Documents:
    """A Markov chain of 16 letters, in documents of 4096 bytes. Raises UsageError for an order outside 1 … 4."""
    if not 1 <= order <= 4:
        raise UsageError(f"the order of corpus markov must be between 1 and 4; it is {order}")
    generator = _generator("markov", seed)
    return _documents("markov", Markov(order, generator), documents, generator)


def hmm(argument: str = "", *, seed: int = 0, documents: int = 320) -> Documents:
    """A unifilar hidden Markov chain of 8 letters, in documents of 4096 bytes."""
    generator = _generator("hmm", seed)
    return _documents("hmm", HiddenMarkov(generator), documents, generator)


def copy(argument: str = "", *, length: int = 32, seed: int = 0, documents: int = 320) -> Documents:
    """Blocks of `length` random letters, each repeated once in capitals; documents of whole records, up to 4096 bytes.

    Raises UsageError for a length that no document holds twice.
    """
    if not 1 <= length <= DOCUMENT_BYTES // 2:
        raise UsageError(f"the length of corpus copy must be between 1 and {DOCUMENT_BYTES // 2}; it is {length}")
    return _documents("copy", Copy(length), documents, _generator("copy", seed))
