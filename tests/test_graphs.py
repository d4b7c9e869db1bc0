"""CUDA graphs: a replay computes what the call computes; without CUDA one line says so."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from harness.bench.graphs import WARM, graphed
from harness.errors import OutOfMemory, Unsupported
from harness.run.failures import classify


def test_without_cuda_one_line_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Unsupported, match="needs a CUDA device"):
        graphed(lambda: None)


@contextmanager
def capture(graph):
    """As torch's: to leave a capture that broke off raises an error of its own."""
    try:
        yield
    except torch.OutOfMemoryError:
        if graph == "raises":
            raise RuntimeError("operation failed due to a previous error during capture") from None
        raise


@pytest.mark.parametrize("leaving", ["is quiet", "raises"])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nIn detail"),
                                   RuntimeError("operation not permitted when stream is capturing")])
def test_a_lack_of_memory_while_capturing_is_told_as_one(monkeypatch, error, leaving):
    """As a call's own is, and nothing else is."""
    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, fake in {"is_available": lambda: True, "Stream": lambda: stream, "current_stream": lambda: stream,
                       "stream": nullcontext, "CUDAGraph": lambda: leaving, "graph": capture,
                       "synchronize": lambda: None}.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    calls = iter([None] * WARM)

    def call():
        if next(calls, error) is error:
            raise error

    with pytest.raises(Unsupported) as caught:
        graphed(call)
    lack = isinstance(error, torch.OutOfMemoryError)
    assert type(caught.value) is (OutOfMemory if lack else Unsupported)
    assert classify(caught.value)[0] == ("oom" if lack else "unsupported")
    assert str(caught.value) == ("capturing a CUDA graph: CUDA out of memory. Tried to allocate 2 GiB" if lack else
                                 f"this call cannot be captured as a CUDA graph: {error}")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_replay_reads_what_is_there_now():
    x = torch.randn(64, 64, device="cuda")
    run = graphed(lambda: (x @ x).sum())
    before = run().clone()
    x.mul_(2)
    assert torch.allclose(run(), 4 * before, rtol=1e-4)
    with pytest.raises(Unsupported, match="cannot be captured"):
        graphed(lambda: x.sum().item())
