"""What several models share: RMS norm, SwiGLU, rotary embedding, attention, short causal convolution.

All work on (B, T, D) activations, time second, so that a linear map over channels is one GEMM. Where a block looks back
it takes what it saw before the chunk and returns what the next chunk needs, so that cutting a text changes nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHORT = 512                             # keys up to which float32 attention is the faster one on a CPU


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang & Sennrich 2019)."""

    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x), the gated MLP of Shazeer (2020); gate and up are one GEMM."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


def swiglu_hidden(dim: int) -> int:
    """The hidden size that gives SwiGLU the parameters of an ungated MLP of ratio 4: 8/3 dim, rounded up to 8."""
    return -(-8 * dim // 3 // 8) * 8


def precise(x: Tensor) -> Tensor:
    """x in float32, or in float64 where it is that already: in the bfloat16 of autocast a leak of 0.9999 would be 1."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def rotary_table(start: int, length: int, dim: int, base: float = 10_000.0,
                 device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """cos and sin, each (length, dim / 2) float32, of the angles position * base^(-2i / dim) from position `start`."""
    frequency = base ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angle = torch.arange(start, start + length, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary embedding (Su et al. 2021) of x (..., T, dim): channel i is paired with channel i + dim / 2."""
    cos, sin = (part.to(x.dtype) for part in table)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0, *,
           is_causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(q k^T scale) v by the platform's fused attention, in the dtype that came in.

    `mask` is boolean. On a CPU short texts are computed in float32: there the fused bfloat16 backward pass takes eight
    times as long at T = 16, half as long again at T = 256, and the same from T = 1024 on. One query alone gains nothing
    by a copy of its cache.
    """
    if not (q.is_cpu and q.dtype == torch.bfloat16 and q.shape[-2] > 1 and k.shape[-2] <= SHORT):
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal, scale=scale)
    with torch.autocast("cpu", enabled=False):
        y = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), mask, dropout, is_causal, scale=scale)
    return y.bfloat16()


class ShortConv(nn.Module):
    """Causal depthwise convolution over the last `kernel` tokens, which starts as the identity.

    `window` is (B, kernel - 1, D): the inputs just before x, None (zeros) at the start of a text.
    """

    def __init__(self, channels: int, kernel: int = 4):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 1, kernel))
        nn.init.ones_(self.weight[:, :, -1])

    def forward(self, x: Tensor, window: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, D), window -> (B, T, D), the window of the next chunk."""
        past = self.weight.shape[-1] - 1
        if window is None:
            window = x.new_zeros(x.shape[0], past, x.shape[2])
        x = torch.cat([window, x], dim=1)                                            # (B, kernel - 1 + T, D)
        return depthwise(x, self.weight), x[:, x.shape[1] - past:].clone()      # a view would keep the whole text alive


def depthwise(x: Tensor, weight: Tensor) -> Tensor:
    """y_t = sum_k weight[:, 0, k] x_{t+k} per channel: (B, K - 1 + T, D), (D, 1, K) -> (B, T, D) of x's dtype.

    As a float32 two-dimensional convolution in channels-last order it runs on (B, T, D) as it lies: on a CPU 1.5 to 2.5
    times as fast, forward and backward, as `conv1d` in float32 or bfloat16. One token is a sum, which takes a tenth of
    the time of calling a convolution.
    """
    if x.shape[1] == weight.shape[-1]:
        return (x * weight[:, 0].T).sum(dim=1, keepdim=True).to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        image = x.to(weight.dtype).transpose(1, 2).unsqueeze(2)                      # (B, D, 1, K - 1 + T)
        y = F.conv2d(image, weight.unsqueeze(2), groups=x.shape[2])
        return y.squeeze(2).transpose(1, 2).to(x.dtype)


def gemm_flops(model: nn.Module) -> int:
    """Floating-point operations a token takes in the linear maps of `model`, forward: two for each weight."""
    return sum(2 * module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear))
