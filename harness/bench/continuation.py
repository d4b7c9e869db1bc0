"""How generation goes on from a state that it uses once: a model whose layers write into it need not copy it then."""

from __future__ import annotations

from typing import Any

import torch

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
