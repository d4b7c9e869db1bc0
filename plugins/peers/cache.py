"""Caches of transformers as states: a nest of tensors and numbers that can be measured, sent and used twice.

Only what differs from an empty cache is kept. Keys and values grow by concatenation, which leaves the given ones alone;
whatever else a cache holds is written in place, so it is copied before a call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

GROWN = ("keys", "values")
PLACE = ("dtype", "device")                     # of a layer, which takes them over from its first tensor
KEPT = (Tensor, dict, list, tuple, int, float)


def packed(cache: Any, empty: Any) -> Any:
    """What a cache, or a list of tensors, holds that an `empty` one does not."""
    if isinstance(cache, list | tuple):
        return _packed(cache)
    layers = [_attributes(*pair) for pair in zip(cache.layers, empty.layers, strict=False)] if _layered(cache) else []
    layers += [_attributes(layer, None) for layer in cache.layers[len(layers):]] if _layered(cache) else []
    return {"layers": layers, **_attributes(cache, empty)}


def unpacked(state: Any, empty: Any) -> Any:
    """The cache that `packed` was made of, in an `empty` one; no tensor that is written in place is shared."""
    if isinstance(state, list):
        return [_unpacked(part, None) for part in state]
    layers = state["layers"]
    while _layered(empty) and len(empty.layers) < len(layers):
        empty.layers.append(empty.layer_class_to_replicate())
    for layer, held in zip(empty.layers if _layered(empty) else (), layers, strict=True):
        _restore(layer, held)
        for tensor in _tensors(held)[:1]:
            layer.dtype, layer.device = tensor.dtype, tensor.device
    _restore(empty, {name: value for name, value in state.items() if name != "layers"})
    return empty


def _layered(cache: Any) -> bool:
    return "layers" in vars(cache)


def _attributes(holder: Any, empty: Any) -> dict[str, Any]:
    before = {} if empty is None else vars(empty)
    return {name: _packed(value) for name, value in vars(holder).items()
            if isinstance(value, KEPT) and name not in (*PLACE, "layers") and not _same(value, before.get(name))}


def _packed(value: Any) -> Any:
    """A plain nest; a count that is a tensor of one number becomes that number."""
    if isinstance(value, Tensor):
        counted = value.numel() == 1 and value.ndim < 2 and not value.is_floating_point()
        return int(value) if counted else value.view_as(value)      # a view has no attributes beside its numbers
    if isinstance(value, dict):
        return {str(key): _packed(item) for key, item in value.items() if isinstance(item, KEPT)}
    return [_packed(item) for item in value] if isinstance(value, list | tuple) else value


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, Tensor):
        return isinstance(other, Tensor) and value.shape == other.shape and torch.equal(value, other)
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(_same(value[key], other[key]) for key in value)
    return type(value) is type(other) and not _tensors(value) and value == other


def _restore(holder: Any, held: dict[str, Any]) -> None:
    for name, value in held.items():
        setattr(holder, name, value if name in GROWN else _unpacked(value, vars(holder).get(name)))


def _unpacked(value: Any, before: Any) -> Any:
    if isinstance(before, Tensor) and isinstance(value, int):
        return torch.full_like(before, value)
    if isinstance(value, dict):
        return {int(key): _unpacked(item, None) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_unpacked(item, None) for item in value)
    return value.clone() if isinstance(value, Tensor) else value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, dict | list | tuple):
        return [tensor for part in (value.values() if isinstance(value, dict) else value) for tensor in _tensors(part)]
    return [value] if isinstance(value, Tensor) else []
