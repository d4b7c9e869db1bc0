"""Would a model run on another device, and in bfloat16? Found on the CPU, by keeping book of where tensors come from.

Notable:
- everything is really computed on the CPU. Weights, buffers and tokens are only said to lie on a device of another
  type, so that code which depends on data runs as it is, and what names no device is seen to lie elsewhere;
- what was there before the call and is no parameter or buffer, an attribute or a constant of a module, stays behind
  when a model is moved, so it lies on the CPU; a tensor of unknown origin is on no side;
- a number without dimensions may lie anywhere, and copies and indices may cross: PyTorch allows that.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ..frames import innermost
from ..model import LanguageModel

CPU = torch.device("cpu")
CROSSING = {"copy_", "to", "type_as", "__setitem__", "set_", "index_put", "index_put_", "_pack_padded_sequence"}
MOVING = {"to", "type_as", "cpu"}
INDEXING = {"__getitem__", "index"}
RETYPING = {"float", "to", "type", "type_as"}


class Misplaced(Exception):
    """A call of the model met a tensor of another device, or one that is float32 where bfloat16 is computed."""


def tensors_in(nest: Any) -> Iterator[Tensor]:
    return (leaf for leaf in pytree.tree_leaves(nest) if isinstance(leaf, Tensor))


class Book(TorchFunctionMode):
    """Keeps the side of every tensor it is told of, and where that was made. It holds them, so that ids stay theirs."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.module = type(model).__module__
        self.sides: dict[int, tuple[Tensor, object, str]] = {}

    def enter(self, tensors: Iterable[Tensor], side: object, origin: str) -> None:
        self.sides.update((id(tensor), (tensor, side, origin)) for tensor in tensors)

    def side(self, tensor: Tensor) -> object:
        return self.sides[id(tensor)][1] if id(tensor) in self.sides else None

    def origin(self, tensor: Tensor) -> str:
        return self.sides[id(tensor)][2]

    def made_by(self, name: str, parents: Iterable[Tensor]) -> str:
        """The origin of the first of the parents, else this call of the author's."""
        for parent in parents:
            return self.origin(parent)
        return f"{name} at {innermost(_outward(sys._getframe()), self.module)}"


def _outward(frame: Any) -> list[tuple[Any, int]]:
    """The frames that called `frame`, the outermost first, as a traceback has them."""
    found = []
    while frame is not None:
        found.append((frame, frame.f_lineno))
        frame = frame.f_back
    return found[::-1]


class Devices(Book):
    """Says that `model` and its `tokens` were moved to another device. Raises Misplaced where a tensor on the CPU meets
    what lies there."""

    numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, model: LanguageModel, tokens: Tensor):
        super().__init__(model)
        self.elsewhere = torch.device("xpu", next(self.numbers) % 100)  # a new one: a cache of tensors by device is new
        self.enter((found for found in gc.get_objects() if issubclass(type(found), Tensor)), CPU,
                   "a tensor from before the call")
        for module in model.modules():
            for name, value in vars(module).items():
                self.enter(tensors_in(value), CPU, f"{name} of {type(module).__name__}, no buffer,")
        self.enter([tokens], self.elsewhere, "")
        model._apply(self._moved)  # type: ignore[no-untyped-call]      # what `model.to(device)` takes along

    def _moved(self, tensor: Tensor) -> Tensor:
        self.enter([tensor], self.elsewhere, "")
        return tensor

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, given = getattr(function, "__name__", ""), list(tensors_in((args, kwargs)))
        if name == "__get__" and self.side(given[0]) is self.elsewhere:
            attribute = getattr(getattr(function, "__self__", None), "__name__", "")
            if attribute in ("device", "is_cpu"):
                return self.elsewhere if attribute == "device" else False
        if name not in CROSSING:
            self._meet(name, given)
        device, args, kwargs = self._real(function, args, kwargs or {})
        result = function(*args, **kwargs)
        if name in MOVING and given and result is given[0]:
            result = result.view_as(result)                 # it went to where it is, and is another all the same
        made = [one for one in tensors_in(result) if all(one is not other for other in given)]
        if made and (side := self._side_of(name, given, device)):
            self.enter(made, side, self.made_by(name, (t for t in given if self.side(t) is side)))
        return result

    def _meet(self, name: str, given: list[Tensor]) -> None:
        here = [tensor for tensor in given if tensor.ndim and self.side(tensor) is CPU]
        there = [tensor for tensor in given if self.side(tensor) is self.elsewhere]
        if here and there and not (name in INDEXING and given[0] is not here[0]):
            raise Misplaced(f"{self.origin(here[0])} lies on the CPU and meets, in {name}, what lies on the model's "
                            "device")

    def _side_of(self, name: str, given: list[Tensor], device: torch.device | None) -> object:
        if device or not given:
            return self.elsewhere if device and device.type == self.elsewhere.type else CPU
        if name == "cpu":
            return CPU
        if name in MOVING:
            return self.side(given[-1])
        if name in CROSSING | INDEXING:
            return self.side(given[0])
        sides = {self.side(tensor) for tensor in given}
        return self.elsewhere if self.elsewhere in sides else CPU if sides == {CPU} else None

    def _real(
        self, function: Any, args: Any, kwargs: dict[str, Any],
    ) -> tuple[torch.device | None, Any, dict[str, Any]]:
        """The device that a call names, if it does, and its arguments with the CPU in the place of it."""
        if function is torch.device:
            return None, args, kwargs
        if isinstance(device := kwargs.get("device"), str | int):
            kwargs = {**kwargs, "device": torch.device(device)}
        if function is Tensor.to and len(args) > 1 and isinstance(args[1], str | int):
            args = (args[0], torch.device(args[1]), *args[2:])
        named = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device)]
        args = tuple(CPU if isinstance(value, torch.device) else value for value in args)
        kwargs = {key: CPU if isinstance(value, torch.device) else value for key, value in kwargs.items()}
        return named[0] if named else None, args, kwargs


class Dtypes(Book):
    """Raises Misplaced where a tensor that is float32 by default alone makes float32 of what is bfloat16."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        given = list(tensors_in((args, kwargs)))
        result = function(*args, **kwargs)
        wide = [tensor for tensor in tensors_in(result) if tensor.dtype == torch.float32]
        if not wide:
            return result
        floats = [tensor for tensor in given if tensor.ndim and tensor.is_floating_point()]
        default = [tensor for tensor in floats if self.side(tensor) is torch.float32]
        if default and any(tensor.dtype == torch.bfloat16 for tensor in floats):
            raise Misplaced(f"{self.origin(default[0])} is float32 by default and makes float32, in {name}, of what is "
                            "bfloat16")
        named = any(isinstance(value, torch.dtype) for value in (*args, *kwargs.values()))
        inherits = default and len(default) == len(floats)
        if not named and name not in RETYPING and (inherits or not given):
            self.enter(wide, torch.float32, self.made_by(name, default))
        return result
