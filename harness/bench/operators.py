"""Which operators a call runs, how often, and how long each of them takes by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addbmm", "convolution", "scaled_dot_product", "flash_attention",
            "efficient_attention")
TRIGONOMETRY = ("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "polar", "angle")


@dataclass(frozen=True)
class Operators:
    """Calls and seconds by operator, what an operator spends in others not counted."""

    calls: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def product_share(self) -> float:
        """The share of the time that goes into matrix products, fused attention among them."""
        total = sum(self.seconds.values())
        return sum(s for name, s in self.seconds.items() if is_product(name)) / total if total else 0.0

    @property
    def trigonometric_calls(self) -> int:
        return sum(n for name, n in self.calls.items() if bare(name) in TRIGONOMETRY)

    @property
    def total_calls(self) -> int:
        return sum(self.calls.values())


def bare(name: str) -> str:
    """aten::cos_ -> cos."""
    return name.rpartition("::")[2].strip("_")


def is_product(name: str) -> bool:
    return name.startswith("aten::") and any(
        bare(name) == word or (len(word) > 8 and word in name) for word in PRODUCTS)


def profile(call: Callable[[], object], device: str) -> Operators:
    """Run `call` once under PyTorch's profiler: times of the device that does the work."""
    from torch.profiler import ProfilerActivity

    cuda = device == "cuda"
    with torch.profiler.profile(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * cuda]) as found:
        call()
        if cuda:
            torch.cuda.synchronize()
    events = [event for event in found.key_averages() if not event.key.startswith(("Profiler", "cuda", "autograd::"))]
    return Operators(
        {event.key: event.count for event in events if "::" in event.key},
        {event.key: (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1e6 for event in events})
