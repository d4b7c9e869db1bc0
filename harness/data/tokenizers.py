"""Tokenizers: bytes and GPT-2's merges. All are lossless on any bytes, and know how many bytes each token stands for.

Bits per byte need the bytes of the raw text, so a tokenizer that normalises or drops text is of no use here. (no torch)
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import FileError, one_line
from ..options import parse_arguments
from ..selector import Selector
from ..specs import TokenizerSpec, resolve


class Tokenizer(Protocol):
    """Text to ids and back. `token_bytes[i]` is how many bytes of text token i stands for, 0 for specials."""

    name: str
    vocab_size: int
    bos: int
    token_bytes: np.ndarray                                        # (vocab_size,) int64

    def encode(self, text: bytes) -> np.ndarray:
        """(n,) int32. No special token is added, and none is recognised in the text."""
        ...

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        """The text; special tokens are left out."""
        ...


def vocabulary(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes that each token stands for, b"" for specials."""
    return [tokenizer.decode([index]) for index in range(tokenizer.vocab_size)]


def learn(spec: TokenizerSpec, selector: Selector, documents: Sequence[bytes]) -> Any:
    """What a trained tokenizer takes from training text, plain JSON; None for a tokenizer that learns nothing."""
    return _learned(spec.learn, selector.options, tuple(documents)) if spec.learn else None


@lru_cache(maxsize=1)                                              # a worker measures many cells of one text
def _learned(target: str, options: tuple[tuple[str, str], ...], documents: tuple[bytes, ...]) -> Any:
    return resolve(target)(documents, **parse_arguments(target, dict(options), target))


def make_tokenizer(spec: TokenizerSpec, learned: Any = None) -> Tokenizer:
    """The tokenizer of `spec` with what it has learned. Raises FileError where that is not what it learns."""
    make: Callable[..., Tokenizer] = resolve(spec.target)
    if not spec.learn:
        return make()
    try:
        return make(learned)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"what the tokenizer {spec.name} should have learned is nothing that it knows "
                        f"({one_line(error)}); train again") from None


class Bytes:
    """Ids 0-255 are bytes, 256 is BOS."""

    name, vocab_size, bos = "bytes", 257, 256

    def __init__(self) -> None:
        self.token_bytes = np.ones(self.vocab_size, np.int64)
        self.token_bytes[self.bos] = 0

    def encode(self, text: bytes) -> np.ndarray:
        return np.frombuffer(text, np.uint8).astype(np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        ids = np.asarray(tokens, np.int64)
        return bytes(ids[ids != self.bos].astype(np.uint8))


NOT_UTF8 = re.compile("([\udc80-\udcff]+)")


class GPT2:
    """GPT-2's byte-pair encoding (Radford et al. 2019) through tiktoken; BOS is <|endoftext|>.

    tiktoken encodes str. Bytes that are not UTF-8 become surrogates on decoding (PEP 383) and are encoded one by one,
    so that every text survives.
    """

    name, vocab_size, bos = "gpt2", 50257, 50256

    def __init__(self, encoding: Any) -> None:
        self._encoding = encoding
        pieces = [encoding.decode_single_token_bytes(i) for i in range(self.bos)]
        self._single = {piece[0]: i for i, piece in enumerate(pieces) if len(piece) == 1}
        self.token_bytes = np.array([*map(len, pieces), 0], np.int64)

    def encode(self, text: bytes) -> np.ndarray:
        ids: list[int] = []
        for part in NOT_UTF8.split(text.decode(errors="surrogateescape")):
            if NOT_UTF8.match(part):
                ids += [self._single[byte] for byte in part.encode(errors="surrogateescape")]
            else:
                ids += self._encoding.encode_ordinary(part)
        return np.array(ids, np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        ids = np.asarray(tokens, np.int64)
        return bytes(self._encoding.decode_bytes(ids[ids != self.bos].tolist()))


# tiktoken caches a file under the SHA-1 of its download address: these are vocab.bpe and encoder.json.
GPT2_FILES = ("6d1cbeee0f20b3d9449abfede4726ed8212e3aee", "6c7ea1a7e38e3a7f062df639a5b80947f075ffe6")


def bytes_tokenizer() -> Tokenizer:
    return Bytes()


def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's tokenizer. Raises FileError where its merges are neither cached nor to be had from the network."""
    import tiktoken

    try:
        return GPT2(tiktoken.get_encoding("gpt2"))
    except (OSError, ValueError) as error:                         # requests' errors are OSErrors
        raise FileError(
            f"the GPT-2 merges are not in {_cache()} and cannot be downloaded ({type(error).__name__}); put vocab.bpe"
            f" and encoder.json, renamed {' and '.join(GPT2_FILES)}, in a folder that TIKTOKEN_CACHE_DIR names, "
            "or use --tokenizer bytes") from None


def _cache() -> Path:
    """Where tiktoken keeps what it downloads."""
    named = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(named) if named else Path(tempfile.gettempdir()) / "data-gym-cache"
