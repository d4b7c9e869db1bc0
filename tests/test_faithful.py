"""A tokenizer held to its identities: what it drops, changes, counts twice or remembers fails the audit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.faithful import Faithful, encode_documents
from harness.data.morphology import Morphological, learn
from harness.data.tokenizers import Bytes
from harness.errors import AuditFailed

TEXTS = [b"", b"a", b"happiness of the unhappy\n", bytes(range(256)) * 2]


class Inflated(Bytes):
    """Counts two bytes a token."""

    def __init__(self):
        super().__init__()
        self.token_bytes = 2 * self.token_bytes


class Lossy(Bytes):
    """Every text is "a"."""

    def encode(self, text):
        return np.array([97], np.int32)


class Remembering(Lossy):
    """Decodes whatever it was asked to encode last."""

    last = b""

    def encode(self, text):
        self.last = text
        return super().encode(text)

    def decode(self, tokens):
        return self.last or super().decode(tokens)


class Folding(Bytes):
    """Takes capitals for small letters."""

    def encode(self, text):
        return super().encode(text.lower())


class Short(Bytes):
    def encode(self, text):
        return super().encode(text)[:-1]


class Stray(Bytes):
    def encode(self, text):
        return super().encode(text) + 150


class Fractions(Bytes):
    def encode(self, text):
        return super().encode(text) + 0.25


class Wide(Bytes):
    def __init__(self):
        super().__init__()
        self.vocab_size = 300


class Counted(Bytes):
    """Its BOS stands for a byte."""

    def __init__(self):
        super().__init__()
        self.bos = 3
        self.token_bytes[256] = 1

    def decode(self, tokens):
        return bytes(np.asarray(tokens).astype(np.uint8))


@pytest.mark.parametrize("tokenizer", [Bytes(), Morphological(learn(TEXTS))])
def test_a_faithful_tokenizer_is_itself(tokenizer):
    held = Faithful(tokenizer)
    for text in TEXTS:
        tokens = held.encode(text)
        assert tokens.dtype == np.int32 and tokens.tolist() == tokenizer.encode(text).tolist()
        assert held.decode(tokens) == text and held.token_bytes[tokens].sum() == len(text)
    assert held.token_bytes.tolist() == np.asarray(tokenizer.token_bytes).tolist()
    assert (held.name, held.vocab_size, held.bos) == (tokenizer.name, tokenizer.vocab_size, tokenizer.bos)


@given(st.binary(max_size=200))
def test_any_bytes_pass(text):
    assert Faithful(Bytes()).encode(text).tolist() == list(text)


@pytest.mark.parametrize(("kind", "words"), [
    (Inflated, "token 0 stands for 1 bytes .*, token_bytes says 2"), (Wide, r"token_bytes is \(257,\), not \(300,\)"),
    (Counted, "bos=3 must be an id that stands for no bytes"),
])
def test_a_table_that_contradicts_itself_fails_before_any_text(kind, words):
    with pytest.raises(AuditFailed, match=words):
        Faithful(kind())


@pytest.mark.parametrize(("kind", "words"), [
    (Lossy, "the tokens of 5 bytes stand for 1 bytes, other ones from byte 0 on"),
    (Remembering, "the tokens of 5 bytes stand for 1 bytes"), (Folding, "5 bytes, other ones from byte 3 on"),
    (Short, "stand for 4 bytes, other ones from byte 4 on"), (Stray, "ids from 218 to 272 of 257"),
    (Fractions, "encode gives float64"),
])
def test_tokens_that_do_not_stand_for_the_text_name_document_and_byte(kind, words):
    first = b"a" if issubclass(kind, Lossy) else b""
    with pytest.raises(AuditFailed, match=f"^held-out document 1: tokenizer bytes: .*{words}") as told:
        encode_documents(Faithful(kind()), [first, b"xyzDe"], "held-out")
    assert told.value.status == "audit_failed"
