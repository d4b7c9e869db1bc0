"""Compiled kernels on disk: an edit of anything that a kernel inlines compiles it anew, and the old code goes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness.plugins import scan

pytest.importorskip("numba")

SCAN = (
    "import torch; from scan import gated_real_scan;"
    "print(gated_real_scan(torch.ones(1, 3, 6), torch.full((2,), 0.5), backend='cpu')[0].tolist())"
)
TINY = "import numpy; from other.kernels import run; print(float(run(numpy.float32(1))))"


@pytest.fixture
def sources(tmp_path):
    """A copy of the scan, and kernels in another folder that inline its sigmoid and a function of their own."""
    shutil.copytree(Path(scan.__file__).parent, tmp_path / "scan", ignore=shutil.ignore_patterns("__pycache__"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "__init__.py").touch()
    (other / "parts.py").write_text("from scan.cpu_jit import inlined\n\n@inlined\ndef share(x):\n    return x / 2\n")
    (other / "kernels.py").write_text(
        "from scan.cpu_jit import kernel, sigmoid\nfrom .parts import share\n\n"
        "@kernel\ndef run(x):\n    return share(sigmoid(x))\n")
    return tmp_path


def start(folder, program, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": "", **environment})


def run(folder, program, **environment):
    process = start(folder, program, **environment)
    result = process.communicate()[0].strip()
    assert process.returncode == 0
    return result


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def kept(folder):
    """The files of machine code, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ic]")}


@pytest.mark.slow
def test_a_scan_is_compiled_anew_after_an_edit_of_its_sigmoid(sources):
    before = run(sources, SCAN)
    edit(sources / "scan" / "cpu_jit.py", "return e / (ONE + e)", "return e / (ONE + e + ONE)")
    assert run(sources, SCAN) != before


@pytest.mark.slow
def test_kernels_of_any_folder_follow_all_they_inline_and_old_code_goes(sources):
    assert float(run(sources, TINY)) == pytest.approx(0.3655, abs=1e-4)
    files = kept(sources)
    run(sources, TINY)
    assert len(files) == 2 and kept(sources) == files               # an index and its code, found and not written again
    for path, old, new, expected in (
        ("other/kernels.py", "share(sigmoid(x))", "share(sigmoid(x)) + 1", 1.3655),
        ("other/parts.py", "x / 2", "x / 2 + 2", 3.3655),
        ("scan/cpu_jit.py", "return e / (ONE + e)", "return e / (ONE + e) + ONE", 3.8655),
    ):
        edit(sources / path, old, new)
        assert float(run(sources, TINY)) == pytest.approx(expected, abs=1e-4)
        assert len(kept(sources)) == 2 and kept(sources).keys().isdisjoint(files)
        files = kept(sources)


def test_workers_that_start_at_once_after_an_edit_all_run_the_new_code(sources):
    run(sources, TINY)
    edit(sources / "other" / "parts.py", "x / 2", "x / 2 + 2")
    workers = [start(sources, TINY) for _ in range(3)]
    assert [float(worker.communicate()[0]) for worker in workers] == pytest.approx([2.3655] * 3, abs=1e-4)
    assert len(kept(sources)) == 2
