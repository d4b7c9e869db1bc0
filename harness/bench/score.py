"""Bits per byte of held-out text: every target once, pads masked, kept by document so that intervals can resample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
    """Sums over the scored targets of each document, float64 arrays of shape (documents,).

    `late_*` are those in the second half of their window, where the model has most context: a diagnostic.
    """

    bits: np.ndarray
    bytes: np.ndarray
    tokens: np.ndarray
    late_bits: np.ndarray
    late_bytes: np.ndarray

    @property
    def bits_per_byte(self) -> float:
        return float(self.bits.sum() / self.bytes.sum())

    @property
    def late_bits_per_byte(self) -> float:
        """NaN where no window is longer than half its length."""
        return float(self.late_bits.sum() / self.late_bytes.sum()) if self.late_bytes.any() else math.nan

    @property
    def perplexity_per_byte(self) -> float:
        return _power_of_two(self.bits_per_byte)

    @property
    def perplexity_per_token(self) -> float:
        return _power_of_two(float(self.bits.sum() / self.tokens.sum()))


def _power_of_two(exponent: float) -> float:
    return math.exp2(exponent) if not exponent >= 1024 else math.inf


def score(
    model: LanguageModel, batches: Iterable[ScoreBatch], *, token_bytes: np.ndarray | Tensor,
    dtype: str = "float32", device: torch.device | str = "cpu",
) -> Score:
    """Score `batches` with a model at hand as `sum_losses` does. It runs in eval mode and is left in the mode it had.
    """
    def forward(batch: ScoreBatch) -> Tensor:
        with torch.no_grad(), autocast(device, dtype):
            logits: Tensor = model(batch.inputs.to(device))[0]
            return logits

    mode = model.training
    model.eval()
    try:
        return sum_losses(forward, batches, token_bytes=token_bytes, device=device)
    finally:
        model.train(mode)


@torch.no_grad()
def sum_losses(
    forward: Callable[[ScoreBatch], Tensor], batches: Iterable[ScoreBatch], *, token_bytes: np.ndarray | Tensor,
    device: torch.device | str = "cpu",
) -> Score:
    """Score what `forward` says of `batches`, logits (B, T, V) each; `token_bytes` (V,) says how many bytes of text
    each token stands for.

    Cross entropy of float32 logits, summed in float64. Raises AuditFailed for logits that are not (B, T, V).
    """
    sizes = torch.as_tensor(token_bytes, dtype=torch.float64, device=device)
    documents, sums = [], []
    for batch in batches:
        targets, mask = batch.targets.to(device), batch.mask.to(device)                                   # (B, T)
        logits = forward(batch)                                                                           # (B, T, V)
        if logits.shape != (*targets.shape, len(sizes)):
            raise AuditFailed(f"logits of shape {tuple(logits.shape)} for {tuple(targets.shape)} targets of "
                              f"{len(sizes)} tokens")
        # Row by row: a float32 copy of all logits of a large vocabulary would dwarf the model.
        nats = torch.stack([F.cross_entropy(row.float(), target, reduction="none")
                            for row, target in zip(logits, targets, strict=True)])                        # (B, T)
        bits = (nats.double() / math.log(2)).masked_fill(~mask, 0.0)
        counted = sizes[targets] * mask
        late = slice(mask.shape[1] // 2, None)
        columns = (bits, counted, mask.double(), bits[:, late], counted[:, late])
        documents.append(batch.document)
        sums.append(torch.stack([column.sum(1) for column in columns]))                                   # (5, B)
    index = torch.cat(documents).cpu().numpy()
    totals = [np.bincount(index, weights=column) for column in torch.cat(sums, dim=1).cpu().numpy()]
    return Score(*totals)
