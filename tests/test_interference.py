"""Interference attention against its formulas in float64, its gradients, and the memory it takes."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import alone
from harness.plugins.interference import append, attention, chunked_attention, linear_attention, positions, wave
from harness.plugins.interference.cases import modulus_cases, real_cases
from harness.plugins.interference.reference import materialised, materialised_cosine, standard

from harness.bench.measure import peak_memory

B, H, T, D = 2, 3, 13, 4


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def normal(*shape: int, **options) -> torch.Tensor:
    return torch.randn(*shape, **{"dtype": torch.double, **options})


def exact(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, part: str) -> torch.Tensor:
    """The attention of complex q (B, H, T, d) and k (B, H, S, d), one query at a time."""
    rows = []
    for t in range(q.shape[2]):
        seen = slice(0, k.shape[2] - q.shape[2] + t + 1)
        products = (q[:, :, t, None] * k[:, :, seen].conj()).sum(-1)                 # (B, H, seen)
        scores = products.real if part == "real" else products.abs()
        rows.append((scores.softmax(-1)[..., None] * v[:, :, seen]).sum(2))
    return torch.stack(rows, dim=2)


def planes(z: torch.Tensor) -> torch.Tensor:
    return torch.cat([z.real, z.imag], dim=-1)


def test_waves_are_planes_of_complex_numbers():
    amplitude, phase = torch.rand(5, D).double(), 20 * normal(5, D)
    torch.testing.assert_close(wave(amplitude, phase), planes(torch.polar(amplitude, phase)))
    torch.testing.assert_close(wave(None, phase), planes(torch.exp(1j * phase)))
    long = normal(3, 50, 1000).transpose(1, 2)                                       # several blocks, strided
    torch.testing.assert_close(wave(long.abs(), long), planes(torch.polar(long.abs(), long)))


def test_gradients_of_waves():
    amplitude, phase = torch.rand(5, D).double().requires_grad_(), normal(5, D).requires_grad_()
    assert torch.autograd.gradcheck(wave, (amplitude, phase))
    assert torch.autograd.gradcheck(lambda p: wave(None, p), (phase,))
    silent = torch.zeros(5, D).requires_grad_()
    assert torch.autograd.grad(wave(silent, phase.float()).sum(), silent)[0].isfinite().all()


@pytest.mark.parametrize("part", ["real", "modulus"])
@pytest.mark.parametrize("chunk", [1, 4, 13, 50, None])
@pytest.mark.parametrize("past", [0, 7])
def test_attention_is_the_formula(part, chunk, past):
    q, k = (torch.polar(torch.rand(B, H, n, D).double(), 3 * normal(B, H, n, D)) for n in (T, past + T))
    v = normal(B, H, past + T, 5)
    torch.testing.assert_close(attention(planes(q), planes(k), v, part, chunk), exact(q, k, v, part))


def test_the_published_forms_are_the_same_functions():
    q, k, v = normal(3, B, H, T, D)
    got = attention(wave(None, q) / math.sqrt(D), wave(None, k), v, "modulus", 4)
    torch.testing.assert_close(got, materialised(q, k, v))
    qa, ka = torch.rand(2, B, H, T, D).double()
    torch.testing.assert_close(attention(wave(qa, q), wave(ka, k), v, "real"), materialised_cosine(qa, q, ka, k, v))


def test_float32_products_hold_the_identity():
    q, k = 3 * normal(2, 1, 1, 64, 64)
    direct = torch.exp(1j * (q.unsqueeze(-2) - k.unsqueeze(-3))).sum(-1).abs()
    v = torch.eye(64).double()[None, None]
    got = attention(wave(None, q.float()), wave(None, k.float()), v.float(), "modulus")
    expected = attention(wave(None, q), wave(None, k), v, "modulus")
    torch.testing.assert_close(expected, direct.masked_fill(torch.ones(64, 64).bool().triu(1), -torch.inf).softmax(-1))
    assert (got - expected).abs().max() < 1e-5


@pytest.mark.parametrize("part", ["real", "modulus"])
def test_gradients_of_chunked_attention(part):
    q, k, v = (normal(1, 2, n, width).requires_grad_() for n, width in ((5, 6), (9, 6), (9, 3)))
    assert torch.autograd.gradcheck(lambda *x: chunked_attention(*x, part, 2), (q, k, v))


def test_the_gradient_is_finite_where_waves_cancel():
    """|<q, k>| = 0 for every pair: no direction raises it at first order, and nothing is divided by it."""
    q = wave(None, torch.tensor([0.0, math.pi]).double().expand(1, 1, 4, 2)).requires_grad_()
    k = wave(None, torch.zeros(1, 1, 4, 2).double()).requires_grad_()
    y = chunked_attention(q, k, normal(1, 1, 4, 3), "modulus")
    assert all(grad.isfinite().all() and grad.abs().max() < 10 for grad in torch.autograd.grad(y.sum(), [q, k]))


def test_autocast_keeps_scores_in_float32():
    q, k, v = normal(3, 1, 2, 40, 16, dtype=torch.float32)
    exact_y = chunked_attention(wave(None, q) / 4, wave(None, k), v, "modulus")
    with torch.autocast("cpu", torch.bfloat16):
        y = chunked_attention(wave(None, q) / 4, wave(None, k), v.bfloat16(), "modulus")
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact_y, rtol=0, atol=0.04)


def largest(call) -> int:
    """The most numbers that any tensor held which the call made."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            sizes = [t.numel() for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
            self.most = max(self.most, *sizes, 0)
            return result

    with Watch() as watch:
        call()
    return watch.most


@pytest.mark.parametrize("kind", ["modulus", "real", "fused", "linear"])
def test_no_tensor_is_as_large_as_the_square_of_the_length(kind):
    n, width = 1024, 8
    x, v = normal(2, 1, 1, n, width, dtype=torch.float32), normal(1, 1, n, width // 2, dtype=torch.float32)

    def call():
        q, k = (part.clone().requires_grad_() for part in x)
        if kind == "linear":
            y = linear_attention(q, k, v)[0]
        else:
            y = attention(q, k, v, "modulus" if kind == "modulus" else "real", None if kind == "fused" else 64)
        y.sum().backward()

    assert largest(call) <= n * 64 < n * n
    assert largest(lambda: standard(x[0], x[1], v)) == n * n                         # the watch sees what it is to see


def ours(q, k, v):
    return chunked_attention(q, k, v, "modulus", 64)


def peak_of_gradients(n: int, function) -> int:
    """Bytes, forward and backward."""
    q, k = (normal(1, 2, n, 16, dtype=torch.float32).requires_grad_() for _ in range(2))
    v = normal(1, 2, n, 8, dtype=torch.float32)
    function(q, k, v).sum().backward()                                  # warm: libraries load their buffers
    return peak_memory(lambda: torch.autograd.grad(function(q, k, v).sum(), [q, k]))


def test_memory_is_linear_in_the_length_forward_and_backward():
    one, three = (alone(peak_of_gradients, n, ours) for n in (1024, 3072))
    whole = alone(peak_of_gradients, 3072, standard)
    scores = 2 * 3072**2 * 4                                                         # bytes of a matrix of them
    assert three < 1.5 * 3 * one
    assert three < scores
    assert whole > 2 * scores                                                        # the measurement sees a matrix


@pytest.mark.parametrize("chunk", [1, 4, 13, 64])
def test_linear_attention_is_the_sum_over_the_past(chunk):
    q, k, v, state = normal(B, H, T, 6), normal(B, H, T, 6), normal(B, H, T, 3), normal(B, H, 6, 3)
    y, last = linear_attention(q, k, v, state, chunk)
    for t in range(T):
        state = state + k[:, :, t, :, None] * v[:, :, t, None, :]
        torch.testing.assert_close(y[:, :, t], (q[:, :, t, None] @ state).squeeze(2))
    torch.testing.assert_close(last, state)


def test_positions_are_phases_that_grow_with_the_distance():
    frequency = torch.tensor([1.0, 0.25])
    torch.testing.assert_close(positions(3, frequency, 2), torch.tensor([[3.0, 0.75], [4.0, 1.0]]))


def test_a_cache_grows_along_time():
    old, new = normal(1, 1, 2, 3), normal(1, 1, 1, 3)
    assert append(None, old, new) == (old, new)
    assert torch.equal(append((old, old), new, new)[1], torch.cat([old, new], dim=2))


@pytest.mark.parametrize("make", [modulus_cases, real_cases])
def test_the_cases_of_a_group_run_and_those_of_ours_agree(make):
    cases = make("cpu", length=48, short=16)
    assert len({case.name for case in cases}) == len(cases)
    results = {case.name: case.run() for case in cases}
    assert all(result.isfinite().all() for result in results.values())
    group = cases[0].group
    torch.testing.assert_close(results[f"{group} short/published"], results[cases[-1].name], rtol=1e-4, atol=1e-5)
    same = ("modulus/chunked", "modulus/at once") if group == "modulus" else ("real/fused", "real/chunked")
    torch.testing.assert_close(results[same[0]], results[same[1]], rtol=1e-4, atol=1e-5)


def test_the_hybrid_of_the_kernels_is_half_wave_heads_and_half_standard_ones():
    """As published its wave heads see their own chunk alone: all of 48 tokens, the last 64 of 96 not."""
    for length in (48, 96):
        results = {case.name: case.run() for case in real_cases("cpu", length=length, short=16)}
        waves, standard = results["real/chunked"][:, :4], results["real/standard"][:, :4]
        whole = torch.cat([waves, standard], dim=1)
        torch.testing.assert_close(results["real/hybrid"], whole, rtol=1e-4, atol=1e-5)
        near = torch.isclose(results["real/hybrid as published"], whole, rtol=1e-4, atol=1e-5).all(-1).all(1)[0]
        assert near.tolist() == [True] * min(length, 64) + [False] * (length - 64)
