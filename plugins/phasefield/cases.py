"""Kernel cases of `--suite kernels`: the scans, byte patches, and reading the slots of the associative memory.

Group "patching" is a forward and a backward pass of the published small-byte model, right by default, over 4 x 512
bytes, under bfloat16 autocast: in patches of 4 bytes, and byte by byte with the same width and depth.

1024 tokens (4 x 256) of 256 complex channels read 512, 1024 or 8192 slots, 32 of them where not all, in float32: the
reading alone, from normalised queries and keys to values, in inference and with the gradients of all three.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import KernelCase

from ..scan import cases as scan_cases
from .config import PhaseFieldConfig
from .model import PhaseField
from .slots import read, weights

TOKENS, DIM, NEAREST = 4 * 256, 256, 32
SLOTS = (512, 1024, 8192)
VOCABULARY = 257
SHARPNESS = 8.0                         # temperature that the products of queries and keys start with


def cases(device: str) -> list[KernelCase]:
    return [*scan_cases.cases(device), *patch_cases(device),
            *(case for slots in SLOTS for case in slot_cases(device, slots))]


def patch_cases(device: str, size: str = "small-byte", batch: int = 4, length: int = 512) -> list[KernelCase]:
    """A training step but for the optimiser, patched and not, of equal bytes."""
    tokens = torch.randint(VOCABULARY, (batch, length + 1), generator=torch.Generator().manual_seed(0)).to(device)
    preset = PhaseFieldConfig.PRESETS[size]

    def step(patch: int) -> Callable[[], object]:
        model = PhaseField(PhaseFieldConfig(**{**preset, "patch": patch}), VOCABULARY).to(device).train()
        parameters = list(model.parameters())

        def run() -> object:
            with torch.autocast(device, torch.bfloat16):
                logits, _ = model(tokens[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
            return torch.autograd.grad(sum(model.auxiliary_losses().values(), loss), parameters)

        return run

    return [KernelCase("patching/bytes", step(0), "baseline", "patching"),
            KernelCase("patching/patches of 4", step(preset["patch"]), "implementation", "patching")]


def slot_cases(device: str, slots: int, tokens: int = TOKENS, dim: int = DIM) -> list[KernelCase]:
    """Groups "slots M infer" and "slots M train": every form of the reading."""
    generator = torch.Generator().manual_seed(0)

    def normal(count: int) -> Tensor:
        return torch.randn(count, 2 * dim, generator=generator).to(device)

    inputs = SHARPNESS * F.normalize(normal(tokens), dim=-1), F.normalize(normal(slots), dim=-1), normal(slots)
    leaves = [x.clone().requires_grad_() for x in inputs]
    grad = normal(tokens)

    def infer(form: Callable[..., Tensor]) -> Tensor:
        with torch.inference_mode():
            return form(*inputs)

    def train(form: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(form(*leaves), leaves, grad)

    return [
        KernelCase(f"slots {slots} {name}/{form}", partial(run, function), role, f"slots {slots} {name}")
        for name, run in (("infer", infer), ("train", train)) for form, (role, function) in FORMS.items()
    ]


def plain(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return weights(query, keys) @ values


def fused(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Reading all slots as the attention of one head, by the platform's fused kernel."""
    q, k, v = (x[None, None] for x in (query, keys, values))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[0, 0]


def published(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The nearest slots by a gather of their values, tokens x 32 x channels x 2 numbers."""
    best = (query @ keys.mT).topk(NEAREST, dim=-1)
    gathered = values.unflatten(-1, (-1, 2))[best.indices]                           # (N, k, d, 2)
    return (best.values.softmax(dim=-1)[..., None, None] * gathered).sum(dim=1).flatten(1)


FORMS: dict[str, tuple[str, Callable[..., Tensor]]] = {             # name -> role, function
    "published": ("reference", published),
    "plain": ("baseline", plain),
    "fused": ("implementation", fused),
    "all": ("implementation", read),
    "nearest": ("implementation", partial(read, nearest=NEAREST)),
}
