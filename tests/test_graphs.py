"""CUDA graphs: a replay computes what the call computes; without CUDA one line says so."""

import pytest
import torch

from harness.bench.graphs import graphed
from harness.errors import Unsupported


def test_without_cuda_one_line_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Unsupported, match="needs a CUDA device"):
        graphed(lambda: None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_replay_reads_what_is_there_now():
    x = torch.randn(64, 64, device="cuda")
    run = graphed(lambda: (x @ x).sum())
    before = run().clone()
    x.mul_(2)
    assert torch.allclose(run(), 4 * before, rtol=1e-4)
    with pytest.raises(Unsupported, match="cannot be captured"):
        graphed(lambda: x.sum().item())
