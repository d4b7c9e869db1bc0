"""A KV cache that is written in place and still behaves as a value.

Appending by concatenation copies the whole context at every token, some three times the traffic of the attention that
reads it. Here keys and values are buffers with spare room at their end. A state may write into the room behind it only
while nobody else has: `written`, shared by all states on the same buffers, must equal the state's own `length`.
Otherwise (a state that is continued twice, part of a batch, autograd) the buffers are copied. Both counters live on the
CPU, so reading them never waits for a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Buffers = list[tuple[Tensor, Tensor]]           # per layer keys and values, each (B, heads, capacity, head_dim)

SPARE_TOKENS, SPARE_SHARE = 32, 8               # a copied buffer has room for 32 more tokens, or 1/8 of what it holds


def length(state: Any) -> int:
    """Tokens held by `state`; None is the start of a text."""
    return 0 if state is None else int(state["length"][0])


def reserve(state: Any, tokens: int) -> tuple[Buffers, Tensor]:
    """Buffers that hold `state` and can be written up to `tokens` more, and their shared `written` counter."""
    start = length(state)
    end = start + tokens
    if _owns_room(state, end):
        return state["buffers"], state["written"]
    capacity = end + max(SPARE_TOKENS, end // SPARE_SHARE)

    def copy(buffer: Tensor) -> Tensor:
        roomy = buffer.new_empty(*buffer.shape[:2], capacity, buffer.shape[3])
        roomy[:, :, :start] = buffer[:, :, :start]
        return roomy

    return [(copy(keys), copy(values)) for keys, values in state["buffers"]], state["length"].clone()


def _owns_room(state: Any, end: int) -> bool:
    buffer = state["buffers"][0][0]
    return (
        not torch.is_grad_enabled()
        and not buffer.requires_grad
        and buffer.is_inference() == torch.is_inference_mode_enabled()
        and buffer.is_contiguous()
        and buffer.shape[2] >= end
        and torch.equal(state["written"], state["length"])
    )


def close(buffers: Buffers, written: Tensor | None, end: int) -> dict[str, Any]:
    """The state after token `end` was written to `buffers`."""
    if written is None:
        written = torch.empty(buffers[0][0].shape[0], dtype=torch.int64)
    written.fill_(end)
    return {"buffers": buffers, "length": torch.full_like(written, end), "written": written}
