"""English affixes: what stands before and behind the root of a word. (no torch)

A closed inventory of the productive prefixes and suffixes (their spelling variants apart), so that a tokenizer and a
model that look for morphemes look for the same ones. Splitting goes by spelling alone, without a lexicon: it is wrong
about "under" + "stand" and right often enough to be measured.
"""

from __future__ import annotations

PREFIXES = (
    "anti", "auto", "be", "co", "counter", "de", "dis", "en", "em", "ex", "extra", "fore", "hyper", "il",
    "im", "in", "inter", "ir", "mega", "micro", "mid", "mini", "mis", "mono", "multi", "non", "out", "over",
    "poly", "post", "pre", "pro", "pseudo", "quasi", "re", "semi", "sub", "super", "sur", "tele", "trans",
    "tri", "ultra", "un", "under", "up",
)
SUFFIXES = (
    "able", "age", "al", "ally", "ance", "ant", "ary", "ate", "ated", "ates", "ating", "ation", "ations",
    "ative", "dom", "ed", "en", "ence", "ency", "ent", "er", "ers", "ery", "es", "est", "ful", "fully",
    "hood", "ial", "ian", "ible", "ic", "ical", "ically", "ied", "ier", "ies", "iest", "ify", "ily", "ing",
    "ings", "ion", "ions", "ish", "ism", "ist", "ists", "ities", "ity", "ive", "ize", "ized", "izes", "izing",
    "less", "ling", "ly", "ment", "ments", "ness", "or", "ors", "ous", "ously", "s", "ship", "th", "ty",
    "ure", "ward", "wards", "wise", "y",
)
ROOT = 3                                # letters that a root has at least
VOWELS = frozenset("aeiouy")

_LONGEST_FIRST = {
    "prefix": sorted(PREFIXES, key=len, reverse=True), "suffix": sorted(SUFFIXES, key=len, reverse=True)}


def split_word(word: str) -> tuple[str, str, str]:
    """(prefix, root, suffix) of an ASCII word, "" for none; together they are the word, its capitals kept.

    The longest suffix first, then the longest prefix that leave a root of at least ROOT letters with a vowel.
    """
    lower = word.lower()
    suffix = next((s for s in _LONGEST_FIRST["suffix"] if lower.endswith(s) and _is_root(lower[:-len(s)])), "")
    stem = lower[:len(lower) - len(suffix)]
    prefix = next((p for p in _LONGEST_FIRST["prefix"] if stem.startswith(p) and _is_root(stem[len(p):])), "")
    end = len(word) - len(suffix)
    return word[:len(prefix)], word[len(prefix):end], word[end:]


def _is_root(text: str) -> bool:
    return len(text) >= ROOT and not VOWELS.isdisjoint(text)
