"""Every backend of the scans against a float64 sequential loop: values, all gradients, the split law, awkward places.

Triton's kernels run on the GPU where there is one, else in Triton's interpreter, in tiles small enough for it.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import scan
from harness.plugins.scan import complex_scan, gated_complex_scan, gated_real_scan, real_scan
from harness.plugins.scan.cases import cases
from harness.plugins.scan.reference import published_complex, sequential_complex, sequential_real
from recurrences import GPU, small_chunks

TRITON = ("cuda", "chunked")                                # the backends that are Triton's kernels
SHAPES = [(1, 1, 5), (2, 16, 4), (3, 35, 17)]
PLANES = {"real": 1, "complex": 2}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(params=["portable", "cpu", *TRITON])
def backend(request, monkeypatch):
    if request.param == "cpu":
        pytest.importorskip("numba", reason="numba is absent: no cpu backend")
    if request.param in TRITON:
        pytest.importorskip("triton", reason="Triton is absent: no cuda backend")
        small_chunks(monkeypatch)
        if not GPU:
            kernels = importlib.import_module("harness.plugins.scan.cuda")
            for name in ("SHORT", "LONG", "CHANNELS"):
                monkeypatch.setattr(kernels, name, 4)
    return request.param


def device(backend: str) -> str:
    return "cuda" if backend in TRITON and GPU else "cpu"


def sized(backend: str, batch: int, length: int, width: int) -> tuple[int, int, int]:
    """The shape, or what of it the interpreter does in reasonable time: still several tiles and an odd rest."""
    return (min(batch, 2), min(length, 10), min(width, 6)) if backend in TRITON and not GPU else (batch, length, width)


def inputs(kind: str, batch: int, length: int, width: int, seed: int = 0) -> list[torch.Tensor]:
    """decay, [cos, sin], x, initial."""
    generator = torch.Generator().manual_seed(seed)
    decay = torch.rand(batch, length, width, generator=generator) * 0.9999
    angle = torch.rand(width, generator=generator) * 6
    x = torch.randn(batch, length, PLANES[kind] * width, generator=generator)
    initial = torch.randn(batch, PLANES[kind] * width, generator=generator)
    return [decay, x, initial] if kind == "real" else [decay, angle.cos(), angle.sin(), x, initial]


def gated_inputs(kind: str, batch: int, length: int, width: int, dtype=torch.float32) -> list[torch.Tensor]:
    """packed, delta, [cos, sin], initial, bias."""
    generator = torch.Generator().manual_seed(1)
    packed = torch.randn(batch, length, (2 + PLANES[kind]) * width, generator=generator).to(dtype)
    delta = torch.rand(width, generator=generator) * 0.5 + 0.4999
    bias = torch.randn(width, generator=generator) * 3
    angle = torch.rand(width, generator=generator) * 6
    initial = torch.randn(batch, PLANES[kind] * width, generator=generator)
    return [packed, delta, *([angle.cos(), angle.sin()] if kind == "complex" else []), initial, bias]


def run(kind: str, arguments, **options):
    return (real_scan if kind == "real" else complex_scan)(*arguments, **options)


def run_gated(kind: str, arguments, backend: str):
    *others, bias = arguments
    return (gated_real_scan if kind == "real" else gated_complex_scan)(*others, bias=bias, backend=backend)


def gated_reference(kind: str, packed, delta, *others):
    *rotation, initial, bias = others
    n = delta.numel()
    gate, out, x = packed.split([n, n, packed.shape[-1] - 2 * n], dim=-1)
    decay = delta * torch.sigmoid(-gate - bias)
    sequential = sequential_real if kind == "real" else sequential_complex
    h = sequential(decay, *rotation, x, initial, True)
    return F.silu(out).repeat(1, 1, PLANES[kind]) * h, h[:, -1]


def with_gradients(function, arguments, cotangents):
    leaves = [a.detach().clone().requires_grad_() for a in arguments]
    results = function(leaves)
    results = results if isinstance(results, tuple) else (results,)
    gradients = torch.autograd.grad(results, leaves, [c.to(r) for c, r in zip(cotangents, results, strict=True)])
    return [*results, *gradients]


def assert_close(ours, reference, tolerance: float):
    for i, (a, b) in enumerate(zip(ours, reference, strict=True)):
        error = (a.detach().double().cpu() - b.detach()).abs().max() / b.detach().abs().max().clamp(min=1e-30)
        assert error <= tolerance, f"result {i}: relative error {error:.1e}"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_values_and_gradients_are_those_of_the_float64_loop(backend, kind, normalise, shape):
    shape = sized(backend, *shape)
    arguments = inputs(kind, *shape)
    cotangent = [torch.randn(shape[0], shape[1], PLANES[kind] * shape[2])]
    sequential = sequential_real if kind == "real" else sequential_complex
    reference = with_gradients(lambda a: sequential(*a, normalise), [a.double() for a in arguments], cotangent)
    ours = with_gradients(
        lambda a: run(kind, a, normalise=normalise, backend=backend), [a.to(device(backend)) for a in arguments],
        cotangent,
    )
    assert ours[0].dtype == torch.float32
    assert_close(ours, reference, 2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_gated_values_and_gradients_are_those_of_the_float64_loop(backend, kind, shape):
    shape = sized(backend, *shape)
    arguments = gated_inputs(kind, *shape)
    wide = PLANES[kind] * shape[2]
    cotangents = [torch.randn(shape[0], shape[1], wide), torch.randn(shape[0], wide)]
    reference = with_gradients(lambda a: gated_reference(kind, *a), [a.double() for a in arguments], cotangents)
    ours = with_gradients(
        lambda a: run_gated(kind, a, backend), [a.to(device(backend)) for a in arguments], cotangents,
    )
    assert_close(ours, reference, 2e-6)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_bfloat16_costs_one_rounding_of_each_bfloat16_result_and_nothing_else(backend, kind):
    arguments = gated_inputs(kind, 2, 9, 6, torch.bfloat16)
    cotangents = [torch.randn(2, 9, PLANES[kind] * 6).bfloat16(), torch.randn(2, PLANES[kind] * 6)]
    reference = with_gradients(lambda a: gated_reference(kind, *a), [a.double() for a in arguments], cotangents)
    ours = with_gradients(
        lambda a: run_gated(kind, a, backend), [a.to(device(backend)) for a in arguments], cotangents,
    )
    half = [i for i, tensor in enumerate(ours) if tensor.dtype == torch.bfloat16]
    assert half == [0, 2]                                         # y and the gradient into packed
    truncates = backend in TRITON and not GPU                     # so does the interpreter, where the GPU rounds
    assert_close([ours[i] for i in half], [reference[i] for i in half], 2 ** (-7 if truncates else -8))
    exact = [i for i in range(len(ours)) if i not in half]
    assert_close([ours[i] for i in exact], [reference[i] for i in exact], 2e-6)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("cut", [1, 16, 17])
def test_splitting_changes_nothing(backend, kind, cut):
    shape = sized(backend, 2, 33, 5)
    cut = min(cut, shape[1] - 1)
    *others, x, initial = (a.to(device(backend)) for a in inputs(kind, *shape))
    decay, *rotation = others
    whole = run(kind, [decay, *rotation, x, initial], normalise=True, backend=backend)
    first = run(kind, [decay[:, :cut], *rotation, x[:, :cut], initial], normalise=True, backend=backend)
    second = run(kind, [decay[:, cut:], *rotation, x[:, cut:], first[:, -1]], normalise=True, backend=backend)
    assert (torch.cat([first, second], dim=1) - whole).abs().max() < 2e-6

    packed, *parameters, initial, bias = (a.to(device(backend)) for a in gated_inputs(kind, *shape))
    whole, last = run_gated(kind, [packed, *parameters, initial, bias], backend)
    first, state = run_gated(kind, [packed[:, :cut], *parameters, initial, bias], backend)
    second, after = run_gated(kind, [packed[:, cut:], *parameters, state, bias], backend)
    assert (torch.cat([first, second], dim=1) - whole).abs().max() < 2e-6
    assert (after - last).abs().max() < 2e-6


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_without_an_initial_state_it_is_zero(backend, kind):
    *arguments, initial = (a.to(device(backend)) for a in inputs(kind, 2, 5, 3))
    none = run(kind, arguments, backend=backend)
    assert torch.equal(none, run(kind, [*arguments, torch.zeros_like(initial)], backend=backend))


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_long_memories_keep_their_precision(backend, kind):
    """Decays from 0.9999 to the last float32 below 1: the input's scale sqrt(1 - a²) loses no digit to cancellation."""
    decay, *others = inputs(kind, 1, 4, 3)
    decay = torch.tensor([0.9999, 0.999999, 1 - 2 ** -24]).expand(decay.shape).contiguous()
    cotangent = [torch.randn(1, 4, PLANES[kind] * 3)]
    sequential = sequential_real if kind == "real" else sequential_complex
    reference = with_gradients(lambda a: sequential(*a, True), [a.double() for a in [decay, *others]], cotangent)
    ours = with_gradients(
        lambda a: run(kind, a, normalise=True, backend=backend), [a.to(device(backend)) for a in [decay, *others]],
        cotangent,
    )
    assert_close(ours, reference, 2e-6)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_a_decay_of_one_lets_nothing_in_and_its_gradient_is_finite(backend, kind):
    decay, *others = (a.to(device(backend)) for a in inputs(kind, 1, 4, 3))
    *others, x, initial = others
    results = with_gradients(
        lambda a: run(kind, a, normalise=True, backend=backend), [torch.ones_like(decay), *others, x, initial],
        [torch.randn(x.shape)],
    )
    assert all(torch.isfinite(tensor).all() for tensor in results)
    silent = run(kind, [torch.ones_like(decay), *others, 0 * x, initial], normalise=True, backend=backend)
    assert (results[0] - silent).abs().max() < 1e-4


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_portable_passes_gradcheck_in_float64(kind, normalise):
    arguments = [a.double().requires_grad_() for a in inputs(kind, 2, 5, 3)]
    assert torch.autograd.gradcheck(lambda *a: run(kind, a, normalise=normalise), arguments)
    arguments = [a.double().requires_grad_() for a in gated_inputs(kind, 2, 5, 3)]
    assert torch.autograd.gradcheck(lambda *a: run_gated(kind, a, "auto"), arguments)


def test_threads_change_no_bit(monkeypatch):
    pytest.importorskip("numba")
    cpu = importlib.import_module("harness.plugins.scan.cpu")
    monkeypatch.setattr(cpu, "THREAD_WORK", 1)
    for batch in (1, 5):
        arguments, cotangent = inputs("complex", batch, 7, 50), [torch.randn(batch, 7, 100)]
        results = []
        for threads in (1, 3):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            results.append(with_gradients(lambda a: run("complex", a, backend="cpu"), arguments, cotangent))
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_views_and_expanded_gradients_are_read_right(backend):
    """A slice of a wider projection as input, and the stride-0 gradient that a sum sends back."""
    wide = torch.randn(2, 6, 10, device=device(backend), requires_grad=True)
    decay = torch.rand(2, 6, 5, device=device(backend)) * 0.9
    real_scan(decay, wide[..., 5:], backend=backend).sum().backward()
    copy = wide.detach()[..., 5:].double().cpu().requires_grad_()
    sequential_real(decay.double().cpu(), copy).sum().backward()
    assert wide.grad is not None
    assert (wide.grad[..., 5:].cpu() - copy.grad).abs().max() < 1e-5
    assert not wide.grad[..., :5].any()


def test_autocast_and_inference_mode_change_nothing(backend):
    arguments = [a.to(device(backend)) for a in inputs("complex", 2, 6, 4)]
    plain = run("complex", arguments, normalise=True, backend=backend)
    with torch.autocast(device(backend), torch.bfloat16), torch.inference_mode():
        assert torch.equal(run("complex", arguments, normalise=True, backend=backend), plain)
    packed, *others = (a.to(device(backend)) for a in gated_inputs("complex", 2, 6, 4))
    plain, _ = run_gated("complex", [packed, *others], backend)
    with torch.autocast(device(backend), torch.bfloat16), torch.inference_mode():
        assert torch.equal(run_gated("complex", [packed, *others], backend)[0], plain)


def test_bfloat16_input_is_accumulated_in_float32(backend):
    decay, x, _ = (a.to(device(backend)) for a in inputs("real", 1, 33, 4))
    h = real_scan(decay, x.bfloat16(), backend=backend)
    assert h.dtype == torch.float32
    assert (h.cpu() - sequential_real(decay.double().cpu(), x.bfloat16().double().cpu())).abs().max() < 1e-5


@pytest.mark.parametrize("wrong", [
    lambda: real_scan(torch.rand(2, 3, 4), torch.randn(2, 3, 5)),
    lambda: real_scan(torch.rand(2, 3, 4), torch.randn(2, 3, 4), torch.zeros(1, 4)),
    lambda: real_scan(torch.rand(2, 0, 4), torch.randn(2, 0, 4)),
    lambda: complex_scan(torch.rand(2, 3, 4), torch.ones(4), torch.zeros(4), torch.randn(2, 3, 4)),
    lambda: complex_scan(torch.rand(2, 3, 4), torch.ones(3), torch.zeros(4), torch.randn(2, 3, 8)),
    lambda: complex_scan(torch.rand(2, 3, 4), torch.ones(4), torch.zeros(4), torch.randn(2, 3, 8), torch.zeros(8)),
    lambda: gated_real_scan(torch.randn(2, 3, 16), torch.rand(4)),
    lambda: gated_real_scan(torch.randn(2, 0, 12), torch.rand(4)),
    lambda: gated_complex_scan(torch.randn(2, 3, 16), torch.rand(4), torch.ones(4), torch.zeros(4), bias=torch.ones(8)),
    lambda: gated_complex_scan(torch.randn(2, 3, 16), torch.rand(4), torch.ones(3), torch.zeros(4)),
    lambda: gated_complex_scan(torch.randn(2, 3, 16), torch.rand(4), torch.ones(4), torch.zeros(4), torch.zeros(8)),
])
def test_a_wrong_shape_never_reaches_a_kernel(wrong):
    with pytest.raises(ValueError, match="has shape"):
        wrong()


@pytest.mark.parametrize("backend", ["cpu", *TRITON], indirect=True)
def test_float64_is_not_rounded_behind_ones_back(backend):
    decay, x, initial = (a.to(device(backend)) for a in inputs("real", 1, 2, 3))
    packed, delta, *_ = (a.to(device(backend)) for a in gated_inputs("real", 1, 2, 3))
    with pytest.raises(RuntimeError, match=r"takes no torch\.float64"):
        real_scan(decay, x, initial.double(), backend=backend)
    with pytest.raises(RuntimeError, match=r"takes no torch\.float64"):
        gated_real_scan(packed.double(), delta, backend=backend)


def test_an_absent_backend_names_what_brings_it(monkeypatch):
    monkeypatch.setattr(scan, "_available", lambda device: False)
    arguments = inputs("real", 1, 2, 3)
    with pytest.raises(RuntimeError, match=r"pip install 'qllm-harness\[fast\]'"):
        real_scan(*arguments, backend="cpu")
    with pytest.raises(RuntimeError, match="Triton"):
        real_scan(*arguments, backend="cuda")
    assert torch.equal(real_scan(*arguments), real_scan(*arguments, backend="portable"))


def test_the_published_loop_computes_the_same_recurrence():
    decay, cos, sin, x, _ = (a.double() for a in inputs("complex", 2, 5, 3))
    published = published_complex(decay, cos, sin, torch.stack(x.chunk(2, dim=-1), dim=-1))
    assert torch.allclose(torch.cat(published.unbind(-1), dim=-1), sequential_complex(decay, cos, sin, x))


def test_the_sigmoid_of_the_kernels_is_exact_to_roundings():
    pytest.importorskip("numba")
    jit = importlib.import_module("harness.plugins.scan.cpu_jit")
    x = torch.linspace(-86, 86, 4001)
    ours = torch.tensor([jit.sigmoid(value) for value in x.numpy()], dtype=torch.float64)
    exact = torch.sigmoid(x.double())
    assert ((ours - exact) / exact).abs().max() < 4e-7
    assert [float(jit.sigmoid(torch.tensor(v).numpy()[()])) for v in (-1e4, 1e4)] == pytest.approx([0, 1], abs=1e-37)


def test_bfloat16_is_rounded_as_pytorch_rounds_it():
    pytest.importorskip("numba")
    jit = importlib.import_module("harness.plugins.scan.cpu_jit")

    @jit.inlined
    def through(source, target):
        for i in range(source.size):
            target[i] = jit.rounded(source[i], target)

    ties = torch.tensor([1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8, 0.0, float("inf"), float("nan"), 3.4e38])
    values = torch.cat([ties, torch.randn(1000)])
    target = torch.empty(values.shape, dtype=torch.bfloat16)
    through(values.numpy(), target.view(torch.int16).numpy())
    assert torch.equal(target.nan_to_num(7), values.bfloat16().nan_to_num(7))


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch):
    caching = pytest.importorskip("numba.core.caching")
    from harness.plugins.scan.cpu_jit import kernel

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert kernel(lambda x: x + 1)(1) == 2


def test_numba_waits_for_the_first_scan_and_two_processes_may_compile_at_once(tmp_path):
    pytest.importorskip("numba")
    program = (
        "import sys, torch; from harness.plugins.scan import real_scan; assert 'numba' not in sys.modules;"
        "print(real_scan(torch.full((1, 3, 2), 0.5), torch.ones(1, 3, 2), backend='cpu')[0, -1].tolist())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    children = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [child.communicate()[0].strip() for child in children] == ["[1.75, 1.75]"] * 2
    assert list(tmp_path.rglob("*.nbc"))                          # and kept what they compiled


def test_kernel_cases_agree_and_their_floors_move_what_they_say():
    found = cases("cpu", batch=1, length=4, channels=8)
    assert {(c.group, c.role) for c in found} >= {
        ("scan", "reference"), ("scan", "floor"), ("scan", "implementation"), ("gated", "floor"),
    }
    results = {c.name: c.run() for c in found if c.role != "floor" and not c.reason}
    assert {c.name: c.reason for c in found if c.reason} == dict.fromkeys(
        ("scan/chunked", "gated/chunked"), "the chunked backend of the scan runs on cuda, not on cpu")
    scans = [r for name, r in results.items() if name.startswith("scan/") and name != "scan/published"]
    d_decay, d_cos, d_sin, _ = results["scan/published"]
    for gradients in scans:
        assert [g.shape for g in gradients[:3]] == [d_decay.shape, d_cos.shape, d_sin.shape]
    assert all(c.bytes_moved % (4 * 8) == 0 for c in found)
