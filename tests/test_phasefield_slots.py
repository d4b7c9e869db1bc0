"""Reading the slots of the associative memory: equal to the plain form in values and gradients, without its arrays."""

from __future__ import annotations

import pytest
import torch
from conftest import alone
from harness.plugins.phasefield import cases, slots
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.memory import PhaseMemory
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from harness.bench.measure import peak_memory

N, W, M, V = 23, 6, 40, 4


@pytest.fixture(params=[1, 5, 128])
def few(request, monkeypatch):
    """Tokens at a time."""
    monkeypatch.setattr(slots, "TOKENS", request.param)
    monkeypatch.setattr(slots, "SCORES", 1)


def leaves(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def plain(query, keys, values, nearest):
    """Every score in one array; all but the nearest get no weight."""
    scores = query @ keys.mT
    if nearest:
        least = scores.sort(dim=-1, descending=True).values[..., nearest - 1:nearest]
        scores = scores.masked_fill(scores < least, -torch.inf)
    return scores.softmax(-1) @ values


@pytest.mark.parametrize("nearest", [0, 1, 7, 40, 100])
def test_values_and_gradients_are_those_of_the_plain_form(few, nearest):
    inputs = leaves((2, N, W), (M, W), (M, V))
    got, expected = slots.read(*inputs, nearest), plain(*inputs, min(nearest, M))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(slots.weights(*inputs[:2], nearest) @ inputs[2], expected)
    grad = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(got, inputs, grad), torch.autograd.grad(expected, inputs, grad))


@pytest.mark.parametrize("nearest", [0, 3])
def test_written_backwards_are_the_derivatives(few, nearest):
    assert torch.autograd.gradcheck(lambda *x: slots.read(*x, nearest), leaves((7, W), (9, W), (9, V)))


@pytest.mark.parametrize("nearest", [0, 7])
def test_the_memory_and_its_gradients_are_those_of_the_formula(nearest):
    torch.manual_seed(0)
    memory = PhaseMemory(PhaseFieldConfig(dim=W, slots=M, nearest=nearest)).double()
    h, = leaves((2, N, 2 * W))
    grad = torch.randn_like(h)
    got = torch.autograd.grad(memory(h)[0], [h, *memory.parameters()], grad)
    query, keys = memory.address(h)
    norm = torch.nn.functional.normalize
    torch.testing.assert_close(query, norm(memory.query(h), dim=-1) * memory.log_temperature.exp() / (2 * W) ** 0.5,
                               rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(keys, norm(memory.keys, dim=-1) * (2 * W) ** 0.5, rtol=1e-5, atol=1e-5)
    read = plain(query, keys, memory.values, nearest)
    expected = h + memory.output(norm(read, dim=-1) * (2 * W) ** 0.5)
    torch.testing.assert_close(memory(h)[0], expected, rtol=1e-4, atol=1e-4)
    wanted = torch.autograd.grad(expected, [h, *memory.parameters()], grad)
    torch.testing.assert_close(wanted, got, rtol=1e-3, atol=1e-3)
    assert torch.equal((memory.weights(h) > 0).sum(-1), torch.full((2, N), nearest or M))


@pytest.mark.parametrize("nearest", [0, 7])
def test_autocast_changes_little(nearest):
    query, keys, values = (x.detach().float() for x in leaves((N, W), (M, W), (M, V)))
    exact = slots.read(query, keys, values, nearest)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = slots.read(query.bfloat16(), keys.bfloat16(), values, nearest)
    assert rounded.dtype == torch.bfloat16
    assert 0 < (rounded - exact).abs().mean() < 0.02 * exact.std()


def largest(call) -> int:
    """The most numbers in any tensor that the call made."""
    class Watch(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for out in result if isinstance(result, tuple | list) else [result]:
                if isinstance(out, torch.Tensor):
                    self.most = max(self.most, out.numel())
            return result

    with Watch() as watch:
        call()
    return watch.most


def kept(function, *inputs) -> int:
    """Numbers kept for the backward pass beside the inputs."""
    found = {}

    def pack(x):
        found[x.data_ptr()] = x.numel()
        return x

    with saved_tensors_hooks(pack, lambda x: x):
        y = function(*inputs)
    known = {x.data_ptr() for x in inputs}
    assert y.requires_grad
    return sum(size for place, size in found.items() if place not in known)


@pytest.mark.parametrize(("nearest", "per_token"), [(0, 0), (8, 5 * 8 + 3)])
def test_no_array_of_tokens_times_slots_is_made_or_kept(nearest, per_token):
    """Of 8 nearest: scores, weights, indices, and what a sum over bags notes of each index and each bag."""
    tokens, count = 2048, 600
    inputs = [x.detach().float().requires_grad_() for x in leaves((tokens, 16), (count, 16), (count, 16))]

    def step(function):
        return lambda: torch.autograd.grad(function(*inputs).sum(), inputs)

    def read(*x):
        return slots.read(*x, nearest)

    assert kept(read, *inputs) <= per_token * tokens
    assert largest(step(read)) <= max(slots.TOKENS * count, slots.SCORES) < tokens * count / 4
    assert kept(lambda *x: plain(*x, nearest), *inputs) >= tokens * count        # the watch sees what it is to see
    assert largest(step(lambda *x: plain(*x, nearest))) == tokens * count


def test_the_forms_of_a_group_agree_and_the_gather_takes_most_memory():
    results = {name: case.run() for name, case in forms_of_a_group().items()}
    for one, other in (("plain", "fused"), ("plain", "all"), ("published", "nearest")):
        torch.testing.assert_close(results[one], results[other], rtol=1e-4, atol=1e-5)
    published, nearest = (alone(least_peak, name) for name in ("published", "nearest"))
    assert published > 512 * 32 * 128 * 4 > 4 * nearest


def least_peak(name):
    """Bytes, of three calls of a form: what else is done adds to it."""
    return min(peak_memory(forms_of_a_group()[name].run) for _ in range(3))


def forms_of_a_group():
    return {case.name.partition("/")[2]: case for case in cases.slot_cases("cpu", 300, tokens=512, dim=64)[:5]}


def test_the_gradients_of_a_group_agree():
    forms = {case.name.partition("/")[2]: case for case in cases.slot_cases("cpu", 50, tokens=60, dim=8)[5:]}
    results = {name: case.run() for name, case in forms.items()}
    for one, other in (("plain", "fused"), ("plain", "all")):
        torch.testing.assert_close(results[one], results[other], rtol=1e-3, atol=1e-5)


def test_the_published_gather_is_the_nearest_slots_whatever_its_chunks(monkeypatch):
    """And so are its gradients, where queries and keys are normalised before it: it does so once more."""
    monkeypatch.setattr(cases, "PUBLISHED_CHUNK", 40)
    inputs = leaves((N, W), (M + 15, W), (M + 15, V))
    results = []
    for form in (cases.published, lambda *x: slots.read(*x, nearest=cases.NEAREST)):
        query, keys = (torch.nn.functional.normalize(x, dim=-1) for x in inputs[:2])
        read = form(cases.SHARPNESS * query, keys, inputs[2])
        results.append([read, *torch.autograd.grad(read.square().sum(), inputs)])
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)
