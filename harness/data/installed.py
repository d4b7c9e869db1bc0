"""Two corpora that are always there: `docstrings`, English out of the packages that the harness installs, and `stdlib`,
Python's own source. (no torch)

A document is a module. It is held out by a hash of its name, so that another version of a package moves no document of
another one; the order is that of the hashes too. What is left out:

- documents of fewer than LEAST bytes, and tables of data: more than DIGITS of what is printed are digits;
- paragraphs about copyright and licences;
- what is repeated, by the rule of `harness.data.duplicates`.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from ..errors import FileError
from .documents import Documents, check_fold
from .duplicates import BLANK_LINES, deduplicate
from .modules import documentation, modules, package_folder

PACKAGES = ("networkx", "numpy", "pandas", "sympy", "torch")
ELSEWHERE = ("pydoc_data",)             # of the standard library: a corpus of its own
WAYS = {"docstrings": 10, "stdlib": 3}  # to hold out, so that each leaves 200 documents to score
AMONG_LIBRARIES = "its text lies among the libraries that a model may read"
LEAST, DIGITS = 256, 0.08
LICENCE = (b"copyright", b"licensed to", b"licensed under", b"all rights reserved", b"without warranty",
           b"without any warranty", b"permission is hereby", b"permission to use")


def docstrings(argument: str = "", *, fold: int = 0) -> Documents:
    """`docstrings[:fold=K]`: the documentation strings of PACKAGES, without their tests; fold K of ten is held out.

    It varies with their versions. Raises FileError where a package is missing, UsageError for a fold that there is not.
    """
    check_fold(fold, WAYS["docstrings"], "docstrings")
    found = {}
    for package in PACKAGES:
        for name, source in modules(package_folder(package)):
            found[name] = "\n\n".join(documentation(source)).encode("utf-8", "replace")
    return _corpus("docstrings", found, fold)


def stdlib(argument: str = "", *, fold: int = 0) -> Documents:
    """`stdlib[:fold=K]`: the source of the standard library, without its tests; fold K of three is held out.

    It varies with the version of Python. Raises FileError where there is no source, UsageError for a fold that there is
    not.
    """
    check_fold(fold, WAYS["stdlib"], "stdlib")
    folder = Path(sysconfig.get_path("stdlib"))
    tops = sorted(sys.stdlib_module_names.difference(ELSEWHERE))
    paths = [path for top in tops for path in (folder / top, folder / f"{top}.py") if path.exists()]
    if not paths:
        raise FileError(f"there is no source of the standard library in {folder}; install Python with its source, "
                        "or use --corpus docstrings")
    return _corpus("stdlib", dict(found for path in paths for found in modules(path)), fold)


def _corpus(name: str, found: Mapping[str, bytes], fold: int) -> Documents:
    ways = WAYS[name]
    texts = {module: text for module, raw in found.items() if not _is_table(raw) and len(text := _prose(raw)) >= LEAST}
    order = sorted((int.from_bytes(hashlib.sha256(module.encode()).digest()[:8]), module) for module in texts)
    kept = deduplicate([texts[module] for place, module in order if place % ways != fold],
                       [texts[module] for place, module in order if place % ways == fold])
    total = sum(map(len, texts.values()))
    return Documents(f"{name}:fold={fold}" if fold else name, kept.train, kept.heldout, note=AMONG_LIBRARIES, facts={
        "repeated_share": kept.repeated_bytes / total, "near_duplicate_share": kept.near_bytes / total})


def _prose(text: bytes) -> bytes:
    """A text without what it says of licences."""
    if not _is_licence(text):
        return text
    return b"\n\n".join(part for part in BLANK_LINES.split(text) if not _is_licence(part))


def _is_licence(text: bytes) -> bool:
    lower = text.lower()
    return any(phrase in lower for phrase in LICENCE)


def _is_table(text: bytes) -> bool:
    digits = sum(text.count(b"%d" % digit) for digit in range(10))
    return digits > DIGITS * len(text.translate(None, b" \t\n"))
