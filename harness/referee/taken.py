"""What the referee takes from a room: the weights of its model, counted by what a fresh process needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..untrusted import held_to
from .room import Room


@dataclass(frozen=True)
class Weights:
    """What was taken from a room: tensors by name, which are parameters, and which of these grow with the vocabulary.
    """

    tensors: dict[str, Tensor]
    parameters: list[str]
    embedding: list[str]

    def count(self, names: Iterable[str]) -> int:
        """Real degrees of freedom. Integers and buffers may pack smaller numbers: four bytes of them are one."""
        def reals(name: str) -> int:
            tensor = self.tensors[name]
            if name in self.parameters and (tensor.is_floating_point() or tensor.is_complex()):
                return tensor.numel() * (2 if tensor.is_complex() else 1)
            return max(tensor.numel(), tensor.numel() * tensor.element_size() // 4)

        return sum(map(reals, names))

    def moved(self, other: Weights) -> list[str]:
        """The names of tensors that `other` has otherwise, or not at all."""
        return [name for name, tensor in self.tensors.items()
                if name not in other.tensors or not same(tensor, other.tensors[name])]


def take(room: Room, number: int) -> Weights:
    """The weights of a room's model. Raises RoomFailed, or Malformed for what are none."""
    found = room.call("tensors", number)
    names, embedding = (held_to(found[key], list[str]) for key in ("parameters", "embedding"))
    tensors = {name: tensor for name, tensor in found["tensors"].items() if isinstance(tensor, Tensor)}
    return Weights(tensors, [name for name in names if name in tensors],
                   [name for name in embedding if name in names and name in tensors])


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are one to the last bit."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
