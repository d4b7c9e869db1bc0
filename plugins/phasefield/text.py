"""What the text says about a token: script and shape of its last character, place in the word, prefix, suffix.

A model of ids sees no letters. These features are integers, computed from the bytes that tokens stand for, once a
forward and shared by the banks that read them; nothing here is learned. Feature t is a function of the last REACH + 4
bytes up to token t, hence of as many tokens, of which all but the last are carried: cutting a text changes nothing.

The text is a stream of units: bytes, and NO_TEXT for a token that stands for none, which ends every word. A character
that is not finished yet has the script of the lowest code point that it may become.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import affixes

SCRIPTS = ("common", "latin", "greek", "cyrillic", "hebrew", "arabic", "devanagari", "thai", "hiragana", "katakana",
           "hangul", "cjk", "other")
SHAPES = ("none", "control", "space", "digit", "punctuation", "unfinished", "stray", "upper", "lower", "letter", "mark")
UNFINISHED = SHAPES.index("unfinished")
LETTER = SHAPES.index("upper")          # from here on a character belongs to a word
PLACES = 16                             # letters since the word began; the last place is for all that follow
REACH = 24                              # bytes of a word that are looked at
WINDOW = REACH + 3                      # tokens carried: the first of those bytes may end a character of four

NO_TEXT = 256                           # the unit of a token without text
NOTHING, BROKEN = 0xD800, 0xDFFF        # code points that UTF-8 has not, for NO_TEXT and for bytes that are no UTF-8
BEYOND = 0x10000                        # for all code points from here on, mostly emoji
LONGEST = max(map(len, affixes.PREFIXES + affixes.SUFFIXES))


class TextFeatures(NamedTuple):
    """Each (B, T) int64: indices into SCRIPTS and SHAPES, a place, 1 + index into PREFIXES and SUFFIXES or 0."""

    script: Tensor
    shape: Tensor
    place: Tensor
    prefix: Tensor
    suffix: Tensor


class TextReader(nn.Module):
    """Token ids to features. Until it is told the vocabulary, ids below 256 stand for their byte, others for no text.

    A prefix is the longest that the word so far begins with, a suffix the longest that it ends with, leaving a root.
    State: the last WINDOW tokens (B, WINDOW), `vocab_size` where there were none.
    """

    length: Tensor              # by unit: the bytes of the character that it begins, 0 where it goes on with one
    bits: Tensor                # by unit: what it adds to the code point
    code: Tensor                # by unit: 1 to 26 for an English letter of either case, 0 for all else
    vowel: Tensor               # by unit
    script: Tensor              # by code point
    shape: Tensor
    step: Tensor                # by node and code: the next node of a trie of the affixes from their last letter on
    prefixes: Tensor            # by node: 1 + index of the prefix that it spells, 0 for none
    suffixes: Tensor
    units: Tensor               # of all tokens, one after another
    sizes: Tensor               # by token: how many units it has
    ends: Tensor                # by token: where they end

    def __init__(self, vocab_size: int):
        super().__init__()
        self.vocab_size = vocab_size
        for name, values in {**unit_tables(), **character_tables(), **affix_trie()}.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)
        self.read_vocabulary([bytes([index]) if index < 256 else b"" for index in range(vocab_size)])

    def read_vocabulary(self, vocabulary: Sequence[bytes]) -> None:
        """The bytes of every token, b"" for none. Raises ValueError where there are not `vocab_size` of them."""
        if len(vocabulary) != self.vocab_size:
            raise ValueError(f"a vocabulary of {len(vocabulary)} tokens for a model of {self.vocab_size}")
        texts = [list(text) or [NO_TEXT] for text in (*vocabulary, b"")]             # the last comes before all texts
        sizes = torch.tensor([len(text) for text in texts], device=self.step.device)
        units = torch.tensor([u for text in texts for u in text], dtype=torch.int16, device=sizes.device)
        for name, values in {"units": units, "sizes": sizes, "ends": sizes.cumsum(0)}.items():
            self.register_buffer(name, values, persistent=False)
        self.multibyte = len(units) > len(texts)

    @torch.no_grad()
    def forward(self, tokens: Tensor, window: Tensor | None = None) -> tuple[TextFeatures, Tensor]:
        """(B, T), window -> features, the next window."""
        if window is None:
            window = tokens.new_full((len(tokens), WINDOW), self.vocab_size)
        tokens = torch.cat([window, tokens], dim=1)                                  # (B, n)
        units, ends = self.spell(tokens)                                             # (B, N), (B, n)
        script, shape = self.decode(units)
        features = torch.stack([script, shape, *self.words(units, shape)])           # (5, B, N)
        at = ends[:, WINDOW:] - 1
        return TextFeatures(*features.gather(2, at.expand(5, -1, -1))), tokens[:, -WINDOW:].clone()

    def spell(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The units of (B, n) tokens as (B, N), N the most that a row has, and how many there are after each token."""
        sizes = self.sizes[tokens]
        ends = sizes.cumsum(1)
        if not self.multibyte:
            return self.units[tokens].long(), ends
        index = torch.arange(int(ends[:, -1].max()), device=tokens.device).expand(len(tokens), -1)
        owner = torch.searchsorted(ends, index.contiguous(), right=True).clamp_max(tokens.shape[1] - 1)
        left = (ends.gather(1, owner) - index).clamp_min(1)                          # in the token that has the unit
        return self.units[self.ends[tokens.gather(1, owner)] - left].long(), ends

    def decode(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Script and shape of the character that each unit of (B, N) belongs to, as far as it is known there."""
        length, bits = F.pad(self.length[units], (3, 0), value=1), F.pad(self.bits[units], (3, 0))
        inner = [(back(length, k, 3) == 0).long() for k in range(3)]
        since = inner[0] * (1 + inner[1] * (1 + inner[2]))                           # units since the first one
        index = torch.arange(units.shape[1], device=units.device)
        missing = length.gather(1, index + 3 - since) - 1 - since                    # below 0: it was complete before
        point = sum((back(bits, k, 3) << 6 * k) * (since >= k) for k in range(4)) << 6 * missing.clamp_min(0)
        point = torch.where(missing < 0, BROKEN, point.clamp_max(BEYOND))
        return self.script[point].long(), torch.where(missing > 0, UNFINISHED, self.shape[point].long())

    def words(self, units: Tensor, shape: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Place, prefix and suffix at every unit: the word so far is what came after the last complete non-letter."""
        index = torch.arange(units.shape[1], device=units.device).expand_as(units)
        letter = shape >= LETTER
        last = latest(~letter & (shape != UNFINISHED), index)
        begin = torch.maximum(last, index - REACH)                                   # the word is in (begin, t]
        count = F.pad(letter.cumsum(1), (1, 0))
        letters = count[:, 1:] - count.gather(1, begin + 1)
        code = F.pad(self.code[units], (LONGEST, 0))
        vowel = F.pad(latest(self.vowel[units], index), (LONGEST, 0), value=-1)
        node, suffix, opening = torch.ones_like(units), torch.zeros_like(units), torch.zeros_like(units)
        for k in range(1, LONGEST + 1):                                              # spelled by the last k letters
            node = self.step[node, back(code, k - 1, LONGEST)]
            rooted = (letters >= affixes.ROOT + k) & (back(vowel, k, LONGEST) > begin)
            suffix = torch.where(rooted & (self.suffixes[node] > 0), self.suffixes[node], suffix)
            opening = torch.where(index - last == k, self.prefixes[node], opening)
        opened = latest(opening > 0, index)                                          # the longest prefix is the latest
        prefix = opening.gather(1, opened.clamp_min(0)) * ((opened > last) & (index - last <= REACH))
        return letters.clamp_max(PLACES - 1), prefix, suffix


def back(padded: Tensor, k: int, pad: int) -> Tensor:
    """What stood k units earlier, of (B, pad + N) padded in front: (B, N)."""
    return padded[:, pad - k:padded.shape[1] - k]


def latest(flag: Tensor, index: Tensor) -> Tensor:
    """The last index up to each unit at which the flag is set, -1 where there is none: (B, N)."""
    return torch.where(flag, index, -1).cummax(1).values


def unit_tables() -> dict[str, list[int]]:
    """What a unit says by itself, of UTF-8 and of English."""
    tables: dict[str, list[int]] = {"length": [], "bits": [], "code": [], "vowel": []}
    for unit in range(NO_TEXT + 1):
        if unit < 0x80:
            length, bits = 1, unit
        elif unit < 0xC0:
            length, bits = 0, unit & 0x3F
        elif 0xC2 <= unit < 0xF5:
            length = 2 + (unit >= 0xE0) + (unit >= 0xF0)
            bits = unit & (0x7F >> length)
        else:
            length, bits = 1, NOTHING if unit == NO_TEXT else BROKEN
        letter = chr(unit).lower() if unit < 0x80 else ""
        row = length, bits, ord(letter) - 96 if letter.isalpha() else 0, letter in affixes.VOWELS
        for table, value in zip(tables.values(), row, strict=True):
            table.append(value)
    return tables


SHAPE_OF = {"Lu": "upper", "Lt": "upper", "Ll": "lower", "L": "letter", "M": "mark", "N": "digit", "P": "punctuation",
            "S": "punctuation", "Z": "space", "Cs": "stray", "C": "control"}        # by Unicode category


@cache
def character_tables() -> dict[str, np.ndarray]:
    """Script and shape of every code point of the basic plane, and of all others as one. Unicode begins the name of a
    letter with its script."""
    scripts, shapes = np.zeros(BEYOND + 1, np.uint8), np.full(BEYOND + 1, SHAPES.index("punctuation"), np.uint8)
    for point in range(BEYOND):
        character = chr(point)
        category = unicodedata.category(character)
        shape = "space" if character.isspace() else SHAPE_OF.get(category) or SHAPE_OF[category[0]]
        if category[0] in "LM":
            script = unicodedata.name(character, "").partition(" ")[0].lower()
            scripts[point] = SCRIPTS.index(script if script in SCRIPTS else "common" if category[0] == "M" else "other")
        shapes[point] = SHAPES.index(shape)
    shapes[NOTHING] = SHAPES.index("none")
    return {"script": scripts, "shape": shapes}


@cache
def affix_trie() -> dict[str, list]:
    """The trie of prefixes and suffixes. Node 0 is off it, 1 its root."""
    step, spelled = [[0] * 27, [0] * 27], []
    for inventory in (affixes.PREFIXES, affixes.SUFFIXES):
        ids: dict[int, int] = {}
        for number, affix in enumerate(inventory, 1):
            node = 1
            for letter in reversed(affix):
                code = ord(letter) - 96
                if not step[node][code]:
                    step[node][code] = len(step)
                    step.append([0] * 27)
                node = step[node][code]
            ids[node] = number
        spelled.append(ids)
    prefixes, suffixes = ([ids.get(node, 0) for node in range(len(step))] for ids in spelled)
    return {"step": step, "prefixes": prefixes, "suffixes": suffixes}
