"""What is read back from disk: regular files of a bounded size, JSON and TOML of a known form. (no torch)

Cells, manifests, verdicts, claims, checkpoints and logs pass here. They may come from anybody: a file that was cut off,
edited, or made to harm is one clear line and never a traceback, a hang or a full memory. msgspec holds the forms.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from .errors import FileError, one_line, unknown

LARGEST = 64 << 20                      # bytes of a cell, which holds every round and document of a measurement
LARGEST_TEXT = 1 << 20                  # bytes of a file that people write
DEEPEST = 32                            # lists and tables in each other

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]       # what a table's column can hold
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Finite = Annotated[float, msgspec.Meta(ge=-1.7e308, le=1.7e308)]            # neither infinite nor NaN
Measured = Annotated[float, msgspec.Meta(ge=-1e100, le=1e100)]              # whose square is finite as well
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e100)]
Name = Annotated[str, msgspec.Meta(min_length=1)]

WORDS = {"str": "text", "int": "an integer", "float": "a number", "bool": "true or false", "array": "a list",
         "object": "a table", "null": "nothing"}
EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")
MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
PLACE = re.compile(r" - at `(?:key in )?\$\.?(?P<place>[^`]*)`$")
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|\'[^\'\n]*+\'?')
DOTTED = re.compile(rf"(?<![\w.-])(?:[\w-]+[ \t]*\.[ \t]*){{{DEEPEST}}}")

T = TypeVar("T")


class Malformed(ValueError):
    """What is wrong with a value, and the `place` within it ("" for the whole)."""

    def __init__(self, place: str, reason: str):
        super().__init__(f"{place}: {reason}" if place else reason)
        self.place, self.reason = place, reason


def read_bounded(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a regular file. Raises FileNotFoundError where there is none, FileError where it is no regular file,
    larger than `most` bytes, or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)      # a FIFO would wait for a writer
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise FileError(f"cannot read {path}: it is no regular file")
            content = file.read(most + 1) if facts.st_size <= most else None
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:                                             # nothing lies below a file
        raise FileNotFoundError(*error.args) from None
    except (OSError, ValueError) as error:                                          # ValueError: NUL in the name
        raise FileError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if content is None or len(content) > most:
        raise FileError(f"cannot read {path}: it is larger than the {most >> 20} MiB that such a file can have")
    return content


def parse_json(data: bytes | str, kind: type[T]) -> T:
    """JSON as a value of `kind`. Raises Malformed."""
    try:
        value: T = msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise Malformed("", f"it nests deeper than {DEEPEST} levels") from None
    except msgspec.MsgspecError as error:
        raise _malformed(error) from None
    except ValueError as error:                                                     # not UTF-8
        raise Malformed("", one_line(error)) from None
    return value


def parse_toml(data: bytes) -> dict[str, Any]:
    """TOML, a byte order mark in front or not. Raises Malformed."""
    try:
        text = data.decode("utf-8-sig")
        if DOTTED.search(STRING.sub("_", text)):                    # tomllib takes quadratic time for such a key
            raise Malformed("", f"a key of more than {DEEPEST} parts")
        return bounded(tomllib.loads(text))
    except RecursionError:
        raise Malformed("", f"it nests deeper than {DEEPEST} levels") from None
    except ValueError as error:
        raise error if isinstance(error, Malformed) else Malformed("", one_line(error)) from None


def held_to(value: Any, kind: type[T]) -> T:
    """A value that was read, as one of `kind`. Raises Malformed."""
    try:
        held: T = msgspec.convert(value, kind)
    except msgspec.MsgspecError as error:
        found = _malformed(error)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
            names = [one.encode_name for one in msgspec.structs.fields(kind)]
            for key in value:
                if key not in names:
                    raise Malformed(str(key), str(unknown("field", str(key), names))) from None
        raise found from None
    return held


def bounded(value: T) -> T:
    """`value`, whose lists and tables nest no deeper than DEEPEST. Raises Malformed."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level if isinstance(outer, dict | list)
                 for inner in (outer.values() if isinstance(outer, dict) else outer)]
    if any(isinstance(inner, dict | list) for inner in level):
        raise Malformed("", f"it nests deeper than {DEEPEST} levels")
    return value


def _malformed(error: msgspec.MsgspecError) -> Malformed:
    """msgspec's message in words: the place, and what must be there."""
    text = one_line(error).removeprefix("ValidationError: ").removeprefix("DecodeError: ")
    found = PLACE.search(text)
    text = PLACE.sub("", text)
    if missing := MISSING.fullmatch(text):
        return Malformed(".".join(filter(None, [found["place"] if found else "", missing["name"]])), "is missing")
    if expected := EXPECTED.match(text):
        wanted = " or ".join(WORDS.get(name, name) for name in expected["wanted"].split(" | ") if name != "null")
        got = f", not {WORDS.get(expected['got'], expected['got'])}" if expected["got"] else ""
        text = f"must be {wanted}{got}{text[expected.end():]}"
    return Malformed(found["place"] if found else "", text)
