"""Start-up: what only lists or plans answers at once, and imports neither torch nor a simulator."""

import os
import subprocess
import sys

import pytest
from conftest import environment

HEAVY = ("torch", "numpy", "pandas", "pyarrow", "numba", "qiskit", "pennylane", "datasets", "tiktoken", "rich.progress")
LIMIT_S = 0.5                                   # of CPU time
YARDSTICK = "import argparse, importlib.metadata, json, tomllib"
YARDSTICKS = 7                                  # 0.5 s on a core whose yardstick takes 0.07 s

CODE = f"""
import sys
sys.argv[0] = "harness"
from harness.__main__ import main
try:
    main()
finally:
    print("heavy:", [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def cpu_seconds(code, *arguments, cwd):
    """Of a start that finds its bytecode, as every one but the first does."""
    kept = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=kept, cwd=cwd, check=False,
                          capture_output=True, text=True)
    after = os.times()
    assert done.returncode == 0, done.stderr
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, done.stderr


@pytest.mark.parametrize("arguments", [
    ["--help"], ["run", "--help"], ["compare", "--help"], ["plugins"], ["plugins", "--options"], ["suites"],
    ["corpora"], ["claims"],
    ["run", "--suite", "perplexity,memory,throughput,scaling", "--plugins", "phasefield,ssm,baseline", "--dry-run"],
], ids=" ".join)
def test_a_listing_is_cheap(arguments, tmp_path):
    shares = []
    for _ in range(5):
        allowed = max(LIMIT_S, YARDSTICKS * cpu_seconds(YARDSTICK, cwd=tmp_path)[0])
        spent, heavy = cpu_seconds(CODE, *arguments, cwd=tmp_path)
        assert heavy == "heavy: []\n"
        shares.append(spent / allowed)
        if shares[-1] < 1:
            break
    assert min(shares) < 1
