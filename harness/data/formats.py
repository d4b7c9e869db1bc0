"""The bytes of a text file, out of what it is kept in: plain, compressed, or a Parquet table. (no torch)

What a file is shows in its first bytes, not in its name, so that nothing packed is scored as if it were text.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

from ..errors import FileError, one_line

DECOMPRESS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}
ARCHIVES = {
    b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "compressed with zstd", b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF", b"\x89HDF": "an HDF5 file", b"ARROW1": "an Arrow file", b"GGUF": "a GGUF file"}
PARQUET = b"PAR1"
BOM = b"\xef\xbb\xbf"
PACKED = (".gz", ".bz2", ".xz")


def read_text(path: Path) -> bytes:
    """The bytes of a file, decompressed. Raises FileError where it cannot be read or holds something else than text."""
    if not path.exists():
        raise FileError(f"there is no text file {path}")
    if not path.is_file():
        raise FileError(f"{path} is no regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    for magic, what in ARCHIVES.items():
        if content.startswith(magic):
            raise FileError(f"{path} is {what}, not text; unpack it first")
    for magic, decompress in DECOMPRESS.items():
        if content.startswith(magic):
            try:
                return decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise FileError(f"{path} is corrupt: {one_line(error)}") from None
    return content


def suffix(path: Path) -> str:
    """Of the file's name in small letters, without that of its compression: x.JSONL.gz is a .jsonl."""
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return name.suffix.lower()


def read_parquet(path: Path, field: str) -> list[bytes]:
    """The texts of a column of a Parquet table, none of them empty. Raises FileError where it has no such column."""
    import pyarrow
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        texts = [name for name, kind in zip(schema.names, schema.types, strict=True)
                 if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)]
        if field not in texts:
            raise FileError(f"{path} has no text column {field!r}; columns with text: {', '.join(texts) or 'none'}; "
                            "choose with field=NAME")
        column = pyarrow.parquet.read_table(path, columns=[field]).column(field).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise FileError(f"{path} is corrupt: {one_line(error)}") from None
    return [text.encode() for text in column if text and text.strip()]
