"""Tokenizers lose no byte, count them right, and say what to do where GPT-2's merges are missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.tokenizers import GPT2_FILES, Bytes, gpt2_tokenizer, vocabulary
from harness.errors import FileError

MERGES = Path(__file__).parents[1] / "../shared/data/gpt2-bpe"
texts = st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda s: s.encode("utf-8", "surrogatepass")))


def check_lossless(tokenizer, text):
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert tokenizer.token_bytes[tokens].sum() == len(text)
    assert tokens.dtype == np.int32 and tokenizer.bos not in tokens
    assert tokens.size == 0 or 0 <= tokens.min() <= tokens.max() < tokenizer.vocab_size


@given(texts)
def test_bytes_are_lossless(text):
    check_lossless(Bytes(), text)


def test_byte_ids_are_the_bytes_and_bos_stands_for_none():
    tokenizer = Bytes()
    assert tokenizer.encode(bytes(range(256))).tolist() == list(range(256))
    assert tokenizer.token_bytes.shape == (257,) and tokenizer.token_bytes[256] == 0
    assert tokenizer.decode([256, 72, 105, 256]) == b"Hi"


def test_a_vocabulary_is_the_bytes_of_every_token():
    assert vocabulary(Bytes()) == [*(bytes([value]) for value in range(256)), b""]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    pytest.importorskip("tiktoken", reason="the GPT-2 tokenizer needs tiktoken")
    if not MERGES.is_dir():
        pytest.skip(f"no GPT-2 merges at {MERGES}")
    cache = tmp_path_factory.mktemp("merges")
    for name, cached in zip(("vocab.bpe", "encoder.json"), GPT2_FILES, strict=True):
        shutil.copy(MERGES / name, cache / cached)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        patch.setattr("tiktoken.registry.ENCODINGS", {})
        yield gpt2_tokenizer()


def test_gpt2_ids_are_the_published_ones(gpt2):
    assert gpt2.encode(b"Hello world").tolist() == [15496, 995]
    assert gpt2.vocab_size == 50257 == len(gpt2.token_bytes)
    assert gpt2.bos == 50256 and gpt2.token_bytes[gpt2.bos] == 0
    assert gpt2.decode([gpt2.bos, 15496, 995]) == b"Hello world"


@settings(max_examples=200, deadline=None)
@given(texts)
def test_gpt2_is_lossless_on_any_bytes(gpt2, text):
    check_lossless(gpt2, text)


def test_gpt2_reads_special_tokens_in_a_text_as_text(gpt2):
    check_lossless(gpt2, b"a<|endoftext|>b")


def test_gpt2_without_merges_or_network_says_where_to_put_them(monkeypatch, tmp_path):
    pytest.importorskip("tiktoken", reason="the GPT-2 tokenizer needs tiktoken")
    tried = []

    def no_network(address):
        tried.append(address)
        raise ConnectionError("no route")

    monkeypatch.setattr("tiktoken.load.read_file", no_network)
    monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(FileError) as caught:
        gpt2_tokenizer()
    message = str(caught.value)
    assert "TIKTOKEN_CACHE_DIR" in message and all(name in message for name in (*GPT2_FILES, str(tmp_path)))
    assert "\n" not in message and len(tried) == 1
