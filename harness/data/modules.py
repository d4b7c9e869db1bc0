"""Python modules as text, read from where they are installed and never imported: their source, and what documents them.
(no torch)
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from ..errors import FileError

TESTS = frozenset(("test", "tests", "testing", "idle_test"))

_STRING = (rb'(?:"""(?:[^"\\]+|\\.|"(?!""))*+"""|' rb"'''(?:[^'\\]+|\\.|'(?!''))*+'''|"
           rb'"(?:[^"\\\n]+|\\.)*+"|' rb"'(?:[^'\\\n]+|\\.)*+')")
_EMPTY = rb"(?:[ \t\f]*(?:\#[^\n]*)?\n)"                            # a line's end, or a line of space or comment
_ALONE = rb"[ \t]*+[rRuU]?(" + _STRING + rb")" + _EMPTY
_FIRST = re.compile(_EMPTY + rb"*+" + _ALONE, re.DOTALL)
_NEXT = re.compile(rb"\#[^\n]*|" + _STRING + rb"|:" + _EMPTY + rb"++" + _ALONE, re.DOTALL)


def package_folder(name: str) -> Path:
    """Where an installed package lies. Raises FileError."""
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise FileError(f"there is no package {name} here; pip install {name}")
    return Path(found.submodule_search_locations[0])


def modules(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and source of every module of a package, a folder, or of one module, a file, line ends as "\\n".

    Without tests, what no import statement could name, and what is not UTF-8. Raises FileError for what cannot be read.
    """
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        parts = file.relative_to(path.parent).with_suffix("").parts
        if not TESTS.isdisjoint(parts) or not all(map(str.isidentifier, parts)):
            continue
        try:
            source = file.read_bytes()
            source.decode()
        except UnicodeDecodeError:
            continue
        except OSError as error:
            raise FileError(f"cannot read {file}: {error.strerror}") from None
        yield ".".join(parts).removesuffix(".__init__"), source.replace(b"\r\n", b"\n")


def documentation(source: bytes) -> Iterator[str]:
    """The documentation strings of a module, its classes and functions, as `inspect.getdoc` gives them, in order.

    They are found by their place, some ten times faster than by parsing: strings alone on their lines, at the start or
    behind a line that ends in a colon. That is also where a few belong to an `if`.
    """
    first = _FIRST.match(source)
    found = [first] if first else []
    found += [match for match in _NEXT.finditer(source, first.end(1) if first else 0) if match[1]]
    for match in found:
        if text := _value(match[1], raw=source[match.start(1) - 1:match.start(1)] in (b"r", b"R")):
            yield inspect.cleandoc(text)


def _value(literal: bytes, raw: bool) -> str:
    """What a string literal stands for, "" where it is none."""
    if b"\\" in literal and not raw:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")             # escapes that there are not
                return str(ast.literal_eval(literal.decode()))
        except (SyntaxError, ValueError):
            return ""
    quotes = 3 if literal[:3] in (b'"""', b"'''") else 1
    return literal[quotes:-quotes].decode()
