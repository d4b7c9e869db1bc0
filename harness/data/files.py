"""The corpus `file:PATH`: a text file, records, or a folder with splits, cut into documents. (no torch)

Documents are what intervals are made of, so a plain text is cut into many: at WikiText's article headings where there
are enough, else at the first blank line (or line end) after a minimum size. Cutting loses no byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import FileError, UsageError
from .documents import Documents, check_fold
from .formats import BOM, PARQUET, read_parquet, read_text, suffix

HELDOUT_EVERY = 10
HEADING = re.compile(rb"^ = [^=\n]+ = ?\r?$", re.MULTILINE)          # " = Title = "; sections have more signs
DOCUMENT_BYTES = 4096
JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")


def file(argument: str, *, field: str = "", heldout: str = "", name: str = "", fold: int | None = None) -> Documents:
    """`file:PATH[:field=FIELD][:heldout=PATH][:name=NAME][:fold=K]`; unless `heldout` is given, every tenth document is
    held out, the last of each ten or number K of 0 to 9.

    A folder is read by its splits: trained on train.txt and scored on test.txt, with valid.txt in place of the one that
    is missing. `field` is the text field of JSON records or of a Parquet table, "text" by default; `name` is what
    tables call the corpus. Raises FileError for text that is missing, unreadable, empty or too short to split.
    """
    path = Path(argument).expanduser()
    if fold is not None and (heldout or path.is_dir()):
        raise UsageError(f"what is held out is named by heldout= or by the files of a folder; leave fold={fold} out")
    if path.is_dir():
        if heldout:
            raise UsageError(f"{path} is a folder, its splits say what is held out; leave heldout={heldout!r} out")
        train_path, heldout_path = _splits(path)
        train, scored = read_documents(train_path, field), read_documents(heldout_path, field)
    elif heldout:
        train, scored = read_documents(path, field), read_documents(Path(heldout).expanduser(), field)
    else:
        train, scored = hold_out(read_documents(path, field), str(path), fold)
    place = path.resolve()
    called = name or (place.name if place.is_dir() else place.stem)
    return Documents(called if fold is None else f"{called}:fold={fold}", tuple(train), tuple(scored))


def hold_out(documents: list[bytes], source: str, fold: int | None = None) -> tuple[list[bytes], list[bytes]]:
    """Every tenth document apart, from document `fold` on or the last of ten, or of fewer.

    Raises FileError where there is but one, UsageError for a fold that there is not.
    """
    if len(documents) < 2:
        raise FileError(f"{source} holds one document of {sum(map(len, documents))} bytes, too little to hold any out; "
                        "name held-out text with heldout=PATH")
    ways = min(HELDOUT_EVERY, len(documents))
    first = ways - 1
    if fold is not None:
        check_fold(fold, ways, source)
        first = fold
    scored = documents[first::HELDOUT_EVERY]
    return [d for i, d in enumerate(documents) if i % HELDOUT_EVERY != first], scored


def read_documents(path: Path, field: str = "") -> list[bytes]:
    """The documents of one file, none of them empty. Raises FileError."""
    text = read_text(path)
    if text.startswith(PARQUET):
        documents = read_parquet(path, field or "text")
    elif suffix(path) in JSON_SUFFIXES:
        documents = list(_records(text.removeprefix(BOM), path, field or "text"))
    elif field:
        raise UsageError(f"field={field} is for JSON lines ({', '.join(JSON_SUFFIXES)}) and Parquet; "
                         f"{path} is read as plain text")
    else:
        documents = split_text(text)
    if not any(map(bytes.strip, documents)):
        raise FileError(f"{path} holds no text ({len(text)} bytes)")
    return documents


def split_text(text: bytes) -> list[bytes]:
    """Cut a text into documents: articles, or pieces of 4096 bytes and more (a fortieth of a short text)."""
    starts = [match.start() for match in HEADING.finditer(text)]
    if len(starts) >= HELDOUT_EVERY:
        starts[0] = 0                                                # what stands before the first heading
        return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    return list(_pieces(text, max(1, min(DOCUMENT_BYTES, len(text) // 40))))


def _pieces(text: bytes, least: int) -> Iterator[bytes]:
    """Cut at the first blank line after `least` bytes, else at a line end, else after four times as many."""
    start = 0
    while start < len(text):
        stop = start + 4 * least
        for boundary in (b"\n\n", b"\n"):
            found = text.find(boundary, start + least, stop)
            if found >= 0:
                stop = found + len(boundary)
                break
        if len(text) - stop < least:
            stop = len(text)
        yield text[start:stop]
        start = stop


def _records(text: bytes, path: Path, field: str) -> Iterator[bytes]:
    """The text field of every JSON record, one a line."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise FileError(f"{path}, line {number} is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise FileError(f"{path}, line {number} is a {type(record).__name__}, not a record with named fields")
        if not isinstance(record.get(field), str):
            texts = [key for key, value in record.items() if isinstance(value, str)]
            raise FileError(f"{path}, line {number} has no text field {field!r}; "
                            f"fields with text: {', '.join(texts) or 'none'}; choose with field=NAME")
        if record[field].strip():
            yield record[field].encode("utf-8", "surrogatepass")


def _splits(folder: Path) -> tuple[Path, Path]:
    """The files to train on and to score."""
    train, valid, test = (folder / f"{split}.txt" for split in ("train", "valid", "test"))
    if test.exists() and (train.exists() or valid.exists()):
        return (train if train.exists() else valid), test
    if train.exists() and valid.exists():
        return train, valid
    found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
    raise FileError(f"{folder} needs train.txt (or valid.txt) and test.txt; it holds {found}")
