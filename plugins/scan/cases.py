"""Kernel cases of `--suite kernels`: every scan that runs here, forward and backward, its floor and the published loop.

The work of group "scan" is h = g (B x) + (1 - g) delta R h with everything but h hoisted out of the loop; that of group
"gated" has the gates in it and bfloat16 ends, as a layer under autocast runs it. A floor copies as many bytes as the
group's work must read or write at least, each array once forward and once backward, between warmed arrays as large.
The kernels that do chunks of time side by side stand with a reason where they do not run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness import KernelCase

from . import absent, complex_scan, gated_complex_scan, runnable
from .reference import published_complex

BATCH, LENGTH, CHANNELS = 4, 1024, 512

# A step of a channel in float32 words: forward reads a, x (2), writes h (2); backward reads a, h, dh, writes da, dx.
SCAN_BYTES = 4 * (1 + 2 + 2) + 4 * (1 + 2 + 2 + 1 + 2)
# In bfloat16: forward reads gate, out, x (2), writes y (2); backward reads those and dy, writes the packed gradient.
GATED_BYTES = 2 * (4 + 2) + 2 * (4 + 2 + 4)
# Forward: rotate 6, decay 2, add 2. Backward: add 2, h·dh and h×dh 6, da 3, d cos and d sin 4, carry 8.
SCAN_FLOPS = 10 + 23


def cases(device: str, batch: int = BATCH, length: int = LENGTH, channels: int = CHANNELS) -> list[KernelCase]:
    """The cases of both groups on `device`."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    elements = batch * length * channels
    gate = torch.sigmoid(normal(batch, length, channels))
    decay, angle = (1 - gate) * 0.99, normal(channels)
    x = gate.repeat(1, 1, 2) * normal(batch, length, 2 * channels)
    pairs = torch.stack(x.chunk(2, dim=-1), dim=-1)
    packed = normal(batch, length, 4 * channels).bfloat16()
    rotation = angle.cos(), angle.sin()

    def scan(backend) -> Callable[[], object]:
        def function(a: Tensor, c: Tensor, s: Tensor, u: Tensor) -> Tensor:
            return complex_scan(a, c, s, u, backend=backend)

        return forward_backward(function, decay, *rotation, x)

    def gated(backend) -> Callable[[], object]:
        def function(p: Tensor, c: Tensor, s: Tensor, delta: Tensor) -> Tensor:
            return gated_complex_scan(p, delta, c, s, backend=backend)[0]

        return forward_backward(function, packed, *rotation, torch.full((channels,), 0.99, device=device))

    scan_bytes, scan_flops, gated_bytes = SCAN_BYTES * elements, SCAN_FLOPS * elements, GATED_BYTES * elements
    published = forward_backward(published_complex, decay, *rotation, pairs)
    found = [
        KernelCase("scan/published", published, "reference", "scan", scan_bytes, scan_flops),
        KernelCase("scan/floor", traffic(scan_bytes, x), "floor", "scan", scan_bytes),
        KernelCase("gated/floor", traffic(gated_bytes, packed), "floor", "gated", gated_bytes),
    ]
    for name in runnable(device):
        found.append(KernelCase(f"scan/{name}", scan(name), "implementation", "scan", scan_bytes, scan_flops))
        found.append(KernelCase(f"gated/{name}", gated(name), "implementation", "gated", gated_bytes))
    for group in ("scan", "gated") if (reason := absent("chunked", device)) else ():
        found.append(KernelCase(f"{group}/chunked", nothing, "implementation", group, reason=reason))
    return found


def nothing() -> None:
    raise AssertionError("a case with a reason is not run")


def forward_backward(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], object]:
    """One forward and the gradients into all `inputs`, from a fixed gradient of the result."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    with torch.no_grad():
        grad = torch.randn_like(function(*leaves))
    return lambda: torch.autograd.grad(function(*leaves), leaves, grad)


def traffic(total: int, like: Tensor) -> Callable[[], object]:
    """Move `total` bytes by copies, between arrays of the size of `like` (half of the bytes are read, half written)."""
    each = like.numel() * like.element_size()
    sizes = [each] * (total // 2 // each) + [total // 2 % each]
    pairs = [torch.ones(2, size, dtype=torch.uint8, device=like.device) for size in sizes if size]

    def run() -> None:
        for target, source in pairs:
            target.copy_(source)

    return run
