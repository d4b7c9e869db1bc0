"""Kernel cases of `--suite kernels`: the scans, byte patches, and reading the slots of the associative memory.

Group "patching" is a forward and a backward pass of the published small-byte model, right by default, over 4 x 512
bytes, under bfloat16 autocast: in patches of 4 bytes, and byte by byte with the same width and depth. "patching
published" is the same of the tiny-byte model as published, in float32, its recurrence in the published loop.

Groups "step T" are that pass over one text of T bytes, unpatched: as published in the published loop and in our scan,
and right by default with the same parts.

1024 tokens (4 x 256) of 256 complex channels read 512, 1024 or 8192 slots, 32 of them where not all, in float32: the
reading alone, from normalised queries and keys to values, in inference and with the gradients of all three.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import KernelCase

from ..scan import cases as scan_cases
from .config import PhaseFieldConfig
from .model import PhaseField
from .published_phase import TINY
from .slots import read, weights

TOKENS, DIM, NEAREST = 4 * 256, 256, 32
SLOTS = (512, 1024, 8192)
VOCABULARY = 257
LENGTHS = (256, 512, 1024)
LOOP = {"as_published": True, "loop": True}
SHARPNESS = 8.0                         # temperature that the products of queries and keys start with
PUBLISHED_CHUNK = 2048                  # slots


def cases(device: str) -> list[KernelCase]:
    return [*scan_cases.cases(device), *patch_cases(device), *published_patch_cases(device),
            *(case for length in LENGTHS for case in step_cases(device, length)),
            *(case for slots in SLOTS for case in slot_cases(device, slots))]


def patch_cases(device: str, size: str = "small-byte", batch: int = 4, length: int = 512) -> list[KernelCase]:
    """A training step but for the optimiser, patched and not, of equal bytes."""
    def step(patch: int) -> Callable[[], object]:
        run = training(device, batch, length, size, patch=patch)

        def cast() -> object:
            with torch.autocast(device, torch.bfloat16):
                return run()

        return cast

    return [KernelCase("patching/bytes", step(0), "baseline", "patching"),
            KernelCase("patching/patches of 4", step(4), "implementation", "patching")]


def published_patch_cases(device: str, size: str = "tiny-byte", batch: int = 4, length: int = 512) -> list[KernelCase]:
    group = "patching published"
    bytes_, patches = (training(device, batch, length, size, patch=patch, **LOOP) for patch in (0, 4))
    return [KernelCase(f"{group}/bytes", bytes_, "baseline", group),
            KernelCase(f"{group}/patches of 4", patches, "implementation", group)]


def step_cases(device: str, length: int, size: str = "tiny-byte") -> list[KernelCase]:
    group = f"step {length}"
    forms: dict[str, dict[str, Any]] = {"published": LOOP, "scan": {"as_published": True}, "by default": {}}
    return [KernelCase(f"{group}/{name}", training(device, 1, length, size, patch=0, **options),
                       "reference" if options is LOOP else "implementation", group)
            for name, options in forms.items()]


def training(device: str, batch: int, length: int, size: str, **options: Any) -> Callable[[], object]:
    """All gradients of the losses of a model of a published size over a batch of random bytes."""
    tokens = torch.randint(VOCABULARY, (batch, length + 1), generator=torch.Generator().manual_seed(0)).to(device)
    model = PhaseField(PhaseFieldConfig(**{**PhaseFieldConfig.PRESETS[size], **options}), VOCABULARY).to(device).train()
    parameters = list(model.parameters())

    def run() -> object:
        logits, _ = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        return torch.autograd.grad(sum(model.auxiliary_losses().values(), loss), parameters, allow_unused=True)

    return run


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
    """The nearest slots by a running list of them over chunks of keys, then a gather of their values, tokens x 32 x
    channels x 2 numbers. Coherence is divided by the lengths of queries, which is the sharpness, and of keys."""
    q, k = query.unflatten(-1, (2, -1)), keys.unflatten(-1, (2, -1))
    long = torch.sqrt(query.square().sum(dim=-1) + TINY)
    best = torch.full((len(query), NEAREST), -torch.inf, device=query.device)
    places = torch.zeros(best.shape, dtype=torch.int64, device=query.device)
    for start in range(0, len(keys), PUBLISHED_CHUNK):
        chunk = k[start:start + PUBLISHED_CHUNK]
        dot = q[:, 0] @ chunk[:, 0].mT + q[:, 1] @ chunk[:, 1].mT
        far = torch.sqrt(chunk.square().sum(dim=(1, 2)) + TINY)
        coherence = dot / (long[:, None] * far + TINY)
        index = torch.arange(start, start + len(chunk), device=query.device).expand(len(query), -1)
        best, chosen = torch.cat([best, coherence], dim=-1).topk(NEAREST, dim=-1)
        places = torch.cat([places, index], dim=-1).gather(-1, chosen)
    gathered = values.unflatten(-1, (-1, 2))[places]                                 # (N, k, d, 2)
    return (gathered * (SHARPNESS * best).softmax(dim=-1)[..., None, None]).sum(dim=1).flatten(1)


FORMS: dict[str, tuple[str, Callable[..., Tensor]]] = {             # name -> role, function
    "published": ("reference", published),
    "plain": ("baseline", plain),
    "fused": ("implementation", fused),
    "all": ("implementation", read),
    "nearest": ("implementation", partial(read, nearest=NEAREST)),
}
