"""xLSTM of NX-AI's package, its cells in PyTorch alone, as its authors' own language model is put together."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from harness import LanguageModel, copied_state

from .config import XLSTMConfig


class XLSTM(LanguageModel):
    """The state is what each block keeps, by name, as nested dicts of tuples, batch first."""

    def __init__(self, config: XLSTMConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package = importlib.import_module("xlstm")
        mlstm = package.mLSTMLayerConfig(num_heads=config.heads)
        slstm = package.sLSTMLayerConfig(num_heads=config.heads, backend="vanilla", dtype="float32")
        feedforward = package.FeedForwardConfig(proj_factor=1.3, act_fn="gelu")
        self.inner = package.xLSTMLMModel(package.xLSTMLMModelConfig(
            vocab_size=vocab_size, embedding_dim=config.dim, num_blocks=config.layers, slstm_at=list(config.slstm),
            context_length=1, tie_weights=True, mlstm_block=package.mLSTMBlockConfig(mlstm=mlstm),
            slstm_block=package.sLSTMBlockConfig(slstm=slstm, feedforward=feedforward)))
        self.inner.reset_parameters()
        for module in self.inner.modules():
            if hasattr(module, "causal_mask"):
                module.causal_mask = None           # made for each length, in the place of one for the longest

    def note(self) -> str:
        return "read token by token: its parallel form, which is trained, gives no state"

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if self.training and state is None:
            return self.inner(tokens), None
        return self.advance(tokens, copied_state(state or {}))

    def advance(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """A step writes into its state."""
        found, state = [], turned(state)
        for token in tokens.split(1, dim=1):
            logits, state = self.inner.step(token, state)
            found.append(logits)
        return torch.cat(found, dim=1), turned(state)


def turned(state: Any) -> Any:
    """The gates of the sLSTM, which the package keeps before the batch, behind it, and back."""
    return {block: {name: kept.transpose(0, 1) if name == "slstm_state" else kept for name, kept in parts.items()}
            for block, parts in state.items()}
