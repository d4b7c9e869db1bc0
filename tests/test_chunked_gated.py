"""The chunked gated scans against a float64 loop, and as an operator: shapes alone, derivative, torch.compile.

Where there is no GPU Triton's interpreter runs the kernels, in chunks small enough for it.
"""

import importlib

import pytest
import torch
import torch.nn.functional as F
from harness.plugins.chunked import chunked_gated_complex_scan, chunked_gated_real_scan
from harness.plugins.scan.reference import sequential_complex, sequential_real
from recurrences import DEVICE, GPU, SHAPES, hold, small_chunks, with_gradients

pytest.importorskip("triton", reason="Triton is not installed: it comes with PyTorch's CUDA builds")
carry = importlib.import_module("harness.plugins.chunked.carry")
operator = importlib.import_module("harness.plugins.chunked.gated_operator")

LONG = [(3, 64, 17), (2, 3000, 33)]


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    torch.manual_seed(0)
    small_chunks(monkeypatch)


def inputs(planes, batch, length, width, dtype=torch.float32):
    """packed, delta, bias, [cos, sin], initial: retentions of which some are long."""
    angle = torch.rand(width) * 6
    return [torch.randn(batch, length, (2 + planes) * width).to(dtype), 0.9999 - 0.5 * torch.rand(width) ** 4,
            3 * torch.randn(width), *([angle.cos(), angle.sin()] if planes == 2 else []),
            torch.randn(batch, planes * width)]


def ours(packed, delta, bias, *others):
    *rotation, initial = others
    function = chunked_gated_complex_scan if rotation else chunked_gated_real_scan
    return function(packed, delta, *rotation, initial, bias=bias)


def loop(packed, delta, bias, *others):
    *rotation, initial = others
    n, planes = delta.numel(), 2 if rotation else 1
    gate, out, x = packed.split([n, n, planes * n], dim=-1)
    sequential = sequential_complex if rotation else sequential_real
    h = sequential(delta * torch.sigmoid(-gate - bias), *rotation, x, initial, True)
    return F.silu(out).repeat(1, 1, planes) * h, h[:, -1]


def both(arguments):
    """Results and gradients of the operator, and of the float64 loop."""
    batch, length, _ = arguments[0].shape
    wide = arguments[-1].shape[1]
    cotangents = [torch.randn(batch, length, wide).to(arguments[0].dtype), torch.randn(batch, wide)]
    return (with_gradients(ours, [a.to(DEVICE) for a in arguments], cotangents),
            with_gradients(loop, [a.double() for a in arguments], cotangents))


@pytest.mark.parametrize("shape", SHAPES + LONG * GPU)
@pytest.mark.parametrize("planes", [1, 2])
def test_values_and_gradients_are_those_of_the_float64_loop(planes, shape):
    found, exact = both(inputs(planes, *shape))
    hold(found, exact, [2e-6] * len(found))


def test_bfloat16_is_rounded_once_and_accumulated_in_float32():
    found, exact = both(inputs(2, 2, 9, 5, torch.bfloat16))
    half = [a.dtype == torch.bfloat16 for a in found]
    assert [number for number, is_half in enumerate(half) if is_half] == [0, 2]         # y and the gradient into packed
    once = 2 ** (-8 if GPU else -7)                         # the interpreter cuts off where a GPU rounds
    hold(found, exact, [once if is_half else 2e-6 for is_half in half])


@pytest.mark.parametrize("cut", [1, 4, 6])
def test_the_state_of_one_call_is_where_the_next_begins(cut):
    packed, *channels, initial = (a.to(DEVICE) for a in inputs(2, 2, 9, 3))
    whole, last = ours(packed, *channels, initial)
    first, state = ours(packed[:, :cut], *channels, initial)
    second, end = ours(packed[:, cut:], *channels, state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=2e-6)
    assert torch.allclose(end, last, atol=2e-6)


def test_what_is_kept_for_backward_are_the_states_between_chunks():
    packed, delta, bias, cos, sin, initial = (a.to(DEVICE) for a in inputs(2, 1, 9, 3))
    _, last, starts = operator.gated_scan(packed, torch.stack([bias, delta, cos, sin]), initial)
    assert starts.shape == (1, carry.chunks_of(9), 2, 3)
    assert torch.equal(starts[:, 0].flatten(1), initial)
    if not GPU:                                             # chunks of 4: the state after 8 steps enters the third
        _, eighth = ours(packed[:, :8], delta, bias, cos, sin, initial)
        assert torch.allclose(starts[:, 2].flatten(1), eighth, atol=2e-6)
    assert torch.equal(last, ours(packed, delta, bias, cos, sin, initial)[1])


@pytest.mark.parametrize("planes", [1, 2])
def test_the_operator_keeps_what_pytorch_asks_of_one(planes):
    """Schema, fake tensors, the registration of its derivative, and what ahead-of-time compilation makes of it."""
    packed, delta, bias, *rotation, initial = (a.to(DEVICE) for a in inputs(planes, 1, 5, 3))
    channels = torch.stack([bias, delta, *rotation])
    torch.library.opcheck(operator.gated_scan, tuple(a.requires_grad_() for a in (packed, channels, initial)))
    starts, dy = (torch.randn(1, size, *shape, device=DEVICE) for size, *shape in
                  ((carry.chunks_of(5), planes, 3), (5, 3 * planes)))
    given = packed.detach(), channels.detach(), starts, dy, initial.detach()
    torch.library.opcheck(operator.gated_scan_backward, given)


def test_a_compiled_layer_computes_the_same_in_one_graph():
    def layer(packed, delta, bias, cos, sin, initial):
        y, last = ours(2 * packed, torch.sigmoid(delta), bias, cos, sin, initial)
        return y.tanh(), last

    arguments, cotangents = [a.to(DEVICE) for a in inputs(2, 2, 6, 3)], [torch.randn(2, 6, 6), torch.randn(2, 6)]
    compiled = torch.compile(layer, fullgraph=True, backend="inductor" if GPU else "aot_eager")
    for a, b in zip(with_gradients(compiled, arguments, cotangents), with_gradients(layer, arguments, cotangents),
                    strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(("name", "shape"), [
    ("packed", (2, 0, 12)), ("packed", (2, 5, 9)), ("delta", (4,)), ("cos", (4,)), ("bias", (2,)), ("initial", (6,))])
def test_a_wrong_shape_never_reaches_a_kernel(name, shape):
    given = dict(zip(("packed", "delta", "bias", "cos", "sin", "initial"), inputs(2, 2, 5, 3), strict=True))
    with pytest.raises(ValueError, match=r"has shape"):
        chunked_gated_complex_scan(**given | {name: torch.zeros(shape)})
