"""`make gpu`: without a GPU one line; its parts, on the CPU, find errors and times of what runs there."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from conftest import ROOT, environment
from harness.plugins import scan

from harness.bench import measure
from harness.registry import load

sys.path.insert(0, str(ROOT / "tools"))
import gpu

BLIND = {"CUDA_VISIBLE_DEVICES": ""}


def test_without_a_gpu_there_is_one_line_and_an_exit_code():
    done = subprocess.run([sys.executable, "tools/gpu.py"], cwd=ROOT, env={**environment(), **BLIND}, text=True,
                          capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "no torch that sees a CUDA device; nothing was run" in done.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_says_nothing_besides():
    outer = {name: value for name, value in environment().items() if not name.startswith("MAKE")}    # of `make test`
    done = subprocess.run(["make", "gpu", f"PYTHON={sys.executable}"], cwd=ROOT, env={**outer, **BLIND},
                          text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)


@pytest.mark.parametrize("part", [gpu.plain, gpu.gated])
def test_the_parts_run_on_what_is_here(monkeypatch, part):
    monkeypatch.setattr(gpu, "ROUNDS", 2)
    work = part("cpu")
    here = {name: function for name, function in work.scans.items() if name in ("portable", "cpu")}
    work = replace(work, scans={**here, "wrong": lambda *a: 1.01 * here["portable"](*a)})
    found = gpu.errors(work, "cpu", (1, 5, 3))
    assert found.pop("wrong") > gpu.ERROR > max(found.values())
    times = gpu.seconds(work, "cpu", (1, 16, 8))
    assert set(times) == {"floor", "wrong", *found} and min(times.values()) > 0


def test_what_is_timed_is_the_scan_and_its_gradients_alone(monkeypatch):
    """A sum to a number would read all of the result once more, which is no part of a scan."""
    timed = {}
    monkeypatch.setattr(measure, "time_cases", lambda cases, *_, **__: timed.update(cases) or {"joined": [1.0]})
    joined = {"joined": lambda *inputs: torch.cat([each.flatten() for each in inputs])}
    gpu.seconds(replace(gpu.plain("cpu"), scans=joined), "cpu", (1, 4, 2))
    with torch.profiler.profile() as seen:
        timed["joined"]()
    names = {event.key for event in seen.key_averages()}
    assert "aten::cat" in names and "aten::sum" not in names


def test_lengths_are_timed_on_both_sides_of_where_the_scan_changes_its_kernels():
    lengths = {length for _, length, _ in gpu.SHAPES}
    assert min(lengths) < scan.WALKED < max(lengths) and {scan.WALKED, 2 * scan.WALKED} <= lengths


@pytest.mark.parametrize("part", [gpu.plain, gpu.gated])
def test_the_chunked_kernels_are_among_those_that_are_checked(monkeypatch, part):
    monkeypatch.setattr(scan, "_available", lambda device: True)
    assert list(part("cuda").scans) == ["portable", "cuda", "chunked"]


def test_the_suites_are_those_of_the_harness_and_memory_comes_first(monkeypatch, tmp_path):
    asked = []

    class Process:
        def __init__(self, command):
            asked.extend(command)

        def wait(self, left):
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    assert gpu.suites(tmp_path, 1.0) == 0
    assert (asked[asked.index("--suite") + 1].split(","))[0] == "memory"
    assert set(gpu.SUITES.split(",")) <= set(load().suites)
