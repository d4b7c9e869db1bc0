"""What is asked of a tokenizer: every text survives it, and it is what it says it is. (no torch)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..data.corpora import DEFAULT, load_documents
from ..data.tokenizers import Tokenizer, learn, make_tokenizer
from ..errors import FileError
from ..registry import Registry
from ..selector import parse_selector
from ..specs import TokenizerSpec, missing
from .lines import Lines
from .result import CheckFailed, CheckResult

LEARNED_FROM = 100_000                  # bytes of text
SPECIAL = b"<|endoftext|> <s> </s> [UNK] <unk>"
TEXTS = {                               # what a text may be -> one of that kind
    "empty": b"", "of every byte": bytes(range(256)), "not UTF-8": b"caf\xe9 \xff\xfe \xc3( \xed\xa0\x80 \xf0\x9f",
    "of NULs": b"\0\0a\0", "with blanks": b"  a \t b\r\n\r\n  c  \n",
    "beyond ASCII": "naïve ﬁ 北京 👩‍👩‍👧 é é".encode(),
    "that names special tokens": SPECIAL, "of one byte repeated": b"a" * 3000,
}


def check_tokenizer(registry: Registry, spec: TokenizerSpec) -> Iterator[CheckResult]:
    """Every line of one tokenizer, in order."""
    checks = _TokenizerChecks(registry, spec)
    if reason := missing(spec):
        yield checks.result("tokenizer", "unavailable", reason)
        return
    made = checks.line("tokenizer", checks.makes)
    yield made
    if made.status == "unavailable":
        return
    yield checks.line("round trip", checks.round_trip)
    yield checks.line("vocabulary", checks.vocabulary)
    yield checks.line("repeatable", checks.repeatable)
    if spec.learn:
        yield checks.line("learned table", checks.learned_table)


class _TokenizerChecks(Lines):
    def __init__(self, registry: Registry, spec: TokenizerSpec):
        super().__init__(spec.name, spec.target.partition(":")[0])
        self.spec = spec
        text = load_documents(*registry.corpus(DEFAULT))
        self.train = (b"\n\n".join(text.train)[:LEARNED_FROM],)
        self.texts = {**TEXTS, "in English": b"\n\n".join(text.heldout)[:20_000]}
        self.table: Any
        self.made: Tokenizer

    def makes(self) -> str | CheckResult:
        try:
            self.table = self.learned()
            self.made = make_tokenizer(self.spec, self.table)
        except FileError as error:                          # a table that is fetched, on a machine without a network
            if self.spec.learn:
                raise
            return self.result("tokenizer", "unavailable", str(error))
        for name in ("name", "vocab_size", "bos", "token_bytes", "encode", "decode"):
            if not hasattr(self.made, name):
                raise CheckFailed(f"what {self.spec.target} makes has no {name}")
        return f"{self.made.vocab_size:,} ids"

    def learned(self) -> Any:
        return learn(self.spec, parse_selector(self.spec.name), self.train)

    def round_trip(self) -> str:
        for kind, text in self.texts.items():
            ids = self.encoded(self.made, text)
            if (back := self.made.decode(ids)) != text:
                raise CheckFailed(f"a text {kind} comes back other: {len(back)} bytes of {len(text)}")
            if (size := int(self.made.token_bytes[ids].sum())) != len(text):
                raise CheckFailed(f"token_bytes make {size} bytes of a text {kind} of {len(text)}")
        return f"{len(self.texts)} texts: {', '.join(list(TEXTS)[:3])} and so on"

    def encoded(self, tokenizer: Tokenizer, text: bytes) -> np.ndarray:
        ids = np.asarray(tokenizer.encode(text))
        if ids.ndim != 1 or (len(ids) and not np.issubdtype(ids.dtype, np.integer)):
            raise CheckFailed(f"encode returns {ids.dtype} of shape {ids.shape}, not (n,) of integers")
        ids = ids.astype(np.int64)
        if len(ids) and not 0 <= ids.min() <= ids.max() < tokenizer.vocab_size:
            raise CheckFailed(f"ids from {ids.min()} to {ids.max()} of a vocabulary of {tokenizer.vocab_size}")
        return ids

    def vocabulary(self) -> str:
        made, size = self.made, self.made.vocab_size
        if self.spec.vocab_size not in (0, size):
            raise CheckFailed(f"its TokenizerSpec says {self.spec.vocab_size} ids, there are {size}")
        if len(made.token_bytes) != size:
            raise CheckFailed(f"token_bytes has {len(made.token_bytes)} entries for {size} ids")
        if not 0 <= made.bos < size or made.token_bytes[made.bos]:
            raise CheckFailed(f"bos={made.bos} must be an id that stands for no bytes")
        for index in range(size):
            if (found := len(made.decode([index]))) != made.token_bytes[index]:
                raise CheckFailed(f"token {index} stands for {found} bytes, token_bytes says {made.token_bytes[index]}")
        return f"{int((np.asarray(made.token_bytes) > 0).sum()):,} ids that stand for text"

    def repeatable(self) -> str:
        again = make_tokenizer(self.spec, self.learned())
        for kind, text in self.texts.items():
            first = self.encoded(self.made, text)
            for other, what in ((self.made, "encoding again"), (again, "making it again")):
                if not np.array_equal(first, self.encoded(other, text)):
                    raise CheckFailed(f"{what} gives a text {kind} other ids")
        return "the same ids again, and when made again"

    def learned_table(self) -> str:
        try:
            kept = json.dumps(self.table)
        except (TypeError, ValueError) as error:
            raise CheckFailed(f"what {self.spec.learn} returns is no JSON: {error}") from None
        again = make_tokenizer(self.spec, json.loads(kept))
        for kind, text in self.texts.items():
            if not np.array_equal(self.encoded(self.made, text), self.encoded(again, text)):
                raise CheckFailed(f"the table, written as JSON and read, gives a text {kind} other ids")
        return f"{len(kept):,} bytes of JSON"
