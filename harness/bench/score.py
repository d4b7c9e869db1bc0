"""Bits per byte of held-out text: every target once, pads left out, kept one by one: sums are made of them later."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.batches import ScoreBatch
from ..errors import AuditFailed
from ..model import LanguageModel
from .train import autocast


@dataclass(frozen=True)
class Score:
    """Every scored target of windows of `window` tokens, arrays (n,) in the order of documents and of their tokens: its
    bits (float64), the bytes of text that it stands for, its place in its window, and its document.
    """

    target_bits: np.ndarray
    target_bytes: np.ndarray
    position: np.ndarray
    document: np.ndarray
    window: int

    def by_document(self, values: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
        """Sums of `values` (n,) over the targets of each document, or over those of them that are chosen (n,) bool."""
        kept = slice(None) if chosen is None else chosen
        return np.bincount(self.document[kept], weights=values[kept], minlength=int(self.document.max()) + 1)

    @cached_property
    def bits(self) -> np.ndarray:
        return self.by_document(self.target_bits)

    @cached_property
    def bytes(self) -> np.ndarray:
        return self.by_document(self.target_bytes)

    @cached_property
    def tokens(self) -> np.ndarray:
        return self.by_document(np.ones(len(self.document)))

    @property
    def late(self) -> np.ndarray:
        """Which targets stand in the second half of their window, where the model has most context: a diagnostic."""
        return self.position >= self.window // 2

    @property
    def bits_per_byte(self) -> float:
        return float(self.bits.sum() / self.bytes.sum())

    @property
    def late_bits_per_byte(self) -> float:
        """NaN where no window is longer than half its length."""
        size = self.target_bytes[self.late].sum()
        return float(self.target_bits[self.late].sum() / size) if size else math.nan

    @property
    def perplexity_per_byte(self) -> float:
        return _power_of_two(self.bits_per_byte)

    @property
    def perplexity_per_token(self) -> float:
        return _power_of_two(float(self.bits.sum() / self.tokens.sum()))


def _power_of_two(exponent: float) -> float:
    return math.exp2(exponent) if not exponent >= 1024 else math.inf


def score(
    model: LanguageModel, batches: Iterable[ScoreBatch], *, token_bytes: np.ndarray,
    dtype: str = "float32", device: torch.device | str = "cpu",
) -> Score:
    """What `target_losses` finds with a model at hand. It runs in eval mode and is left in the mode it had."""
    def forward(batch: ScoreBatch) -> Tensor:
        with torch.no_grad(), autocast(device, dtype):
            logits: Tensor = model(batch.inputs.to(device))[0]
            return logits

    mode = model.training
    model.eval()
    try:
        return target_losses(forward, batches, token_bytes=token_bytes, device=device)
    finally:
        model.train(mode)


@torch.no_grad()
def target_losses(
    forward: Callable[[ScoreBatch], Tensor], batches: Iterable[ScoreBatch], *, token_bytes: np.ndarray,
    device: torch.device | str = "cpu",
) -> Score:
    """Score what `forward` says of `batches`, logits (B, T, V) each; `token_bytes` (V,) says how many bytes of text
    each token stands for.

    Cross entropy of float32 logits, in float64. Raises AuditFailed for logits that are not (B, T, V).
    """
    losses, scored = [], []
    for batch in batches:
        targets = batch.targets.to(device)                                                                # (B, T)
        logits = forward(batch)                                                                           # (B, T, V)
        if logits.shape != (*targets.shape, len(token_bytes)):
            raise AuditFailed(f"logits of shape {tuple(logits.shape)} for {tuple(targets.shape)} targets of "
                              f"{len(token_bytes)} tokens")
        # Row by row: a float32 copy of all logits of a large vocabulary would dwarf the model.
        nats = torch.stack([F.cross_entropy(row.float(), target, reduction="none")
                            for row, target in zip(logits, targets, strict=True)])                        # (B, T)
        losses.append(nats.double() / math.log(2))
        scored.append(batch)
    mask, targets = (torch.stack([getattr(batch, name) for batch in scored]) for name in ("mask", "targets"))
    document = torch.stack([batch.document for batch in scored])[..., None].expand(mask.shape)            # (N, B, T)
    return Score(torch.stack(losses).cpu()[mask].numpy(), token_bytes[targets[mask].numpy()],
                 mask.nonzero()[:, 2].numpy(), document[mask].numpy(), mask.shape[2])
