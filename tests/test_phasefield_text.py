"""Text features: what a plain loop over the bytes finds at every position, wherever a text is cut."""

from __future__ import annotations

import random
import re
import time
import unicodedata

import pytest
import torch
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phasefield.text import PLACES, REACH, SCRIPTS, SHAPES, WINDOW, TextFeatures, TextReader

from harness.data.affixes import PREFIXES, ROOT, SUFFIXES, VOWELS, split_word

TEXT = (
    "Unhappily, the interactions of 27 counterrevolutionaries weren't “re-read”: under_standing, UNITED HYPERACTIVELY"
    "!\n\tÜberraschend naïve cafés, ﬁancés; Ποιότητα καὶ ἀρχή — Приветствия, мирный ёж. שלום עולם، السلام عليكم "
    "नमस्ते दुनिया ภาษาไทย ひらがなとカタカナ 漢字仮名 한국어 🙂👍🏽 e\u0301tudes ½ × 3² \x00\x7f"
    "pneumonoultramicroscopicsilicovolcanoconiosisnesses transtranslations ŋǅ "
    "abcdfghjklmnpqrstvwxzbcds 한unbcdefghijklmnopqrstuvw"          # a vowel, a word's beginning just out of reach
).encode()
NOISE = bytes(random.Random(0).choices(b"aeinrsuUN -" + bytes.fromhex("80 9F A9 BF C3 CE D0 E3 E4 F0 C1 F5 FF"), k=400))

# The reference: characters by a regular expression, scripts by blocks, shapes by str's own questions.

PIECE = re.compile(
    rb"[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]?|[\xe0-\xef][\x80-\xbf]{0,2}|[\xf0-\xf4][\x80-\xbf]{0,3}|.", re.DOTALL)
BLOCKS = (
    ("latin", "AZ"), ("latin", "az"), ("latin", "ÀÖ"), ("latin", "Øö"), ("latin", "øɏ"), ("latin", "ﬀﬆ"),
    ("greek", "ΈϿ"), ("greek", "ἀῼ"), ("cyrillic", "Ѐԯ"), ("hebrew", "את"), ("arabic", "ؠي"), ("devanagari", "ऀ्"),
    ("thai", "ก์"), ("hiragana", "ぁゖ"), ("katakana", "ァヺ"), ("hangul", "가힣"), ("cjk", "㐀䶿"), ("cjk", "一鿿"),
)
LETTERS = ("upper", "lower", "letter", "mark")


def decode(piece: bytes) -> tuple[str, bool]:
    """The character that a piece is or would become with zeros, "" for a byte of none; and whether it is finished."""
    lead = piece[0]
    size = next((n for n, first, end in ((1, 0, 0x80), (2, 0xC2, 0xE0), (3, 0xE0, 0xF0), (4, 0xF0, 0xF5))
                 if first <= lead < end), 0)
    if not size:
        return "", True
    point = lead % (0x80 if size == 1 else 0x80 >> size)
    for byte in (*piece[1:], *[0] * (size - len(piece))):
        point = 64 * point + byte % 64
    return chr(point) if point < 0x10000 else "🙂", len(piece) == size


def script_of(character: str) -> str:
    return next((name for name, (first, last) in BLOCKS if first <= character <= last),
                "other" if character.isalpha() else "common")


def shape_of(character: str) -> str:
    for shape, holds in (("stray", lambda c: c == ""), ("space", str.isspace), ("upper", str.istitle),
                         ("lower", str.islower), ("letter", str.isalpha), ("digit", str.isnumeric)):
        if holds(character):
            return shape
    if not character.isprintable():
        return "control"
    return "mark" if unicodedata.category(character)[0] == "M" else "punctuation"


def last_features(texts: list[bytes]) -> tuple[int, ...]:
    """Of the last of these tokens. A word is a list of its characters with where they end, "\\0" for unfinished."""
    if not texts[-1]:
        return 0, 0, 0, 0, 0
    start = max((index + 1 for index, text in enumerate(texts) if not text), default=0)
    raw, word, begin = b"".join(texts[start:]), [], 0
    for piece in PIECE.finditer(raw):
        character, finished = decode(piece[0])
        shape = shape_of(character) if finished else "unfinished"
        if shape in LETTERS or not finished:
            word.append((piece.end(), (character.lower() if character.isascii() else "é") if finished else "\0"))
        else:
            word, begin = [], piece.end()
    whole = "".join(letter for _, letter in word)
    seen = "".join(letter for end, letter in word if end > len(raw) - REACH)
    prefix = max((p for p in PREFIXES if whole.startswith(p)), key=len, default="") if len(raw) - begin <= REACH else ""

    def rooted(root: str) -> bool:
        return len(root.replace("\0", "")) >= ROOT and not VOWELS.isdisjoint(root)

    suffix = max((s for s in SUFFIXES if seen.endswith(s) and rooted(seen[:-len(s)])), key=len, default="")
    return (SCRIPTS.index(script_of(character)), SHAPES.index(shape), min(len(seen.replace("\0", "")), PLACES - 1),
            ("", *PREFIXES).index(prefix), ("", *SUFFIXES).index(suffix))


def reference(vocabulary: list[bytes], tokens: list[int]) -> torch.Tensor:
    """(T, 5)"""
    texts = [vocabulary[token] for token in tokens]
    return torch.tensor([last_features(texts[:t + 1]) for t in range(len(texts))])


def byte_tokens(text: bytes) -> tuple[list[bytes], list[int]]:
    """With a token of no text in the middle of a word."""
    return [*(bytes([b]) for b in range(256)), b""], [256, *text[:9], 256, *text[9:]]


def merged_tokens(text: bytes) -> tuple[list[bytes], list[int]]:
    """Pieces of 1 to 40 bytes, cut anywhere, also inside characters: what merges of byte pairs may look like."""
    draw, pieces, text = random.Random(1), [], 3 * text
    while text:
        size = draw.choice((1, 2, 2, 3, 4, 5, 7, 9, 40))
        pieces.append(text[:size])
        text = text[size:]
    pieces[5:5] = [b""]
    vocabulary = list(dict.fromkeys(pieces))
    return vocabulary, [vocabulary.index(piece) for piece in pieces]


CASES = [(tokenize, text) for tokenize in (byte_tokens, merged_tokens) for text in (TEXT, NOISE)]
IDS = [f"{tokenize.__name__}-{name}" for tokenize in (byte_tokens, merged_tokens) for name in ("text", "noise")]


def reader(vocabulary: list[bytes]) -> TextReader:
    made = TextReader(len(vocabulary))
    made.read_vocabulary(vocabulary)
    return made


def stacked(features: TextFeatures) -> torch.Tensor:
    return torch.stack(features, dim=-1)


@pytest.mark.parametrize(("tokenize", "text"), CASES, ids=IDS)
def test_features_are_those_of_the_loop(tokenize, text):
    vocabulary, tokens = tokenize(text)
    expected = reference(vocabulary, tokens)
    found = stacked(reader(vocabulary)(torch.tensor([tokens]))[0])[0]
    assert found.dtype == torch.int64
    assert (found == expected).all(), [(t, found[t].tolist(), expected[t].tolist(), vocabulary[tokens[t]])
                                       for t in range(len(tokens)) if not torch.equal(found[t], expected[t])][:5]
    if text is TEXT and tokenize is byte_tokens:                    # of what there is, every script and shape occurs
        assert len(set(expected[:, 0].tolist())) == len(SCRIPTS)
        assert len(set(expected[:, 1].tolist())) == len(SHAPES) - 1
        assert expected[:, 2].max() == PLACES - 1 and (expected[:, 3:] > 0).sum(0).min() > 20


@pytest.mark.parametrize(("tokenize", "text"), CASES, ids=IDS)
def test_cutting_a_text_anywhere_changes_no_feature(tokenize, text):
    vocabulary, tokens = tokenize(text)
    read, tokens = reader(vocabulary), torch.tensor([tokens])
    whole, last = read(tokens)
    for cut in range(1, tokens.shape[1]):
        first, window = read(tokens[:, :cut])
        rest, end = read(tokens[:, cut:], window)
        assert torch.equal(torch.cat([stacked(first), stacked(rest)], dim=1), stacked(whole)), cut
        assert torch.equal(end, last)
    window = None
    for t in range(tokens.shape[1]):
        step, window = read(tokens[:, t:t + 1], window)
        assert torch.equal(stacked(step)[:, 0], stacked(whole)[:, t])
    assert window.shape == (1, WINDOW)


def test_rows_are_read_each_by_itself():
    vocabulary, tokens = merged_tokens(TEXT)
    read, rows = reader(vocabulary), torch.tensor(tokens[:80] + tokens[-80:]).view(2, 80)
    together = stacked(read(rows)[0])
    for row in range(2):
        assert torch.equal(together[row], stacked(read(rows[row:row + 1])[0])[0])


def test_a_finished_word_has_the_suffix_that_it_splits_into():
    words = re.findall(rb"[a-zA-Z]{1,24}", TEXT)
    for word in words:
        _, _, suffix = split_word(word.decode())
        features, _ = TextReader(257)(torch.tensor([list(word)]))
        assert ("", *SUFFIXES)[features.suffix[0, -1]] == suffix.lower()


def test_ids_stand_for_their_byte_until_the_vocabulary_is_told():
    text = torch.tensor([[*TEXT[:40], 256, 257]])
    read = TextReader(258)
    before = stacked(read(text)[0])
    assert torch.equal(before, stacked(reader([*(bytes([b]) for b in range(256)), b"", b""])(text)[0]))
    read.read_vocabulary([b"x"] * 258)
    assert not torch.equal(before, stacked(read(text)[0]))
    with pytest.raises(ValueError, match="3 tokens for a model of 258"):
        read.read_vocabulary([b"x"] * 3)


def test_features_are_a_small_part_of_a_training_step():
    torch.set_num_threads(1)
    model, text = PhaseField(PhaseFieldConfig(), 257), torch.tensor([*TEXT * 16])[:16 * 256].view(16, 256)
    read = TextReader(257)

    def seconds(call):
        call()
        spent = []
        for _ in range(2):
            before = time.process_time()
            call()
            spent.append(time.process_time() - before)
        return min(spent)

    def step():
        with torch.autocast("cpu", torch.bfloat16):
            model(text)[0].float().logsumexp(-1).mean().backward()

    assert seconds(lambda: read(text)) < 0.05 * seconds(step)
