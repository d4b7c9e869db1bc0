"""What a person sees of a training run, from its events: while it trains, or from its log elsewhere. (no torch)

Everything goes to stderr, so that stdout holds results alone.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..evidence.format import span
from ..quantities import format_count
from ..run.training_log import Event

PLAIN_S = 10.0                          # between two plain lines about the loss


def describe(event: Event) -> str:
    """One line about an event, "" where there is nothing to say."""
    kind, step = event["event"], event.get("step", 0)
    if kind == "start":
        processes = f" on {event['world']} processes" if event["world"] > 1 else ""
        begins = f"goes on from step {step}" if step else f"{format_count(event['params'])} parameters"
        note = f" ({event['note']})" if event.get("note") else ""
        return f"{event['plugin']}: {begins}, {event['device']}, {event['dtype']}{processes}{note}"
    if kind == "train":
        parts = [f"{event['share']:6.1%}", f"step {step}", f"{number(event['bits_per_byte'], '.4f')} bits/byte",
                 f"loss {number(event['loss'], '.4f')}", f"lr {event['lr']:.2e}",
                 f"{format_count(event['tokens_per_s'] or 0)} tokens/s"]
        parts += [f"{event['memory_bytes'] / (1 << 20):.0f} MiB"] if event["memory_bytes"] else []
        parts += [event["gpu"]] if event.get("gpu") else []
        return "  ".join([*parts, f"{span(event['left_s'])} left"])
    if kind == "validation":
        return f"validation at step {step}: {number(event['bits_per_byte'], '.4f')} bits/byte" + (
            ", the best so far" if event["best"] else "")
    if kind == "checkpoint":
        return f"checkpoint: {event['file']} at step {event['step']}"
    if kind == "end":
        lowest = event.get("best")
        best = "no validation yet" if lowest is None or not math.isfinite(lowest) else (
            f"best validation {lowest:.4f} bits/byte")
        return f"{event['outcome']} at step {step} after {span(event['seconds'])}; {best}"
    return "lost: its process is gone and left no last line; --resume goes on" if kind == "lost" else ""


def summary(events: Sequence[Event]) -> list[str]:
    """Where a run stands: what it is, its newest losses and checkpoint, and whether it goes on."""
    newest = {event["event"]: event for event in events}
    lines = [describe(newest[kind]) for kind in ("start", "train", "validation") if kind in newest]
    if saved := newest.get("checkpoint"):
        lines.append(describe(saved))
    last = events[-1] if events else {"event": ""}
    return [*lines, describe(last) if last["event"] in ("end", "lost") else "running"]


def number(value: float | None, form: str) -> str:
    return "not finite" if value is None or not math.isfinite(value) else format(value, form)


class Display:
    """Shows events as they come: one moving line with a bar on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, terminal: bool | None = None):
        self.quiet, self.verbose = quiet, verbose
        self.terminal = not quiet and (sys.stderr.isatty() if terminal is None else terminal)
        self._shown = -PLAIN_S
        self._bar: Any = None

    def __enter__(self) -> Display:
        if self.terminal:
            from rich.progress import BarColumn, Progress, TextColumn

            from ..console import make_console

            self._bar = Progress(BarColumn(20), TextColumn("{task.description}", markup=False),
                                 console=make_console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=1.0)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        text, kind = describe(event), event["event"]
        if not text or (kind == "checkpoint" and not self.verbose):
            return
        if kind != "train" or self.verbose:
            self.note(text)
        elif self._bar:
            self._bar.update(self._task, completed=event["share"], description=text)
        elif event["share"] == 1 or time.monotonic() - self._shown >= PLAIN_S:
            self._shown = time.monotonic()
            self.note(text)

    def note(self, text: str) -> None:
        if self.quiet:
            return
        if self._bar:
            self._bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)


def gpu_use() -> str:
    """ "GPU 87 %, 12.3 GiB" of every GPU here, "" without nvidia-smi."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    query = [command, "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
        rows = [[float(field) for field in line.split(",")] for line in found.stdout.splitlines() if line.strip()]
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return ""
    return "  ".join(f"GPU {use:.0f} %, {mebibytes / 1024:.1f} GiB" for use, mebibytes in rows)
