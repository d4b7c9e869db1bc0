"""`make gpu`: without a GPU one line; its parts, on the CPU, find errors and times of what runs there."""

import shutil
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, environment

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


def test_the_parts_run_on_what_is_here(monkeypatch):
    monkeypatch.setattr(gpu, "ROUNDS", 2)
    backends = {name: function for name, function in gpu.scans("cpu").items() if name in ("portable", "cpu")}
    monkeypatch.setattr(gpu, "scans", lambda device: {**backends, "wrong": lambda *a: 1.01 * backends["portable"](*a)})
    found = gpu.errors("cpu", (1, 5, 3))
    assert found.pop("wrong") > gpu.ERROR > max(found.values())
    times = gpu.seconds("cpu", (1, 16, 8))
    assert set(times) == {"floor", "wrong", *found} and min(times.values()) > 0


def test_the_largest_length_is_that_of_a_training_step(monkeypatch):
    tried = []

    class Model(torch.nn.Linear):
        def forward(self, tokens):
            tried.append(tokens.shape[1])
            if tokens.shape[1] > 9000:
                raise torch.OutOfMemoryError("no more")
            return super().forward(torch.ones(*tokens.shape, 2)), None

    monkeypatch.setattr("harness.build.build", lambda *a, **b: type("Built", (), {"model": Model(2, 3)}))
    found = gpu.largest("ssm", "cpu")
    assert found["fits"] <= 9000 < found["fails"] and tried[:2] == [4096, 8192]
