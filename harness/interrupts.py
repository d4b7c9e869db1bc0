"""Whether a KeyboardInterrupt is the user's: a plugin may raise one too, and that is its failure. (no torch)"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts_told() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether Ctrl-C came within the block. It is taken to have come where that cannot be
    known: on another thread than the main one, or where somebody else handles the signal."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before not in (
            signal.default_int_handler, signal.SIG_IGN):
        yield lambda: True
        return
    came = False

    def on_signal(*_: Any) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, on_signal)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)
