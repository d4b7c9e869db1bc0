"""How a table writes the names of its rows: what tells them apart stands beside the numbers. (no torch)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .pivot import RowKey

Names = dict[RowKey, str]


def whole(keys: Sequence[RowKey]) -> Names:
    """Each label on one line, `transformers:arch=llama`; below it what else tells its row from others."""
    return {key: _lines(*key) for key in keys}


def telling_first(keys: Sequence[RowKey]) -> Names:
    """Of variants of one plugin first what they do not share: `arch=llama`, below it `of transformers`."""
    variants, having = Counter[str](), Counter[tuple[str, str]]()       # of a plugin, and of these with an option
    for label in dict.fromkeys(key[0] for key in keys):
        name, *options = label.split(":")
        variants[name] += 1
        having.update((name, text) for text in set(options))

    def lines(key: RowKey) -> str:
        name, *options = key[0].split(":")
        own = [text for text in options if having[name, text] < variants[name]]
        shared = [text for text in options if text not in own]
        first = [":".join(own), f"of {name}"] if own else [name]
        return _lines(*first, *shared, *key[1:])

    return {key: lines(key) for key in keys}


def stacked(keys: Sequence[RowKey]) -> Names:
    """The plugin, its options and what else there is on lines of their own."""
    return {key: _lines(*(part for text in key for part in text.split(":"))) for key in keys}


def _lines(*parts: str) -> str:
    return "\n  ".join(filter(None, parts))
