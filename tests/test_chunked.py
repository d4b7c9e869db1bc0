"""The chunked scans against a float64 loop, and as an operator: shapes alone, derivative, torch.compile.

Where there is no GPU Triton's interpreter runs the kernels, in chunks small enough for it.
"""

import importlib
import os
import subprocess
import sys

import pytest
import torch
from conftest import environment
from harness.plugins.chunked import chunked_complex_scan, chunked_real_scan
from harness.plugins.scan.reference import sequential_complex, sequential_real
from recurrences import DEVICE, GPU, SHAPES, hold, small_chunks, with_gradients

pytest.importorskip("triton", reason="Triton is not installed: it comes with PyTorch's CUDA builds")
operator = importlib.import_module("harness.plugins.chunked.operator")

LONG = [(3, 64, 17), (2, 200, 33)]


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    torch.manual_seed(0)
    small_chunks(monkeypatch)


def inputs(batch, length, width, dtype=torch.float32, planes=2):
    """decay, cos, sin, x, initial; of one plane without cos and sin."""
    angle = torch.rand(width) * 6
    return [(torch.rand(batch, length, width) * 0.9999).to(dtype), *([angle.cos(), angle.sin()] if planes == 2 else []),
            torch.randn(batch, length, planes * width).to(dtype), torch.randn(batch, planes * width)]


def reference(normalise, sequential=sequential_complex):
    def run(*arguments):
        h = sequential(*arguments, normalise)
        return h, h[:, -1]

    return run


@pytest.mark.parametrize("shape", SHAPES + LONG * GPU)
@pytest.mark.parametrize("normalise", [False, True])
def test_values_and_gradients_are_those_of_the_float64_loop(shape, normalise):
    arguments = inputs(*shape)
    cotangents = [torch.randn(shape[0], shape[1], 2 * shape[2]), torch.randn(shape[0], 2 * shape[2])]
    theirs = with_gradients(reference(normalise), [a.double() for a in arguments], cotangents)
    ours = with_gradients(lambda *a: chunked_complex_scan(*a, normalise=normalise),
                          [a.to(DEVICE) for a in arguments], cotangents)
    assert ours[0].dtype == ours[1].dtype == torch.float32
    hold(ours, theirs, [2e-6] * 7)


@pytest.mark.parametrize("shape", [(2, 11, 5)] + LONG * GPU)
def test_a_real_scan_has_one_plane(shape):
    arguments = inputs(*shape, planes=1)
    cotangents = [torch.randn(shape), torch.randn(shape[0], shape[2])]
    theirs = with_gradients(reference(True, sequential_real), [a.double() for a in arguments], cotangents)
    ours = with_gradients(lambda *a: chunked_real_scan(*a, normalise=True), [a.to(DEVICE) for a in arguments],
                          cotangents)
    hold(ours, theirs, [2e-6] * 5)


def test_bfloat16_inputs_are_accumulated_in_float32():
    """h and the gradients of what is float32 are exact to its roundings; those into bfloat16 are rounded once."""
    arguments = inputs(2, 9, 5, torch.bfloat16)
    cotangents = [torch.randn(2, 9, 10), torch.randn(2, 10)]
    theirs = with_gradients(reference(True), [a.double() for a in arguments], cotangents)
    ours = with_gradients(lambda *a: chunked_complex_scan(*a, normalise=True), [a.to(DEVICE) for a in arguments],
                          cotangents)
    assert [a.dtype for a in ours[2:]] == [torch.bfloat16, torch.float32, torch.float32, torch.bfloat16, torch.float32]
    once = 2 ** (-8 if GPU else -7)                         # the interpreter cuts off where a GPU rounds
    hold(ours, theirs, [2e-6, 2e-6, once, 2e-6, 2e-6, once, 2e-6])


@pytest.mark.parametrize("cut", [1, 4, 6])
def test_the_state_of_one_call_is_where_the_next_begins(cut):
    decay, cos, sin, x, initial = (a.to(DEVICE) for a in inputs(2, 9, 3))
    whole, last = chunked_complex_scan(decay, cos, sin, x, initial)
    first, state = chunked_complex_scan(decay[:, :cut], cos, sin, x[:, :cut], initial)
    second, end = chunked_complex_scan(decay[:, cut:], cos, sin, x[:, cut:], state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=2e-6)
    assert torch.allclose(end, last, atol=2e-6)
    none, _ = chunked_complex_scan(decay, cos, sin, x)
    assert torch.equal(none, chunked_complex_scan(decay, cos, sin, x, torch.zeros_like(initial))[0])


def test_the_operator_keeps_what_pytorch_asks_of_one():
    """Schema, fake tensors, the registration of its derivative, and what ahead-of-time compilation makes of it."""
    decay, cos, sin, x, initial = (a.to(DEVICE) for a in inputs(1, 5, 3))
    arguments = [a.requires_grad_() for a in (decay, torch.stack([cos, sin]), x, initial)]
    torch.library.opcheck(operator.diagonal_scan, (*arguments, True))
    h, grad = torch.randn(1, 5, 6, device=DEVICE), torch.randn(1, 5, 6, device=DEVICE)
    torch.library.opcheck(operator.diagonal_scan_backward, (*(a.detach() for a in arguments), h, grad, True))


def test_a_compiled_layer_computes_the_same_in_one_graph():
    def layer(decay, cos, sin, x):
        h, last = chunked_complex_scan(torch.sigmoid(decay), cos, sin, 2 * x, normalise=True)
        return h.tanh(), last

    arguments, cotangents = inputs(2, 6, 3)[:4], [torch.randn(2, 6, 6), torch.randn(2, 6)]
    arguments = [a.to(DEVICE) for a in arguments]
    compiled = torch.compile(layer, fullgraph=True, backend="inductor" if GPU else "aot_eager")
    for ours, theirs in zip(with_gradients(compiled, arguments, cotangents),
                            with_gradients(layer, arguments, cotangents), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_float64_is_not_rounded_behind_ones_back():
    with pytest.raises(ValueError, match=r"x is torch.float64; the chunked scan computes in float32"):
        chunked_complex_scan(*(a.double() if a.dim() == 3 and a.shape[2] == 6 else a for a in inputs(2, 5, 3)))


@pytest.mark.parametrize(("name", "shape"), [("decay", (2, 0, 3)), ("cos", (4,)), ("x", (2, 5, 3)), ("initial", (6,))])
def test_a_wrong_shape_never_reaches_a_kernel(name, shape):
    given = dict(zip(("decay", "cos", "sin", "x", "initial"), inputs(2, 5, 3), strict=True))
    with pytest.raises(ValueError, match=f"{name} has shape"):
        chunked_complex_scan(**given | {name: torch.zeros(shape)})


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from harness.plugins.chunked import carry, gated_kernels, kernels

CONSTANTS = {"NORMALISE": True, "SMALLEST": 1e-12, "PLANES": 2, "CHUNK": 64, "CHANNELS": 16, "TILE": 32,
             "BACKWARD": True}
for kernel in (kernels.states_forward, kernels.gradients, carry.carry, gated_kernels.outputs, gated_kernels.gradients):
    names = kernel.arg_names
    kinds = {"length": "i32", "width": "i32", "chunks": "i32", **dict.fromkeys(CONSTANTS, "constexpr"),
             **dict.fromkeys(("decay", "x", "d_decay", "dx", "packed", "y", "dy", "d_packed"), "*bf16")}
    source = ASTSource(fn=kernel, signature={name: kinds.get(name, "*fp32") for name in names},
                       constexprs={(names.index(name),): value for name, value in CONSTANTS.items() if name in names})
    print(len(triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]))
"""


@pytest.mark.skipif(GPU, reason="the other tests compile them")
def test_the_kernels_compile_for_a_gpu_that_is_not_here(tmp_path):
    """Compute capability 9.0: the interpreter takes some of what the compiler does not."""
    variables = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False, env={
        **variables, "PYTHONPATH": environment()["PYTHONPATH"], "TRITON_CACHE_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 5
