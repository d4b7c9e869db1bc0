"""GGUF files: metadata and tensors, read one by one and written whole. (no torch)

The header is parsed here and not by the package `gguf`, whose reader gives a whole file up at the first type it does
not know and does not tell a truncated file from a broken one. The package packs and unpacks the blocks of each type.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, PluginError, Unsupported, one_line
from ..writing import replacing

MAGIC, VERSIONS, ALIGNMENT, MOST_DIMENSIONS, DEEPEST = b"GGUF", (2, 3), 32, 8, 8
ARCHITECTURE = "qllm-harness"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
PLAIN = {0: "<f4", 1: "<f2", 24: "<i1", 25: "<i2", 26: "<i4", 27: "<i8", 28: "<f8"}     # types that numpy has
WRITABLE = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")


def require_gguf() -> None:
    """Raise PluginError where blocks can be neither packed nor unpacked."""
    if find_spec("gguf") is None:
        raise PluginError("GGUF files need the package gguf: pip install 'qllm-harness[gguf]'")


@dataclass(frozen=True)
class GGUFTensor:
    """A tensor of a file: `shape` rows first, `type` its GGML name, `start` its place in the file."""

    name: str
    shape: tuple[int, ...]
    code: int
    start: int

    @property
    def type(self) -> str:
        try:
            return str(_kind(self.code).name)
        except ValueError:
            return f"type {self.code}"

    @property
    def integer(self) -> bool:
        return PLAIN.get(self.code, "").startswith("<i")

    @property
    def size(self) -> int:
        """Bytes in the file. Raises Unsupported for a type whose size is not known."""
        from gguf import GGML_QUANT_SIZES

        try:
            block, width = GGML_QUANT_SIZES[_kind(self.code)]
        except (KeyError, ValueError):
            raise Unsupported(f"the package gguf does not know {self.type}") from None
        if math.prod(self.shape[-1:]) % block:
            raise Unsupported(f"rows of {self.shape[-1]} numbers are no whole blocks of {self.type}")
        return int(math.prod(self.shape) // block * width)


def _kind(code: int) -> Any:
    from gguf import GGMLQuantizationType

    return GGMLQuantizationType(code)


@dataclass
class GGUFFile:
    """A file's metadata and tensors by name; `read` unpacks one."""

    path: Path
    metadata: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, GGUFTensor] = field(default_factory=dict)

    def read(self, name: str) -> np.ndarray:
        """The tensor as float32, or in its own integer or float64 type.

        Raises Unsupported for a type that cannot be unpacked, FileError where the file ends before it does.
        """
        tensor = self.tensors[name]
        try:
            with self.path.open("rb") as file:
                size = tensor.size                      # first, for the place of an unknown type is not checked
                file.seek(tensor.start)
                data = file.read(size)
        except OSError as error:
            raise FileError(f"cannot read {self.path}: {error.strerror}") from None
        if len(data) < size:
            raise _truncated(self.path, f"in tensor {name!r}")
        if tensor.code in PLAIN:
            values = np.frombuffer(data, PLAIN[tensor.code]).reshape(tensor.shape)
            return values.astype(np.float32) if values.dtype == np.float16 else values
        from gguf import dequantize

        blocks = np.frombuffer(data, np.uint8).reshape(*tensor.shape[:-1], -1)
        try:
            return np.asarray(dequantize(blocks, _kind(tensor.code))).reshape(tensor.shape)
        except Exception as error:              # whatever the package raises for a type that it has no code for
            raise Unsupported(f"the package gguf cannot unpack {tensor.type}: {one_line(error)}") from None


def read_gguf(path: Path) -> GGUFFile:
    """Read the header of a file. Raises FileError where it is missing, truncated, corrupt or not GGUF."""
    require_gguf()
    if path.exists() and not path.is_file():
        raise FileError(f"cannot read {path}: it is no regular file")
    try:
        with path.open("rb") as file:
            return _parse(path, file, path.stat().st_size)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, struct.error) as error:
        raise FileError(f"{path} is corrupt: {one_line(error)}") from None


def _truncated(path: Path, where: str) -> FileError:
    return FileError(f"{path} is truncated: it ends {where}; copy or download it again")


class _Cursor:
    def __init__(self, path: Path, file: Any, size: int):
        self.path, self.file, self.size, self.at = path, file, size, 0

    def take(self, count: int) -> bytes:
        if self.at + count > self.size:
            raise _truncated(self.path, "in its header")
        self.at += count
        read: bytes = self.file.read(count)
        return read

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self, errors: str = "strict") -> str:
        return self.take(self.number("Q")).decode("utf-8", errors)

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind == STRING:
            return self.text("backslashreplace")        # the bytes of a token need not be UTF-8
        if kind == ARRAY:
            if depth == DEEPEST:
                raise ValueError(f"metadata nested more than {DEEPEST} deep")
            inner, count = self.number("I"), self.number("Q")
            if inner in SCALARS:
                code = SCALARS[inner]
                return list(struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize(f"<{code}"))))
            return [self.value(inner, depth + 1) for _ in range(count)]
        if kind not in SCALARS:
            raise ValueError(f"metadata of the unknown type {kind}")
        return self.number(SCALARS[kind])


def _parse(path: Path, file: Any, size: int) -> GGUFFile:
    cursor, found = _Cursor(path, file, size), GGUFFile(path)
    if file.read(4) != MAGIC:
        raise FileError(f"{path} is not a GGUF file: it does not begin with {MAGIC.decode()}")
    cursor.at = 4
    version = cursor.number("I")
    if version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise FileError(f"{path} has GGUF version {version}; versions {known}, little-endian, can be read")
    tensors, pairs = cursor.number("Q"), cursor.number("Q")
    for _ in range(pairs):
        key = cursor.text()
        found.metadata[key] = cursor.value(cursor.number("I"))
    parts = found.metadata.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise FileError(f"{path} is one of {parts} parts of a model; merge them first: "
                        "llama-gguf-split --merge FIRST-PART WHOLE")
    entries = []
    for _ in range(tensors):
        name, dimensions = cursor.text(), cursor.number("I")
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"tensor {name!r} has {dimensions} dimensions")
        shape = tuple(cursor.number("Q") for _ in range(dimensions))[::-1]
        entries.append((name, shape, cursor.number("I"), cursor.number("Q")))
    alignment = found.metadata.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"an alignment of {alignment!r}")
    base = -(-cursor.at // alignment) * alignment
    for name, shape, code, offset in entries:
        if name in found.tensors:
            raise ValueError(f"tensor {name!r} stands in it twice")
        tensor = found.tensors[name] = GGUFTensor(name, shape, code, base + offset)
        with suppress(Unsupported):
            if tensor.start + tensor.size > size:
                raise _truncated(path, f"in tensor {name!r}")
    return found


def write_gguf(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str], kind: str) -> dict[str, str]:
    """Write the file whole or not at all. The type of each tensor, by name; raises FileError.

    Matrices take `kind`, one of WRITABLE, where their rows are whole blocks of it; all else stays F32 or integer.
    """
    require_gguf()
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, quantize

    wanted = GGMLQuantizationType[kind.upper()]
    block, _ = GGML_QUANT_SIZES[wanted]
    types = {}
    with replacing(path) as temporary:
        writer = GGUFWriter(temporary, ARCHITECTURE)
        for key, text in metadata.items():
            writer.add_string(key, text)
        for name, values in tensors.items():
            values = np.atleast_1d(values)
            if values.dtype.kind == "f" and values.ndim > 1 and values.shape[-1] % block == 0:
                writer.add_tensor(name, quantize(values.astype(np.float32), wanted), raw_dtype=wanted)
                types[name] = wanted.name
            else:
                plain = values.astype(np.float32 if values.dtype.kind == "f" else np.int64)
                writer.add_tensor(name, np.ascontiguousarray(plain))
                types[name] = "F32" if values.dtype.kind == "f" else "I64"
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return types
