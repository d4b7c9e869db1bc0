"""The machine and the software that a run was measured with, and what else keeps the machine busy. (no torch)

`environment()["now"]` changes from minute to minute; the rest is stable, and what can move a measurement is hashed into
the environment's id. What a system does not tell is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..specs import importable
from .digest import distribution_of

PACKAGES = ("torch", "triton", "numpy", "numba", "pandas", "pyarrow", "tiktoken", "datasets", "qiskit", "qiskit-aer",
            "pennylane", "ray", "transformers")      # of these the id is made
BESIDE = ("safetensors", "tokenizers")      # read others' weights and texts
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
             "asimd", "sve", "sve2", "bf16", "svebf16", "i8mm")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
GPU_STABLE = ("name", "driver_version", "memory.total", "power.limit")
GPU_NOW = ("memory.used", "utilization.gpu", "clocks.sm", "temperature.gpu")
IDENTITY = ("python", "platform", "packages", "cpu", "memory_bytes", "gpu")
SAMPLE_S = 0.1

CPU0 = Path("/sys/devices/system/cpu/cpu0")


def environment() -> dict[str, Any]:
    """Facts about this machine as JSON keeps them; sizes in bytes, see the module for what is stable."""
    gpus = _gpus()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(),
        "git": _git(Path(__file__).parents[2]),
        "cpu": _cpu(),
        "memory_bytes": _memory_bytes(),
        "gpu": [{name: gpu[name] for name in GPU_STABLE} for gpu in gpus],
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "now": {
            "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
            "foreign_load": foreign_load(),
            "memory_available_bytes": _meminfo().get("MemAvailable"),
            "cpu_mhz": _cpu_mhz(),
            "gpu": [{name: gpu[name] for name in GPU_NOW} for gpu in gpus],
        },
    }


def environment_id(facts: dict[str, Any]) -> str:
    """A short hash of the machine and its versions: equal ids, comparable timings. Load and commit take no part."""
    text = json.dumps({key: facts.get(key) for key in IDENTITY}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def foreign_load(sample_s: float = SAMPLE_S) -> float | None:
    """The share of the machine's CPU time, 0 to 1, that went to other processes during a sample; None where unknown.

    Read from /proc/stat, whose ticks of 10 ms bound the resolution. Time stolen by the hypervisor counts as foreign.
    """
    try:
        (busy, total), own = _cpu_times(), time.process_time()
        time.sleep(sample_s)
        busy_after, total_after = _cpu_times()
    except (OSError, ValueError, IndexError):
        return None
    ours = (time.process_time() - own) * os.sysconf("SC_CLK_TCK")
    passed = total_after - total
    return min(1.0, max(0.0, (busy_after - busy - ours) / passed)) if passed else 0.0


def _cpu_times() -> tuple[int, int]:
    """(busy, total) ticks of all CPUs: user, nice, system, idle, iowait, irq, softirq, steal of proc_stat(5)."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of the distributions that bring these importable names, and of BESIDE, where they are installed.

    They take no part in the id of an environment, for the cells of a plugin have them in their own (identity.py): a
    machine does not become another because a plugin that nobody measures there needs a package. Nothing is imported.
    """
    found = {}
    for name in sorted({*names, *BESIDE}):
        with suppress(ImportError, ValueError):             # a name that no module can have, say
            if importable(name) and (distribution := distribution_of(name)):
                found[distribution] = version(distribution)
    return found


def together(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs tell of one environment. The later counts; of a package that was exchanged between them, which the
    id does not tell, both versions stand there."""
    packages = dict(earlier.get("packages") or {})
    for name, now in (later.get("packages") or {}).items():
        packages[name] = ", ".join(dict.fromkeys([*filter(None, packages.get(name, "").split(", ")), *now.split(", ")]))
    return {**later, "packages": packages}


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _git(root: Path) -> dict[str, Any]:
    """Commit of the checkout at `root` and whether files differ from it; {} where `root` is not itself a checkout."""
    top = _output("git", "-C", str(root), "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != root.resolve():
        return {}
    changed = _output("git", "--no-optional-locks", "-C", str(root), "status", "--porcelain")
    return {"commit": _output("git", "-C", str(root), "rev-parse", "--verify", "HEAD"), "dirty": bool(changed)}


def _cpu() -> dict[str, Any]:
    info = _fields(_text("/proc/cpuinfo"))
    flags = (info.get("flags") or info.get("Features") or "").split()               # x86, ARM
    facts: dict[str, Any] = {
        "model": info.get("model name") or _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor(),
        "architecture": platform.machine(),
        "cores": _cores(),
        "flags": [flag for flag in CPU_FLAGS if flag in flags],
    }
    for name, path in (("governor", "cpufreq/scaling_governor"), ("last_level_cache", "cache/index3/size")):
        if text := _text(CPU0 / path):
            facts[name] = text
    return facts


def _cores() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_mhz() -> float | None:
    if khz := _text(CPU0 / "cpufreq/scaling_cur_freq"):
        return int(khz) / 1e3
    mhz = _fields(_text("/proc/cpuinfo")).get("cpu MHz")
    return float(mhz) if mhz else None


def _memory_bytes() -> int | None:
    """Memory of the machine, or of the container where that is less."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    limit = _text("/sys/fs/cgroup/memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def _meminfo() -> dict[str, int]:
    return {name: int(text.split()[0]) * 1024 for name, text in _fields(_text("/proc/meminfo")).items()}


def _gpus() -> list[dict[str, str]]:
    """What nvidia-smi says of each GPU: MiB, W, %, MHz and degrees Celsius as it prints them. [] without one."""
    names = GPU_STABLE + GPU_NOW
    lines = _output("nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader").splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]


def _fields(text: str) -> dict[str, str]:
    """`key : value` lines, the first of each key."""
    pairs = [line.partition(":") for line in text.splitlines() if ":" in line]
    return {key.strip(): value.strip() for key, _, value in reversed(pairs)}


def _text(path: Path | str) -> str:
    """The stripped text of a system file, "" where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _output(*command: str) -> str:
    """What a command prints, "" where it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
