"""What passes between the referee and a model: numbers, texts, tensors and nests of them, never code.

A pickle from an untrusted process would run whatever it names; msgpack holds data alone. The form of a nest is kept:
tuples, named ones too, and dicts with their order.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import torch
from torch import Tensor

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)}
TENSOR, TUPLE, NAMED, PAIRS = 1, 2, 3, 4
DEEPEST = 64


class NotPlain(ValueError):
    """Something that is no nest of tensors, numbers and texts. Of a model, it has its size hidden."""

    status = "audit_failed"


class Named(NamedTuple):
    """A named tuple of a class that only the model knows."""

    module: str
    name: str
    items: tuple[Any, ...]


def encode(value: Any) -> bytes:
    """Raises NotPlain for what is no nest of tuples, lists and dicts of tensors, numbers and texts."""
    try:
        return msgspec.msgpack.encode(_plain(value, 0))
    except NotPlain:
        raise
    except (OverflowError, TypeError, ValueError) as error:
        raise NotPlain(str(error)) from None


def decode(data: bytes, *, own: bool = False) -> Any:
    """What `encode` made. Named tuples become those of their class where the code is one's `own`, else `Named`, so
    that nothing is imported. Raises NotPlain for anything else."""
    def hook(code: int, content: memoryview) -> Any:
        if code == TENSOR:
            return _tensor(bytes(content))
        items = msgspec.msgpack.decode(content, ext_hook=hook)
        if code == TUPLE:
            return tuple(items)
        if code == PAIRS:
            return dict(items)
        if code != NAMED:
            raise NotPlain(f"an unknown kind of value, {code}")
        module, name, fields = items
        return _make(module, name, fields) if own else Named(module, name, tuple(fields))

    try:
        return msgspec.msgpack.decode(data, ext_hook=hook)
    except NotPlain:
        raise
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise NotPlain(f"it is no message: {error}") from None


def _plain(value: Any, depth: int) -> Any:
    """`value` of what msgpack knows, the rest as extensions."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if depth > DEEPEST:
        raise NotPlain(f"it nests deeper than {DEEPEST} levels")
    if isinstance(value, Tensor):
        return msgspec.msgpack.Ext(TENSOR, _flat(value))
    if isinstance(value, Named):
        return _extension(NAMED, [value.module, value.name, [_plain(item, depth + 1) for item in value.items]])
    if isinstance(value, tuple):
        items = [_plain(item, depth + 1) for item in value]
        if hasattr(value, "_fields"):
            return _extension(NAMED, [type(value).__module__, type(value).__qualname__, items])
        return _extension(TUPLE, items)
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        if all(type(key) is str for key in value):
            return {key: _plain(item, depth + 1) for key, item in value.items()}
        return _extension(PAIRS, [[_plain(key, depth + 1), _plain(item, depth + 1)] for key, item in value.items()])
    raise NotPlain(f"the model gives a {type(value).__name__}, not a nest of tuples, lists and dicts of tensors")


def _extension(code: int, items: list[Any]) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, msgspec.msgpack.encode(items))


def _flat(tensor: Tensor) -> bytes:
    """Dtype, shape and the numbers that the tensor shows: nothing of the storage around them."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES or tensor.layout != torch.strided:
        raise NotPlain(f"a tensor of {name}, {tensor.layout}")
    numbers = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    head = msgspec.msgpack.encode([name, list(tensor.shape)])
    return len(head).to_bytes(4, "little") + head + numbers.view(torch.uint8).numpy().tobytes()


def _tensor(content: bytes) -> Tensor:
    size = int.from_bytes(content[:4], "little")
    name, shape = msgspec.msgpack.decode(content[4:4 + size], type=tuple[str, list[int]])
    if name not in DTYPES or any(n < 0 for n in shape):
        raise NotPlain(f"a tensor of {name}, {shape}")
    numbers = bytearray(content[4 + size:])
    if len(numbers) != math.prod(shape) * torch.empty((), dtype=DTYPES[name]).element_size():
        raise NotPlain(f"{len(numbers)} bytes for {shape} of {name}")
    return torch.frombuffer(numbers, dtype=DTYPES[name]).reshape(shape) if numbers else torch.empty(
        shape, dtype=DTYPES[name])


def _make(module: str, name: str, items: list[Any]) -> Any:
    """The named tuple of a class that is imported here."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found(*items)
