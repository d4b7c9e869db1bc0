"""The kernels suite's forms that a machine lacks or a GPU has besides: rows with a reason, and CUDA graphs."""

from types import SimpleNamespace

import pytest
from harness.suites import kernels

from harness.errors import OutOfMemory, Unsupported
from harness.specs import KernelCase

CASES = [
    KernelCase("work/floor", lambda: "floor", "floor", "work"),
    KernelCase("work/loop", lambda: "loop", "reference", "work"),
    KernelCase("work/fast", lambda: "fast", "implementation", "work"),
    KernelCase("work/waits", lambda: "waits", "implementation", "work"),
    KernelCase("work/large", lambda: "large", "implementation", "work"),
    KernelCase("work/absent", lambda: 1 / 0, "implementation", "work", reason="it runs elsewhere"),
]


class Bench:
    def __init__(self):
        self.rows, self.raw, self.weighed, self.failed = {}, {}, [], []

    def kernels(self):
        return CASES

    def row(self, metric, value, unit="", better="", **fields):
        self.rows[metric] = (value if value is None else round(value, 6), fields.get("reason", ""))

    def fail(self, metric, reason, status, unit, better):
        self.failed.append((metric, reason, status, unit, better))

    def time_cases(self, calls, limit):
        return {name: [1.0 + len(call())] * 6 for name, call in calls.items()}

    def peak_memory(self, call):
        self.weighed.append(call())
        return {"allocated": 4096}

    def graphed(self, call):
        if call() == "waits":
            raise Unsupported("this call cannot be captured as a CUDA graph")
        if call() == "large":
            raise OutOfMemory("capturing a CUDA graph: CUDA out of memory")
        return lambda: ""


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    return request.param


def test_graphs_stand_beside_the_plain_launches_on_a_gpu_alone(device):
    """With their times and no ratio: beside a floor or a reference that is launched it would measure the launches."""
    bench = Bench()
    kernels.kernels(SimpleNamespace(device=device, get=lambda name: None), bench)
    assert bench.rows["time_s:work/absent"] == (None, "it runs elsewhere")
    assert bench.rows["time_s:work/fast"] == (5.0, "")
    graphs = {metric: row for metric, row in bench.rows.items() if metric.endswith("/graph")}
    if device == "cpu":
        assert not graphs and not bench.failed
    else:
        assert graphs == {
            "time_s:work/fast/graph": (1.0, ""),
            "time_s:work/waits/graph": (None, "this call cannot be captured as a CUDA graph")}
        assert bench.failed == [("time_s:work/large/graph", "capturing a CUDA graph: CUDA out of memory", "oom", "s",
                                 "lower")]
    assert set(bench.weighed) == {"loop", "fast", "waits", "large"}      # no graph is weighed, nor what does not run
    assert bench.rows["ratio_to_floor:work/fast"] == (0.833333, "")
