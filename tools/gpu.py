"""`make gpu`: the whole check of a machine with an NVIDIA GPU, in under nine minutes; nothing is installed.

The scans' kernels, plain and gated, against a float64 loop, their times by events over a CUDA graph, what tells energy,
then the suites at sizes that suit a GPU: that of memory first, which finds the largest length of every model. All of it
is written to results/reference/<name of the GPU>/, the first part to gpu.json there. Without a GPU there is one line,
and exit code 3; 1 where a kernel is wrong or a row is not ok.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 520.0                             # for everything
MODELS, PARAMS = ("phasefield", "ssm", "baseline"), 3_000_000
ROUNDS, ERROR = 15, 1e-5
SHAPES = (*((8, length, 512) for length in (128, 256, 512, 4096)), (1, 32768, 512))     # batch, steps, channels
SUITES = "memory,kernels,throughput,scaling,perplexity"
MISSING = 3


@dataclass(frozen=True)
class Work:
    """A recurrence: every scan that does it on a device, a float64 loop, what they are given by shape and the dtype of
    the steps, and the bytes of a step and channel, each array once forward and backward in that dtype."""

    scans: dict[str, Callable[..., Tensor]]
    loop: Callable[..., Tensor]
    drawn: Callable[[Sequence[int], Any], list[Tensor]]
    dtype: str
    size: int


def main() -> int:
    began = time.monotonic()
    import torch

    from harness.bench.energy import method

    device, name = "cuda", "-".join(torch.cuda.get_device_name().lower().split())
    out = Path("results/reference") / name
    found: dict[str, Any] = {"torch": torch.__version__, "device": name, "energy": dict(zip(
        ("told", "how"), method(device), strict=True))}
    print(f"{name}: energy by {found['energy']['how']}" if found["energy"]["told"] else
          f"{name}: no energy, {found['energy']['how']}", flush=True)
    work = {"complex": plain(device), "gated": gated(device)}
    found["errors"] = {name: errors(each, device, (2, 300, 96)) for name, each in work.items()}
    print(f"errors: {json.dumps(found['errors'])}", flush=True)
    found["seconds"] = [{"work": name, "shape": shape, **seconds(each, device, shape)}
                        for name, each in work.items() for shape in SHAPES]
    print(f"seconds: {json.dumps(found['seconds'])}", flush=True)
    code = suites(out, SECONDS - (time.monotonic() - began))
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    wrong = [(name, scan, error) for name, each in found["errors"].items()
             for scan, error in each.items() if not error <= ERROR]
    for name, scan, error in wrong:
        print(f"make gpu: the {name} kernels of {scan} are off by {error:.1e}", file=sys.stderr)
    return code or int(bool(wrong))


def plain(device: str) -> Work:
    """h of (decay, cos, sin, x, initial)."""
    import torch
    from harness.plugins.scan import complex_scan, runnable
    from harness.plugins.scan.cases import SCAN_BYTES
    from harness.plugins.scan.reference import sequential_complex

    def drawn(shape: Sequence[int], dtype: Any) -> list[Tensor]:
        (batch, length, width), angle = shape, 6 * torch.rand(shape[2])
        return [(0.9999 * torch.rand(*shape)).to(dtype), angle.cos(), angle.sin(),
                torch.randn(batch, length, 2 * width).to(dtype), torch.randn(batch, 2 * width)]

    scans: dict[str, Callable[..., Tensor]] = {
        backend: lambda *a, backend=backend: complex_scan(*a, normalise=True, backend=backend)
        for backend in runnable(device)}
    return Work(scans, lambda *a: sequential_complex(*a, True), drawn, "float32", SCAN_BYTES)


def gated(device: str) -> Work:
    """y of (packed, delta, cos, sin, initial, bias)."""
    import torch
    import torch.nn.functional as F
    from harness.plugins.scan import gated_complex_scan, runnable
    from harness.plugins.scan.cases import GATED_BYTES
    from harness.plugins.scan.reference import sequential_complex

    def drawn(shape: Sequence[int], dtype: Any) -> list[Tensor]:
        (batch, length, width), angle = shape, 6 * torch.rand(shape[2])
        return [torch.randn(batch, length, 4 * width).to(dtype), 0.9999 - 0.5 * torch.rand(width) ** 4, angle.cos(),
                angle.sin(), torch.randn(batch, 2 * width), 3 * torch.randn(width)]

    def loop(packed: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor, bias: Tensor) -> Tensor:
        gate, out, x = packed.split([delta.numel(), delta.numel(), 2 * delta.numel()], dim=-1)
        h = sequential_complex(delta * torch.sigmoid(-gate - bias), cos, sin, x, initial, True)
        y: Tensor = F.silu(out).repeat(1, 1, 2) * h
        return y

    scans: dict[str, Callable[..., Tensor]] = {
        backend: lambda *a, backend=backend: gated_complex_scan(*a[:5], bias=a[5], backend=backend)[0]
        for backend in runnable(device)}
    return Work(scans, loop, drawn, "bfloat16", GATED_BYTES)


def leaves(work: Work, device: str, shape: Sequence[int], dtype: str) -> list[Tensor]:
    """Drawn with one seed."""
    import torch

    torch.manual_seed(0)
    return [tensor.to(device).requires_grad_() for tensor in work.drawn(shape, getattr(torch, dtype))]


def errors(work: Work, device: str, shape: Sequence[int]) -> dict[str, float]:
    """The largest relative error of a result and of all its gradients against the float64 loop, in float32, by scan."""
    import torch

    def everything(function: Callable[..., Tensor], given: Sequence[Tensor]) -> list[Tensor]:
        result = function(*given)
        grad = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result)
        return [result.detach(), *torch.autograd.grad(result, given, grad)]

    given = leaves(work, device, shape, "float32")
    exact = everything(work.loop, [leaf.detach().double().cpu().requires_grad_() for leaf in given])
    return {name: max(float((ours.double().cpu() - own).abs().max() / own.abs().max())
                      for ours, own in zip(everything(function, given), exact, strict=True))
            for name, function in work.scans.items()}


def seconds(work: Work, device: str, shape: Sequence[int]) -> dict[str, Any]:
    """Median seconds forward and backward of every scan, and of a copy of the bytes that it must move, by turns."""
    from statistics import median

    import torch
    from harness.plugins.scan.cases import forward_backward

    from harness.bench.graphs import graphed
    from harness.bench.measure import Clock, time_cases

    given = [leaf.detach() for leaf in leaves(work, device, shape, work.dtype)]
    source, target = torch.empty(2, work.size * math.prod(shape) // 2, dtype=torch.uint8, device=device)
    cases: dict[str, Callable[[], object]] = {"floor": lambda: target.copy_(source)}    # one is read, one written
    for name, function in work.scans.items():
        if name == "portable" and device == "cuda":
            continue                                        # a launch a step: minutes
        call = forward_backward(function, *given)
        cases[name] = graphed(call) if device == "cuda" else call
    found = time_cases(cases, ROUNDS, clock=Clock(device))
    return {name: median(times) for name, times in found.items()}


def suites(out: Path, left: float) -> int:
    """`harness run` in the time that is left; what it has not finished then, the same command goes on with."""
    process = subprocess.Popen([
        sys.executable, "-m", "harness", "run", "--suite", SUITES, "--plugins", ",".join(MODELS), "--device", "cuda",
        "--params", str(PARAMS), "--budget", "3M", "--timeout", "120", "--out", str(out)])
    try:
        return process.wait(max(1.0, left))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait()


if __name__ == "__main__":
    if not (find_spec("torch") and __import__("torch").cuda.is_available()):
        print(f"make gpu: {sys.executable} has no torch that sees a CUDA device; nothing was run", file=sys.stderr)
        sys.exit(MISSING)
    sys.exit(main())
