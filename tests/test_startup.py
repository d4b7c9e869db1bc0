"""Start-up: what only lists or plans answers at once, and imports neither torch nor a simulator."""

import os
import subprocess
import sys

import pytest
from conftest import environment

HEAVY = ("torch", "numpy", "pandas", "pyarrow", "numba", "qiskit", "pennylane", "datasets", "tiktoken", "rich.progress")
LIMIT_S = 0.5

CODE = f"""
import sys
sys.argv[0] = "harness"
from harness.__main__ import main
try:
    main()
finally:
    print("heavy:", [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [
    ["--help"], ["run", "--help"], ["compare", "--help"], ["plugins"], ["plugins", "--options"], ["suites"],
    ["corpora"], ["claims"],
    ["run", "--suite", "perplexity,memory,throughput,scaling", "--plugins", "phasefield,ssm,baseline", "--dry-run"],
], ids=" ".join)
def test_a_listing_is_cheap(arguments, tmp_path):
    seconds = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", CODE, *arguments], env=environment(), cwd=tmp_path, check=False,
                              capture_output=True, text=True)
        after = os.times()
        assert done.returncode == 0, done.stderr
        assert done.stderr == "heavy: []\n"
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if seconds[-1] < LIMIT_S:
            break
    assert min(seconds) < LIMIT_S
