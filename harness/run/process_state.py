"""What a cell may change of its whole process, and so for the cells that come after it there."""

from __future__ import annotations

import locale
import os
import signal
import sys
from pathlib import Path
from typing import Any


def process_state() -> dict[str, Any]:
    """Everything that is looked at, by what it is called in a note."""
    state: dict[str, Any] = {
        "the working directory": _working_directory(), "variables of the environment": dict(os.environ),
        "the file mode mask": _mask(), "the locale": locale.setlocale(locale.LC_ALL),
        "signal handlers": [_handler(number) for number in sorted(signal.valid_signals())]}
    if torch := sys.modules.get("torch"):
        state |= {
            "the default dtype": torch.get_default_dtype(), "the default device": str(torch.get_default_device()),
            "the number of threads": torch.get_num_threads(), "whether gradients are kept": torch.is_grad_enabled(),
            "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
            "the precision of matrix products": torch.get_float32_matmul_precision()}
    return state


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is another now. Variables that are new are those of a library that was loaded: they are left alone."""
    return [name for name, value in before.items() if value != (
        {key: after[name].get(key) for key in value} if isinstance(value, dict) else after[name])]


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handler(number: int) -> Any:
    try:
        return signal.getsignal(number)
    except (OSError, ValueError):
        return None
