"""`make gpu`: the whole check of a machine with an NVIDIA GPU, in under nine minutes; nothing is installed.

The scans' kernels against a float64 loop, their times by events over a CUDA graph, what tells energy, the largest
length that a training step of a model finds memory for, then the suites at sizes that suit a GPU. All of it is written
to results/reference/<name of the GPU>/, the first part to gpu.json there. Without a GPU there is one line, and exit
code 3; 1 where a kernel is wrong or a row is not ok.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 520.0                             # for everything
MODELS, PARAMS = ("phasefield", "ssm", "baseline"), 3_000_000
ROUNDS, ERROR = 15, 1e-5
SHAPES = ((8, 4096, 512), (1, 32768, 512))  # batch, steps, channels
WORDS = 13                                  # float32 words a step and channel, each array once forward and backward
VOCABULARY, LONGEST, SMALLEST_STEP = 257, 1 << 22, 256
MISSING = 3


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
    found["errors"] = errors(device, (2, 300, 96))
    found["seconds"] = [{"shape": shape, **seconds(device, shape)} for shape in SHAPES]
    found["largest"] = {model: largest(model, device) for model in MODELS}
    for part in ("errors", "seconds", "largest"):
        print(f"{part}: {json.dumps(found[part])}", flush=True)
    code = suites(out, SECONDS - (time.monotonic() - began))
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    wrong = [backend for backend, error in found["errors"].items() if not error <= ERROR]
    for backend in wrong:
        print(f"make gpu: the kernels of {backend} are off by {found['errors'][backend]:.1e}", file=sys.stderr)
    return code or int(bool(wrong))


def scans(device: str) -> dict[str, Callable[..., Tensor]]:
    """Every complex scan that runs on a device, h of (decay, cos, sin, x, initial)."""
    from harness.plugins.chunked import chunked_complex_scan
    from harness.plugins.scan import complex_scan, runnable

    found: dict[str, Callable[..., Tensor]] = {
        backend: lambda *a, backend=backend: complex_scan(*a, normalise=True, backend=backend)
        for backend in runnable(device)}
    if find_spec("triton"):
        found["chunked"] = lambda *a: chunked_complex_scan(*a, normalise=True)[0]
    return found


def inputs(device: str, shape: Sequence[int]) -> list[Tensor]:
    """decay, cos, sin, x and initial, drawn with one seed."""
    import torch

    batch, length, width = shape
    generator = torch.Generator().manual_seed(0)
    angle = 6 * torch.rand(width, generator=generator)
    drawn = [0.9999 * torch.rand(batch, length, width, generator=generator), angle.cos(), angle.sin(),
             torch.randn(batch, length, 2 * width, generator=generator),
             torch.randn(batch, 2 * width, generator=generator)]
    return [tensor.to(device).requires_grad_() for tensor in drawn]


def errors(device: str, shape: Sequence[int]) -> dict[str, float]:
    """The largest relative error of h and of all gradients against a float64 loop, by scan."""
    import torch
    from harness.plugins.scan.reference import sequential_complex

    def everything(function: Callable[..., Tensor], leaves: Sequence[Tensor]) -> list[Tensor]:
        h = function(*leaves)
        generator = torch.Generator().manual_seed(1)
        grad = torch.randn(h.shape, generator=generator).to(h)
        return [h.detach(), *torch.autograd.grad(h, leaves, grad)]

    given = inputs(device, shape)
    exact = everything(lambda *a: sequential_complex(*a, True),
                       [leaf.detach().double().cpu().requires_grad_() for leaf in given])
    return {name: max(float((ours.double().cpu() - own).abs().max() / own.abs().max())
                      for ours, own in zip(everything(function, given), exact, strict=True))
            for name, function in scans(device).items()}


def seconds(device: str, shape: Sequence[int]) -> dict[str, Any]:
    """Median seconds forward and backward of every scan, and of a copy of the bytes that it must move, by turns."""
    from statistics import median

    import torch

    from harness.bench.graphs import graphed
    from harness.bench.measure import Clock, time_cases

    given = inputs(device, shape)
    source, target = torch.empty(2, WORDS * math.prod(shape) // 2, device=device)       # one is read, one written
    cases: dict[str, Callable[[], object]] = {"floor": lambda: target.copy_(source)}
    for name, function in scans(device).items():
        if name == "portable" and device == "cuda":
            continue                                        # a launch a step: minutes

        def call(function: Callable[..., Tensor] = function) -> object:
            return torch.autograd.grad(function(*given).sum(), given)

        cases[name] = graphed(call) if device == "cuda" else call
    found = time_cases(cases, ROUNDS, clock=Clock(device))
    return {name: median(times) for name, times in found.items()}


def largest(model: str, device: str) -> dict[str, int | None]:
    """The largest length of one row of text that a training step of `model` finds memory for."""
    import torch

    from harness.bench.largest import largest_that_fits
    from harness.build import build
    from harness.registry import load

    built = build(load().models[model], {}, VOCABULARY, params=PARAMS, device=device).model

    def fits(length: int) -> bool:
        try:
            tokens = torch.zeros(1, length, dtype=torch.long, device=device)
            logits, _ = built(tokens)
            logits.float().logsumexp(-1).mean().backward()
        except torch.OutOfMemoryError:
            return False
        finally:
            built.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
        return True

    found = largest_that_fits(fits, 4096, LONGEST, share=1 / 16, step=SMALLEST_STEP)
    return {"fits": found.fits, "fails": found.fails}


def suites(out: Path, left: float) -> int:
    """`harness run` in the time that is left; what it has not finished then, the same command goes on with."""
    process = subprocess.Popen([
        sys.executable, "-m", "harness", "run", "--suite", "kernels,memory,throughput,scaling,perplexity",
        "--plugins", ",".join(MODELS), "--device", "cuda", "--params", str(PARAMS), "--budget", "3M",
        "--timeout", "120", "--out", str(out)])
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
