"""Energy from counters: those of the processor's packages (RAPL), or of a GPU (NVML). None where there is none.

A counter is of the whole chip: whatever else ran on it is in the figure. A power that is sampled would be an estimate
(two tools were found to differ by half), so nothing is made of one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
MICRO, MILLI = 1e-6, 1e-3


def meter(device: str) -> Callable[[], float] | None:
    """What gives joules, of which differences count; a wrap of a counter between two calls is made good."""
    return _gpu_meter() if device.startswith("cuda") else _cpu_meter(POWERCAP)


class _Counter:
    """One package: microjoules up to a range, then from 0 again."""

    def __init__(self, folder: Path):
        self.file = folder / "energy_uj"
        self.range = int((folder / "max_energy_range_uj").read_text())
        self.last, self.turns = int(self.file.read_text()), 0

    def joules(self) -> float:
        now = int(self.file.read_text())
        self.turns += now < self.last
        self.last = now
        return (self.turns * self.range + now) * MICRO


def _cpu_meter(root: Path) -> Callable[[], float] | None:
    counters = []
    with suppress(OSError, ValueError):                     # as a rule root alone may read them
        counters = [_Counter(name.parent) for name in sorted(root.glob("*/name"))
                    if name.read_text().startswith("package")]
    return (lambda: sum(counter.joules() for counter in counters)) if counters else None


def _gpu_meter() -> Callable[[], float] | None:
    handle, energy = ctypes.c_void_p(), ctypes.c_ulonglong()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)) or \
                nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(energy)):
            return None
    except (OSError, AttributeError):
        return None

    def joules() -> float:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(energy))
        return energy.value * MILLI

    return joules
