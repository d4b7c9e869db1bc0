"""How generation goes on from a state that it uses once: a model whose layers write into it need not copy it then. What
it carries from call to call may be more than the state tells, such as the spare room of a cache.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ..model import LanguageModel, copied_state


def writes_state(model: LanguageModel) -> bool:
    """Whether the model's `advance` is one of its own."""
    return type(model).advance is not LanguageModel.advance


def beginning(model: LanguageModel, state: Any) -> Any:
    """A state for `advance` to begin with: a copy where the model writes into it."""
    if not writes_state(model):
        return state
    with torch.inference_mode():
        return copied_state(state)


def held_bytes(state: Any) -> int:
    """Bytes of the memory that the tensors of a state keep alive, each block once and whole, of whatever objects it is:
    containers and attributes are followed, a module's are not."""
    blocks, seen, waiting = dict[int, int](), dict[int, Any](), [state]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, nn.Module | ModuleType | type):
            continue
        seen[id(part)] = part
        if isinstance(part, Tensor):
            blocks[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += part
        waiting += getattr(part, "__dict__", {}).values()
    return sum(blocks.values())
