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
NVML = "libnvidia-ml.so.1"
MICRO, MILLI = 1e-6, 1e-3


def meter(device: str) -> Callable[[], float] | None:
    """What gives joules, of which differences count; a wrap of a counter between two calls is made good."""
    return _gpu_meter() if device.startswith("cuda") else _cpu_meter(POWERCAP)


def method(device: str) -> tuple[bool, str]:
    """Whether energy can be told of a device, and by what counter, or why not."""
    if not device.startswith("cuda"):
        found = bool(_cpu_meter(POWERCAP))
        return found, (f"RAPL, the packages of {POWERCAP}" if found else
                       f"{POWERCAP} has no package counter that may be read (as a rule root alone may)")
    counter = _gpu_counter()
    return (False, counter) if isinstance(counter, str) else (True, "NVML, nvmlDeviceGetTotalEnergyConsumption")


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
    counter = _gpu_counter()
    return None if isinstance(counter, str) else counter


def _gpu_counter() -> Callable[[], float] | str:
    """Joules since the driver was loaded (NVML API reference, Volta or later) of the GPU that torch calls the first, or
    the reason for none."""
    handle, energy = ctypes.c_void_p(), ctypes.c_ulonglong()
    try:
        nvml = ctypes.CDLL(NVML)
        if code := nvml.nvmlInit_v2():
            return f"NVML does not start (error {code})"
        own = _own_gpu()
        if code := (nvml.nvmlDeviceGetHandleByUUID(own, ctypes.byref(handle)) if own else
                    nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle))):
            return f"NVML does not know the GPU (error {code})"
        if code := nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(energy)):
            return f"this GPU has no energy counter (NVML error {code})"
    except (OSError, AttributeError) as error:
        return f"{NVML} is missing or too old: {error}"

    def joules() -> float:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(energy))
        return energy.value * MILLI

    return joules


def _own_gpu() -> bytes:
    """Its UUID as NVML writes it; b"" where torch does not tell: CUDA_VISIBLE_DEVICES may hide those before it."""
    import torch

    if not torch.cuda.is_available():
        return b""
    uuid = getattr(torch.cuda.get_device_properties(0), "uuid", None)
    return f"GPU-{uuid}".encode() if uuid else b""
