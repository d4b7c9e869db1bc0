"""Byte-level byte-pair encoding of the package tokenizers: learned from text, or from a tokenizer.json that came with
weights. (no torch)

Every token is a string of bytes, in the table of letters of GPT-2 (Radford et al. 2019). Text that is not UTF-8 is
encoded byte by byte. A file that normalises text, or whose pieces are no bytes, does not pass: bits per byte divide by
the bytes of the text as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from harness import UsageError

BOS = "<|endoftext|>"
LEAST = 257                             # ids of the bytes and BOS
VOCAB = 2048
NOT_UTF8 = re.compile("([\udc80-\udcff]+)")
PRINTED = [*range(33, 127), *range(161, 173), *range(174, 256)]         # bytes that are letters of their own


def letters() -> dict[str, int]:
    """The letter that stands for each byte: itself where it can be printed, else one from 256 on."""
    table = {chr(byte): byte for byte in PRINTED}
    rest = (byte for byte in range(256) if byte not in PRINTED)
    return table | {chr(256 + number): byte for number, byte in enumerate(rest)}


def learn(documents: Iterable[bytes], vocab: int = VOCAB) -> dict[str, Any]:
    """Merges of the training text, `vocab` ids at most. Raises UsageError for fewer than there are bytes."""
    if vocab < LEAST:
        raise UsageError(f"the tokenizer bpe needs a vocab of at least {LEAST}, got {vocab}")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=[BOS], show_progress=False,
                                  initial_alphabet=sorted(letters()))
    made.train_from_iterator((text.decode(errors="ignore") for text in documents), trainer)
    return {"tokenizer": json.loads(made.to_str()), "bos": made.token_to_id(BOS), "vocab_size": made.get_vocab_size()}


class BytePairs:
    """`learned` holds a tokenizer.json, the id that begins a text, and the ids that a model has for it, some unused.

    Raises ValueError where a token is no string of bytes, or there are more than the model has.
    """

    name = "bpe"

    def __init__(self, learned: dict[str, Any]):
        from tokenizers import Tokenizer

        self._own = Tokenizer.from_str(json.dumps(learned["tokenizer"]))
        self._own.no_padding()
        self._own.no_truncation()
        self._own.encode_special_tokens = True              # none is recognised in a text
        self.bos, self.vocab_size = int(learned["bos"]), int(learned["vocab_size"])
        names, added = self._own.get_vocab(with_added_tokens=True), self._own.get_added_tokens_decoder()
        if names and max(names.values()) >= self.vocab_size:
            raise ValueError(f"it has {max(names.values()) + 1} ids, the model {self.vocab_size}")
        table, self._pieces = letters(), [b""] * self.vocab_size
        for name, index in names.items():
            if index in added:
                self._pieces[index] = b"" if added[index].special or index == self.bos else name.encode()
                continue
            try:
                self._pieces[index] = bytes(table[letter] for letter in name)
            except KeyError:
                raise ValueError(f"its token {name!r} is no string of bytes") from None
        self.token_bytes = np.array([*map(len, self._pieces)], np.int64)
        self._single = {piece[0]: index for index, piece in enumerate(self._pieces) if len(piece) == 1}

    def encode(self, text: bytes) -> np.ndarray:
        ids: list[int] = []
        for part in NOT_UTF8.split(text.decode(errors="surrogateescape")):
            if NOT_UTF8.match(part):
                ids += [self._single[byte] for byte in part.encode(errors="surrogateescape")]
            elif part:
                ids += self._own.encode(part, add_special_tokens=False).ids
        return np.array(ids, np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        return b"".join(self._pieces[token] for token in np.asarray(tokens, np.int64).tolist())
