"""The shared blocks against their formulas in float64."""

from __future__ import annotations

import pytest
import torch
from harness.plugins.blocks import (
    RMSNorm,
    ShortConv,
    SwiGLU,
    depthwise,
    gemm_flops,
    rotary_table,
    rotate,
    swiglu_hidden,
)
from torch import nn


def test_rms_norm_is_the_formula_and_ignores_the_scale_of_its_input():
    norm, x = RMSNorm(6).double(), torch.randn(2, 3, 6, dtype=torch.double)
    nn.init.normal_(norm.weight)
    for b in range(2):
        for t in range(3):
            torch.testing.assert_close(norm(x)[b, t], x[b, t] / (x[b, t].pow(2).mean() + 1e-6).sqrt() * norm.weight)
    torch.testing.assert_close(norm(100 * x), norm(x), rtol=1e-4, atol=1e-6)


def test_swiglu_is_the_formula():
    mlp, x = SwiGLU(4, 6).double(), torch.randn(5, 4, dtype=torch.double)
    gate, up = mlp.up.weight[:6] @ x.T, mlp.up.weight[6:] @ x.T
    torch.testing.assert_close(mlp(x), (mlp.down.weight @ (gate / (1 + (-gate).exp()) * up)).T)


@pytest.mark.parametrize("dim", [48, 96, 200])
def test_swiglu_has_the_parameters_of_an_ungated_mlp(dim):
    assert sum(p.numel() for p in SwiGLU(dim, swiglu_hidden(dim)).parameters()) == pytest.approx(8 * dim * dim, rel=.06)
    assert swiglu_hidden(dim) % 8 == 0


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = torch.randn(2, 8, dtype=torch.double)

    def score(i: int, j: int) -> torch.Tensor:
        return rotate(q, rotary_table(i, 1, 8))[0] @ rotate(k, rotary_table(j, 1, 8))[0]

    torch.testing.assert_close(score(17, 12), score(5, 0), rtol=1e-5, atol=1e-5)
    assert (score(17, 12) - score(5, 1)).abs() > 1e-3


def test_rotation_turns_each_pair_by_position_times_frequency():
    x, (cos, sin) = torch.randn(5, 6), rotary_table(3, 5, 6, base=100.0)
    turned, z = rotate(x, (cos, sin)), torch.complex(x[:, :3], x[:, 3:])
    angle = torch.arange(3, 8)[:, None] * torch.tensor([1.0, 100 ** (-1 / 3), 100 ** (-2 / 3)])
    expected = z * torch.exp(1j * angle)
    torch.testing.assert_close(torch.complex(turned[:, :3], turned[:, 3:]), expected, rtol=1e-5, atol=1e-5)


def naive_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """y_t = sum_k w_k x_{t - K + 1 + k}, zeros before the text, one position at a time."""
    kernel = weight.shape[-1]
    y = torch.zeros_like(x)
    for t in range(x.shape[1]):
        for k in range(kernel):
            if t - kernel + 1 + k >= 0:
                y[:, t] += weight[:, 0, k] * x[:, t - kernel + 1 + k]
    return y


def test_short_convolution_is_the_sum_over_its_window():
    conv, x = ShortConv(3, 4).double(), torch.randn(2, 9, 3, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(conv(x)[0], x)                        # it starts as the identity
    nn.init.normal_(conv.weight)
    torch.testing.assert_close(conv(x)[0], naive_convolution(x, conv.weight))
    assert torch.autograd.gradcheck(depthwise, (x, conv.weight))
    assert torch.autograd.gradcheck(depthwise, (x[:, :4], conv.weight))      # one output


@pytest.mark.parametrize("cuts", [[1], [8], [1, 2, 3, 4], [3, 4], [0, 5]])
def test_short_convolution_carries_its_window(cuts):
    conv, x = ShortConv(3, 4), torch.randn(2, 9, 3)
    nn.init.normal_(conv.weight)
    window, pieces = None, []
    for start, end in zip([0, *cuts], [*cuts, 9], strict=True):
        y, window = conv(x[:, start:end], window) if end > start else (x[:, :0], window)
        pieces.append(y)
        assert end == 0 or window.shape == (2, 3, 3)
    torch.testing.assert_close(torch.cat(pieces, dim=1), conv(x)[0])


def test_a_window_does_not_keep_the_text_alive():
    _, window = ShortConv(3, 4)(torch.randn(1, 1000, 3))
    assert window.untyped_storage().nbytes() == 3 * 3 * 4


def test_convolution_under_autocast_keeps_the_dtype_it_was_given():
    conv, x = ShortConv(3, 4), torch.randn(2, 9, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x)[0].dtype == torch.float32
        assert conv(x.bfloat16())[0].dtype == conv(x.bfloat16())[1].dtype == torch.bfloat16


def test_gemm_flops_are_two_a_weight():
    assert gemm_flops(SwiGLU(4, 6)) == 2 * (4 * 12 + 6 * 4)
