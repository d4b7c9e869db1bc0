"""Running a model under audit: every call is held to the contract, and nothing that the calls do outlasts the audit."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..frames import place
from ..model import LanguageModel
from .randomness import Sources

REACH = 30.0                            # nats: what is less likely by more takes no part in a score
DTYPES = ("float32", "bfloat16")
PLAIN = (Tensor, int, float, bool, type(None))       # what a state may be made of; anything else hides its size


class ContractBroken(Exception):
    """The model broke the contract, so that no comparison is possible. `check` says which part of it."""

    def __init__(self, check: str, detail: str, position: int | None = None):
        super().__init__(detail)
        self.check, self.detail, self.position = check, detail, position

    @classmethod
    def by(cls, error: BaseException, action: str, model: nn.Module) -> ContractBroken:
        text = " ".join(str(error).split()) or "no message"
        where = place(error, type(model).__module__)
        return cls("raises", f"{action} raises {type(error).__name__}: {text} ({where})")


class Probe:
    """Calls a model in the dtype that is scored, or in another, and checks what comes back. Raises ContractBroken."""

    def __init__(self, model: LanguageModel, device: torch.device, dtype: str):
        if dtype not in DTYPES:
            raise ValueError(f"cannot audit in {dtype}; known: {', '.join(DTYPES)}")
        self.model, self.device, self.dtype = model, device, dtype
        self.dtypes = tuple(dict.fromkeys(("float32", dtype)))

    def __call__(self, tokens: Tensor, state: Any = None, *, dtype: str = "") -> tuple[Tensor, Any]:
        """(B, T) -> logits (B, T, V), state. The logits are a copy: a model may write its next ones over them."""
        given = tokens.clone()
        carried = "" if state is None else " with a state"
        action = f"forward of {tokens.shape[0]} x {tokens.shape[1]} tokens{carried}"
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=(dtype or self.dtype) == "bfloat16"):
                output = self.model(given, state)
        except (torch.OutOfMemoryError, MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:                      # also SystemExit and the like
            raise ContractBroken.by(error, action, self.model) from error
        if not (isinstance(output, tuple) and len(output) == 2 and isinstance(output[0], Tensor)):
            raise ContractBroken("contract", f"{action} returns {type(output).__name__}, not (logits, state)")
        logits, state = output
        expected = (*tokens.shape, self.model.vocab_size)
        if tuple(logits.shape) != expected or not logits.is_floating_point():
            raise ContractBroken("contract", f"{action} returns {logits.dtype} logits of shape {tuple(logits.shape)}, "
                                     f"not real ones of shape {expected}")
        for leaf in pytree.tree_leaves(state):
            if not isinstance(leaf, PLAIN):
                raise ContractBroken("contract", f"the state holds a {type(leaf).__name__}; it is to be a nest of "
                                         "tuples, lists and dicts of tensors, so that its size can be measured")
        if not torch.equal(given, tokens):
            raise ContractBroken("contract", f"{action} writes to its tokens")
        if not torch.isfinite(logits.sum()) and not (finite := torch.isfinite(logits).flatten(2).all(-1).all(0)).all():
            position = int((~finite).nonzero()[0])
            raise ContractBroken("finite", f"{action} gives NaN or infinite logits at position {position}", position)
        return logits.clone(), state

    def logits(self, tokens: Tensor, *, dtype: str = "") -> Tensor:
        return self(tokens, dtype=dtype)[0]

    def in_float64(self) -> Probe:
        """A probe of a float64 copy of the model, which its "float32" calls leave at that precision."""
        try:
            return Probe(copy.deepcopy(self.model).double(), self.device, "float32")
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            raise ContractBroken.by(error, "a float64 copy of the model", self.model) from error


def spread(logits: Tensor) -> float:
    """The standard deviation of the logits (B, T, V) within a position: the unit in which differences are stated.

    Estimated from the median absolute deviation of those within `REACH` of the largest. Logits at -1e9, masked entries
    of the vocabulary say, would blow up the ordinary estimate, and many of them this one too, and hide any leak.
    """
    sample = logits[:, :: max(1, logits.shape[1] // 16)].float()
    likely = sample.masked_fill(sample < sample.amax(-1, keepdim=True) - REACH, math.nan)
    deviation = (likely - likely.nanmedian(-1, keepdim=True).values).abs().nanmedian(-1).values     # (B, ≤ 17)
    return max(1.4826 * float(deviation.median()) or float(sample.std(-1).median()), 1e-30)


@dataclass(frozen=True)
class Difference:
    """How far two logits (…, T, V) are apart, in std, and where that first exceeds the tolerance, after which cut."""

    size: float = 0.0
    position: int | None = None
    cut: int = 0

    @classmethod
    def between(cls, a: Tensor, b: Tensor, unit: float, tolerance: float) -> Difference:
        if torch.equal(a, b):
            return cls()
        apart = (a.float() - b.float()).abs().amax(-1).reshape(-1, a.shape[-2]).amax(0) / unit     # (T,)
        beyond = (apart > tolerance).nonzero()
        return cls(float(apart.max()), int(beyond[0]) if len(beyond) else None)

    def after(self, cut: int) -> Difference:
        """Of logits that begin at `cut`."""
        return Difference(self.size, None if self.position is None else self.position + cut, cut)


class Snapshot:
    """What some dictionaries hold, and the values of all tensors in them."""

    def __init__(self, containers: Iterable[dict[str, Any]]):
        self.contents = [(c, dict(c)) for c in containers]
        leaves = {id(t): t for t in pytree.tree_leaves([held for _, held in self.contents]) if isinstance(t, Tensor)}
        self.values = [(t, t.detach().clone()) for t in leaves.values()]

    def restore(self) -> None:
        for container, held in self.contents:
            container.clear()
            container.update(held)
        with torch.no_grad():
            for tensor, value in self.values:
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


@contextmanager
def untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore weights, buffers, attributes and random state on leaving. Within, float32 is not shortened to TF32."""
    before = Snapshot(c for m in model.modules() for c in (vars(m), *vars(m).values()) if isinstance(c, dict))
    convolution, product = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        with Sources(model, device).kept():
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolution
        torch.set_float32_matmul_precision(product)
        before.restore()


def add_noise(model: nn.Module, size: float, generator: torch.Generator) -> None:
    """Add normal noise of standard deviation `size` to every parameter, so that branches behind a zero gate open."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device))
