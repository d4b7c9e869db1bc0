"""A plugin for the tests: a small honest model, its faults by option, and a suite that misbehaves as its cell says.

The model's class is made on first use, so that registering the file imports no torch.
"""

import contextlib
import ctypes
import locale
import mmap
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

from harness import KernelCase, ModelSpec, Suite, hookimpl, timing_group


@dataclass(frozen=True)
class Config:
    dim: int = 8
    fault: str = "none"         # of the model: shape, nan, raise, leak, steep; of the suite "poke": see `misbehave`
    rate: float = 0.5
    PRESETS: ClassVar = {"tiny": {"dim": 4}}

    def __post_init__(self):
        if 1 / self.dim > 1:
            raise ValueError("dim must be at least 1")


@cache
def model_class():
    import torch
    from torch import nn

    from harness import LanguageModel

    class Toy(LanguageModel):
        """h_t = rate h_(t-1) + e_t."""

        def __init__(self, config, vocab_size):
            super().__init__(config, vocab_size)
            self.embed = nn.Embedding(vocab_size, config.dim)
            self.mix = nn.Linear(config.dim, config.dim)
            self.head = nn.Linear(config.dim, vocab_size)

        def forward(self, tokens, state=None):
            fault, x = self.config.fault, self.mix(self.embed(tokens)).tanh()
            if fault == "raise":
                raise RuntimeError("no\nmore")
            if fault == "leak":
                x = x + x.roll(-1, dims=1)
            h, steps = torch.zeros_like(x[:, 0]) if state is None else state, []
            for e in x.unbind(1):
                h = self.config.rate * h + e
                steps.append(h)
            if fault == "steep":                # a sum whose rounding depends on the cuts, and what blows it up
                h = (torch.zeros_like(x[:, 0]) if state is None else state)[:, None] + x.cumsum(1)
                steps, h = (h + 0.01 * torch.sin(5e6 * h)).unbind(1), h[:, -1]
            logits = self.head(torch.stack(steps, dim=1))
            if fault == "shape":
                logits = logits[:, :-1]
            return (logits * float("nan") if fault == "nan" else logits), h

    return Toy


def __getattr__(name):
    if name == "Toy":
        return model_class()
    raise AttributeError(name)


@hookimpl
def harness_models():
    return [ModelSpec(name=name, target=f"{__name__}:Toy", config=f"{__name__}:Config", family="classical",
                      summary="a decaying sum", source="the tests", requires=requires, kernels=f"{__name__}:kernels")
            for name, requires in (("toy", ()), ("absent", ("no_such_package",)))]


def kernels(device):
    """A loop, its vectorised form and the copy that neither can beat."""
    import torch

    x = torch.rand(64, 8192, device=device)       # 2 MB, more than the noise of a peak
    out = torch.empty_like(x)
    return [
        KernelCase("loop", lambda: [row.cumsum(0) for row in x], "reference", "sum"),
        KernelCase("whole", lambda: x.cumsum(1), "implementation", "sum"),
        KernelCase("copy", lambda: out.copy_(x), "floor", "sum", bytes_moved=2 * 4 * x.numel()),
    ]


def plan_poke(request):
    for choice in request.models:
        for seed in request.seeds:
            yield request.cell("poke", choice, seed=seed, protocol={"seconds": request.budget_bytes / 1000})


def poke(cell, bench):
    print("much output " * 1000)
    bench.row("pid", os.getpid(), "")
    bench.progress("half way")
    misbehave(dict(cell.options).get("fault", "none"), bench)
    time.sleep(cell.get("seconds", 0))
    bench.raw["marks"] = [1, 2]


def misbehave(fault, bench):
    if fault == "raise":
        raise ValueError("a reason\nin two lines")
    if fault == "exit":
        os._exit(3)
    if fault == "sysexit":
        sys.exit("enough")
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "segfault":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    if fault == "memory":
        return b"x" * (1 << 50)
    if fault == "hang":
        time.sleep(3600)
    if fault == "exit0":
        os._exit(0)
    if fault in ("rubbish", "half"):                    # of a message as long as it says, which does not come
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(link.readlink()).startswith("socket:"):
                    os.write(int(link.name), b"\xff" * 80 if fault == "rubbish" else (1 << 20).to_bytes(8, "little"))
        time.sleep(3600)
    if fault == "children":                             # in shared mappings, which no limit of one process counts
        for _ in range(2):
            if not os.fork():
                break
        block = mmap.mmap(-1, 1 << 29)
        for start in range(0, len(block), 1 << 24):
            block[start:start + (1 << 24)] = b"x" * (1 << 24)
        time.sleep(3600)
    if fault == "flood":
        for _ in range(1200):
            sys.stdout.write("flood " * 20_000)
        time.sleep(1.5)
    if fault == "daemon":                               # it leaves every group, and its parent dies at once
        if not os.fork():
            os.setsid()
            if not os.fork():
                print(f"forked {os.getpid()}", flush=True)
                time.sleep(600)
            os._exit(0)
        os.wait()
        time.sleep(0.2)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    if fault == "state":
        torch = sys.modules["torch"]
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        os.chdir("/")
        os.umask(0o777)
        os.environ["OMP_NUM_THREADS"] = "7"
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        locale.setlocale(locale.LC_ALL, "C" if locale.setlocale(locale.LC_ALL) != "C" else "C.UTF-8")
    if fault in ("nan", "infinite"):
        bench.row("number", float("nan" if fault == "nan" else "-inf"), "")
    if fault == "rows":
        bench.row("number", 1.0, seed="one")
    if fault == "raw":
        bench.raw["thing"] = object()
    if fault == "tell":
        bench.raw["place"] = [sys.modules["torch"].get_num_threads(), os.environ.get("TOY_MARK"), str(Path.cwd())]
    if fault == "fork":
        for seconds in (0, 600):                        # one returns into the harness as a second copy of the worker
            child = os.fork()
            if not child:
                time.sleep(seconds)
                return None
            print(f"forked {child}", flush=True)        # by the parent: the child may be killed before it can
        os._exit(5)
    return None


def plan_rounds(request):
    for seed in request.seeds:
        members = [request.cell("rounds", choice, seed=seed, protocol={"rounds": request.rounds or 8})
                   for choice in request.models]
        yield from (replace(cell, group=timing_group(members)) for cell in members)


def rounds(cell, bench):
    """Turns of a few milliseconds each, with the system-wide times at which they began and ended."""
    fault = dict(cell.options).get("fault", "none")
    turns = bench.raw["turns"] = []
    for index in range(cell.get("rounds")):
        with bench.turn():
            began = time.monotonic()
            time.sleep(0.005)
            if index == 3:
                misbehave(fault, bench)
            turns.append([began, time.monotonic()])
    bench.row("turns", len(turns), "")


@hookimpl
def harness_suites():
    return [Suite("poke", "one cell that behaves as its option says", plan_poke, poke, primary=("pid",)),
            Suite("rounds", "turns of a timing group", plan_rounds, rounds, timed=True, primary=("turns",))]
