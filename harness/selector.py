"""How a plugin, a corpus or a tokenizer is named on the command line, alone and in lists. (no torch)

Where a part begins with a quote, " or ', everything up to the next such quote is the part itself: commas, colons, @ and
= separate nothing there, and a doubled quote is one. Elsewhere a quote is a letter like others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import UsageError

QUOTED = re.compile(r'"(?:[^"]|"")*"|' r"'(?:[^']|'')*'")
SEPARATORS = ":=@,"


@dataclass(frozen=True)
class Selector:
    """`NAME[:ARGUMENT][:KEY=VALUE]…[@CHECKPOINT]` of the command line, e.g. `phasefield:episodic=false`,
    `file:notes.txt`, `file:"a,b.txt"`, `ssm@runs/x`. `parse_selector` reads its text back."""

    name: str
    argument: str = ""
    options: tuple[tuple[str, str], ...] = ()
    checkpoint: str = ""

    def __str__(self) -> str:
        special = ":" if self.argument else ":@"            # what takes an argument comes from no checkpoint
        like_option = any(map(_is_option, self.argument.split(":")))
        argument = quoted(self.argument) if like_option else written(self.argument) if self.argument else ""
        text = ":".join([written(self.name, ":@"), *filter(None, [argument]),
                         *(f"{key}={written(value, special)}" for key, value in self.options)])
        return f"{text}@{written(self.checkpoint)}" if self.checkpoint else text


def parse_selector(text: str, *, argument: bool = False) -> Selector:
    """Parse a selector. With `argument`, parts without "=" after the name are an argument; without, a checkpoint may
    follow "@". Raises UsageError."""
    text = text.strip()
    plugin, *after = [text] if argument else cut(text, "@", most=1)
    name, *parts = cut(plugin, ":")
    if after == [""]:
        raise UsageError(f"malformed selector {text!r}; write NAME@CHECKPOINT")
    if not name:
        raise UsageError(f"malformed selector {text!r}; write NAME or NAME:KEY=VALUE:KEY=VALUE")
    options: dict[str, str] = {}
    plain: list[str] = []
    for part in parts:
        key, equals, value = part.partition("=")
        if argument and not options and not _is_option(part):
            plain.append(unquoted(part))
        elif not equals or not key.isidentifier() or not value:
            raise UsageError(f"malformed option {part!r} in {text!r}; write NAME:KEY=VALUE:KEY=VALUE")
        elif key in options:
            raise UsageError(f"option {key!r} is given twice in {text!r}")
        else:
            options[key] = unquoted(value)
    return Selector(unquoted(name), ":".join(plain), tuple(sorted(options.items())), *map(unquoted, after))


def options_in(text: str) -> dict[str, str]:
    """Options as they are written after a name, `KEY=VALUE:KEY=VALUE`; "" is none. Raises UsageError."""
    return dict(parse_selector(f"_:{text}").options) if text else {}


def _is_option(part: str) -> bool:
    key, equals, _ = part.partition("=")
    return bool(equals) and key.isidentifier()


def split_selectors(text: str) -> list[str]:
    """The selectors of a comma-separated list, as they stand there. Raises UsageError for a quote that is not closed.
    """
    return [part.strip() for part in cut(text, ",") if part.strip()]


def join_selectors(items: Iterable[str], *, argument: bool = False) -> str:
    """A list of which `split_selectors` makes as many selectors as there are items, whatever commas they hold."""
    return ",".join(str(parse_selector(item, argument=argument)) if "," in item else item for item in items)


def written(text: str, special: str = "") -> str:
    """`text` as a part of a selector: in quotes where it would be read otherwise. `special` separate such parts."""
    plain = text and text == text.strip() and not set(text) & {",", *special} and not any(
        _begins_part(text, place) for place, letter in enumerate(text) if letter in "\"'")
    return text if plain else quoted(text)


def quoted(text: str) -> str:
    mark = "'" if '"' in text and "'" not in text else '"'
    return mark + text.replace(mark, 2 * mark) + mark


def unquoted(part: str) -> str:
    """What a part of a selector stands for. Raises UsageError where something follows its closing quote."""
    bare = part.strip()
    if bare[:1] not in ('"', "'"):
        return part
    if not QUOTED.fullmatch(bare):
        raise UsageError(f"the quote of {part} ends before it does; a doubled quote is one within")
    return bare[1:-1].replace(2 * bare[0], bare[0])


def cut(text: str, at: str, most: int = -1) -> list[str]:
    """The parts of `text` between the letters `at` that stand outside of quotes; `most` is how often it is cut.

    Raises UsageError for a quote that is not closed.
    """
    parts, begin, place = [], 0, 0
    while place < len(text):
        if text[place] in "\"'" and _begins_part(text, place):
            match = QUOTED.match(text, place)
            if match is None:
                raise UsageError(f"a quote is not closed in {text}")
            place = match.end()
        elif text[place] == at and most:
            parts.append(text[begin:place])
            begin = place = place + 1
            most -= 1
        else:
            place += 1
    return [*parts, text[begin:]]


def _begins_part(text: str, place: int) -> bool:
    return (text[:place].rstrip() or SEPARATORS)[-1] in SEPARATORS
