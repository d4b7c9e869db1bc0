"""The morphological tokenizer: nothing is lost, parts are as split_word says, roots are of the training text alone, and
the bits of a text are those of all of its parts."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tokenizers import check_lossless, texts

from harness.bench.score import score
from harness.build import build
from harness.data.affixes import PREFIXES, SUFFIXES, split_word
from harness.data.batches import score_batches
from harness.data.morphology import CHUNKS, ZONES, Morphological, learn, split_chunk
from harness.data.tokenizers import vocabulary
from harness.errors import UsageError
from harness.registry import load

TRAINING = (
    b"unhappy happiness, unhappiness: rewriting the rewritten interactions\n\tactions act; reaction, acting, Acts\n"
    b"happy cats walked; walking cats act unhappily. (1999) (1999) happy Rewriting\n\n\n",
    b" unhappiness walks, the  walk;   the act -- the acts -- 1999",
)
ALIKE = st.lists(st.sampled_from(
    [b" ", b"un", b"happi", b"ness", b" walk", b"ing", b"THE", b"1999", b"\n\n", b"\t", "é".encode(), b"\xff", b"\x00",
     b"--", b"Acts"])).map(b"".join)


@pytest.fixture(scope="module")
def tokenizer():
    return Morphological(learn(TRAINING))


def parts(tokenizer, text):
    return [(zone_of(tokenizer, token), tokenizer.decode([token])) for token in tokenizer.encode(text)]


def zone_of(tokenizer, token):
    return next((zone for zone, ids in tokenizer.zones.items() if token in ids), "bytes")


@settings(max_examples=200)
@given(st.one_of(texts, ALIKE))
def test_any_bytes_are_lossless(tokenizer, text):
    check_lossless(tokenizer, text)


@given(texts)
def test_any_bytes_are_lossless_without_a_training_text(text):
    empty = Morphological(learn([]))
    check_lossless(empty, text)
    assert empty.vocab_size == 257


@given(st.one_of(texts, ALIKE))
def test_chunks_are_the_text_and_parts_are_the_chunk(text):
    chunks = CHUNKS.findall(text)
    assert b"".join(chunks) == text
    assert all(b"".join(split_chunk(chunk)) == chunk and len(chunk) <= 65 for chunk in chunks)


def test_every_token_is_a_literal_string(tokenizer):
    pieces = vocabulary(tokenizer)
    assert pieces[:257] == [*(bytes([value]) for value in range(256)), b""]
    assert tokenizer.bos == 256 and tokenizer.token_bytes.tolist() == [len(piece) for piece in pieces]
    assert tokenizer.decode(range(tokenizer.vocab_size)) == b"".join(pieces)
    assert [ids.start for ids in tokenizer.zones.values()] == [257, *(ids.stop for ids in tokenizer.zones.values())][:3]
    assert tokenizer.zones["suffixes"].stop == tokenizer.vocab_size


def test_a_word_is_its_prefix_root_and_suffix(tokenizer):
    assert parts(tokenizer, b" unhappiness") == [("prefixes", b" un"), ("roots", b"happi"), ("suffixes", b"ness")]
    assert parts(tokenizer, b"unhappy walking") == [
        ("bytes", b"u"), ("bytes", b"n"), ("roots", b"happ"), ("suffixes", b"y"), ("roots", b" walk"),
        ("suffixes", b"ing")]                               # "un" without a space is found once, which is too rare
    assert parts(tokenizer, b" act (1999\n") == [
        ("roots", b" act"), ("roots", b" ("), ("roots", b"1999"), ("bytes", b"\n")]


def test_known_parts_are_as_split_word_says(tokenizer):
    pieces = {zone: {tokenizer.decode([i]) for i in ids} for zone, ids in tokenizer.zones.items()}
    assert {p.strip().decode().lower() for p in pieces["prefixes"]} <= set(PREFIXES)
    assert {s.decode().lower() for s in pieces["suffixes"]} <= set(SUFFIXES)
    whole = 0
    for chunk in CHUNKS.findall(b"".join(TRAINING)):
        space, word = chunk[:len(chunk) - len(chunk.lstrip())], chunk.strip()
        if not word.isalpha():
            continue
        prefix, root, suffix = map(str.encode, split_word(word.decode()))
        expected = [space + prefix, root, suffix] if prefix else [b"", space + root, suffix]
        if all(part in {b"", *pieces[zone]} for zone, part in zip(ZONES, expected, strict=True)):
            whole += 1
            assert parts(tokenizer, chunk) == [pair for pair in zip(ZONES, expected, strict=True) if pair[1]]
    assert whole > 15


def test_an_unknown_root_is_spelt_with_the_longest_known_ones(tokenizer):
    assert parts(tokenizer, b" actwalkzz") == [
        ("roots", b" act"), *(("bytes", bytes([b])) for b in b"walkzz")]    # "walk" is known behind a space only
    assert parts(tokenizer, b"zactz") == [("bytes", b"z"), ("roots", b"act"), ("bytes", b"z")]


def test_roots_are_the_most_frequent_of_the_training_text():
    learned = learn([b" bbb aaa ccc aaa bbb aaa ddd ddd eee"])
    assert learned == {"prefixes": [], "roots": [" aaa", " bbb", " ddd"], "suffixes": []}     # what comes once is not
    assert learn([b" bbb aaa ccc aaa bbb aaa ddd ddd eee"], roots=2)["roots"] == [" aaa", " bbb"]
    assert learn([b" aaa", b" aaa"])["roots"] == [" aaa"]
    assert learn([b"aaa", b"aaa"], roots=0)["roots"] == []
    with pytest.raises(UsageError, match="at least 0, got -1"):
        learn([], roots=-1)


def test_parts_are_of_the_training_text_and_the_same_in_every_process():
    learned = learn(TRAINING)
    text = b"".join(TRAINING)
    assert all(part.encode("latin-1") in text for zone in ZONES for part in learned[zone])
    assert learn(reversed(TRAINING)) == learned
    code = f"from harness.data.morphology import learn; print(learn({TRAINING!r}))"
    for seed in "12":
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": seed})
        assert told.stdout.strip() == str(learned)


@given(st.lists(st.sampled_from([b"unhappy", b" walking", b" The", b" 1999", b",", b" xyzzyness"]), max_size=8),
       st.lists(st.sampled_from([b" unhappiness", b" acts", b" (1999", b" re"]), max_size=8))
def test_the_tokens_of_a_text_are_those_of_its_words(tokenizer, before, after):
    whole = tokenizer.encode(b"".join(before + after))
    apart = [tokenizer.encode(b"".join(side)) for side in (before, after)]
    assert np.array_equal(whole, np.concatenate(apart))


def test_the_bits_of_a_text_are_those_of_all_of_its_parts(tokenizer):
    text = TRAINING[0] + b"unheard parts of a text \xff count too"
    options = {"dim": "8", "layers": "1", "hidden": "12"}
    model = build(load().models["ssm"], options, tokenizer.vocab_size, seed=3).model.eval()
    tokens = tokenizer.encode(text)
    found = score(model, score_batches([tokens], tokenizer.bos, len(tokens)), token_bytes=tokenizer.token_bytes)
    row = torch.tensor([tokenizer.bos, *tokens.tolist()])
    with torch.no_grad():
        logits = model(row[None, :-1])[0][0].double()
    bits = (logits.logsumexp(-1) - logits.gather(1, row[1:, None])[:, 0]) / math.log(2)
    zones = [zone_of(tokenizer, token) for token in tokens]
    by_zone = {zone: sum(b for b, z in zip(bits.tolist(), zones, strict=True) if z == zone) for zone in set(zones)}
    assert set(by_zone) == {"bytes", *ZONES}
    assert found.bits.sum() == pytest.approx(sum(by_zone.values()), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(sum(by_zone.values()) / len(text), rel=1e-5)
    assert found.bits.sum() > 1.1 * by_zone["roots"]        # what the perplexity of the roots alone leaves out
