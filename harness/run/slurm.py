"""A run as an array of SLURM: each task measures a shard of the cells. (no torch)

A task that is told to end, when it is preempted or its time is up, loses the cells at work alone, and asks to be queued
again; what is finished is not measured again.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import TERMINATED, PluginError, UsageError, one_line
from ..store import Store
from .flags import RunOptions, flags_as_written

LOGS = "slurm"                              # folder of the tasks' logs, in the results directory
GRACE_S = 60                                # before the end of its time a task is told


def array_of(numbers: Sequence[int]) -> str:
    """ "1-3,7": task numbers as sbatch takes them. From an ascending list."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def script(options: RunOptions, directory: Path, numbers: Sequence[int], tasks: int, wishes: Sequence[str]) -> str:
    """The text for sbatch. `numbers` are the tasks with something to do, `wishes` further options of sbatch."""
    name = f"harness-{directory.name}"
    asked = {
        "job-name": name, "array": array_of(numbers), "chdir": str(Path.cwd()), "requeue": "",
        "output": str(directory / LOGS / "%A_%a.log"), "open-mode": "append", "signal": f"B:TERM@{GRACE_S}",
        "cpus-per-task": str(options.threads * max(1, options.jobs)),
        **({"gres": "gpu:1"} if options.device == "cuda" else {}),
    }
    asked |= {key: value for key, _, value in (wish.removeprefix("--").partition("=") for wish in wishes)}
    lines = [f"#SBATCH --{key}" + (f"={shlex.quote(value)}" if value else "") for key, value in asked.items()]
    command = shlex.join([sys.executable, "-m", "harness", "run", *flags_as_written(options)])
    return "\n".join([
        "#!/bin/bash", *lines, "",
        f'{command} --shard "$SLURM_ARRAY_TASK_ID/{tasks}" &',
        'trap \'kill -TERM $!\' TERM',
        "while :; do wait $!; code=$?; kill -0 $! 2>/dev/null || break; done",
        f'[ $code = {TERMINATED} ] && scontrol requeue "$SLURM_JOB_ID"',
        "exit $code", ""])


def parse_wishes(text: str) -> list[str]:
    """ "--partition=gpu --time=4:00:00". Raises UsageError."""
    try:
        wishes = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--sbatch {text!r}: {one_line(error)}") from None
    wrong = next((wish for wish in wishes if not wish.startswith("--")), None)
    if wrong is not None:
        raise UsageError(f"--sbatch takes options such as --partition=gpu, got {wrong!r}")
    return wishes


def submitted(text: str, directory: Path) -> str:
    """Hand a script to sbatch; what it says. The tasks' logs lie in the results `directory`.

    Raises PluginError where sbatch is missing or refuses.
    """
    if shutil.which("sbatch") is None:
        raise PluginError("sbatch is not installed here; --dry-run prints the script")
    (Store(directory).directory / LOGS).mkdir(exist_ok=True)
    done = subprocess.run(["sbatch"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PluginError(f"sbatch refuses: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
