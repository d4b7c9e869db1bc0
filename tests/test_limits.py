"""Limits against straightforward measurements of the same thing, and stated against estimated operations."""

import time
from statistics import median

import pytest
import torch

from harness import LanguageModel
from harness.bench import limits
from harness.bench.limits import measure_limits, model_flops
from harness.bench.measure import peak_memory


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seconds(call, calls=5):
    call()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)


def test_rates_agree_with_a_plain_measurement():
    """Within a factor of 1.8 at one of three attempts, as the machine may be busy; a slip in units is 2 or more."""
    a, x = torch.ones(32 << 20), torch.randn(1000, 1000)
    b, y = torch.empty_like(a), x.bfloat16()

    def ratios():
        measured = measure_limits("cpu")
        plain = {
            "copy_bytes_per_s": 2 * 4 * a.numel() / seconds(lambda: b.copy_(a)),
            "gemm_float32_flops_per_s": 2 * 1000**3 / seconds(lambda: x @ x),
            "gemm_bfloat16_flops_per_s": 2 * 1000**3 / seconds(lambda: y @ y),
        }
        assert set(measured) == set(plain)
        return [measured[name] / plain[name] for name in plain]

    assert any(all(1 / 1.8 < ratio < 1.8 for ratio in ratios()) for _ in range(3))


def test_arrays_are_bounded_by_free_memory(monkeypatch):
    monkeypatch.setattr(limits, "_free_memory", lambda device: 128 << 20)
    assert peak_memory(lambda: measure_limits("cpu")) < 100 << 20


class Linear(LanguageModel):
    """100 non-embedding parameters, a table of 17 x 10 apart."""

    def __init__(self):
        super().__init__(None, 17)
        self.embed, self.inner = torch.nn.Embedding(17, 10), torch.nn.Linear(10, 10, bias=False)


@pytest.mark.parametrize(("phase", "flops"), [
    ("train", 6 * 100 * 4 * 32), ("prefill", 2 * 100 * 4 * 32), ("score", 2 * 100 * 4 * 32), ("decode", 2 * 100 * 4)])
def test_flops_are_estimated_from_parameters_and_say_so(phase, flops):
    found = model_flops(Linear(), batch=4, seq_len=32, phase=phase)
    assert (found.value, found.estimated) == (flops, True)


def test_a_model_that_states_its_flops_is_believed():
    class Stating(Linear):
        def flops(self, batch, seq_len, phase):
            return batch * seq_len * {"train": 3, "prefill": 1}[phase]

    found = model_flops(Stating(), 4, 32, "train")
    assert (found.value, found.estimated) == (384, False)
