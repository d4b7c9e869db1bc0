"""What tests of the scans share: results with their gradients, errors relative to the largest value, small chunks
and shapes."""

import importlib

import torch

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
SHAPES = [(1, 1, 3), (2, 4, 4), (2, 11, 5)]     # small: one step, one whole chunk, more than are carried at once


def small_chunks(monkeypatch):
    """So that Triton's interpreter, which runs the chunked scans where there is no GPU, crosses every boundary soon."""
    carry = importlib.import_module("harness.plugins.chunked.carry")
    if not GPU:
        for name, value in (("CHUNK", 4), ("CHANNELS", 4), ("TILE", 2)):
            monkeypatch.setattr(carry, name, value)


def with_gradients(function, arguments, cotangents):
    leaves = [tensor.detach().clone().requires_grad_() for tensor in arguments]
    results = function(*leaves)
    grads = [cotangent.to(result) for cotangent, result in zip(cotangents, results, strict=True)]
    return [*results, *torch.autograd.grad(results, leaves, grads)]


def hold(ours, theirs, tolerances):
    for number, (a, b, most) in enumerate(zip(ours, theirs, tolerances, strict=True)):
        error = (a.detach().double().cpu() - b.detach()).abs().max() / b.detach().abs().max().clamp(min=1e-30)
        assert error <= most, f"result {number}: relative error {error:.1e}"
