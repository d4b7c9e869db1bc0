"""The child process: it takes a cell at a time and answers with its rows, whatever happens. (torch on first cell only)

A timed cell holds the baton while it computes and hands it back wherever the suite writes `with bench.turn():`, so that
the workers of a timing group run in interleaved rounds and never two at once.

Messages to the child:    ("cell", cell, context) · ("limits", device) · ("go",)
Messages from the child:  ("hello",) · ("turn",) · ("progress", text) · ("weights", files) · ("spent",) ·
                          ("done", rows, raw) · ("limits", values)
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bench.processor import adopt_orphans
from ..errors import PluginError
from ..specs import missing, require
from ..store import MOST_ROWS, Row, finite
from ..untrusted import Malformed, bounded, held_to, parse_json
from .cells import Cell, base_fields
from .failures import classify
from .messages import Parent
from .process_state import differences, process_state
from .watch import end_below

if TYPE_CHECKING:
    from ..bench.workbench import TorchWorkbench

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Setup:
    """What every worker of a run shares."""

    plugin_files: tuple[str, ...] = ()
    threads: int = 1
    memory_limit: int = 0                   # bytes a worker may hold; 0 for no limit
    log: str = os.devnull
    notes: tuple[str, ...] = ()             # for the rows of a sealed suite
    trunks: str = ""                        # where trainings that go on are kept


class Abort(Exception):
    """The parent asked for something else than was agreed."""


def main(pipe: Connection, setup: Setup, environ: dict[str, str]) -> None:
    """Serve cells until told to stop. stdout and stderr of the child go to the log file of its run."""
    os.environ.clear()
    os.environ.update(environ)                              # the parent's: a fork server keeps that of its own start
    _prepare(setup)
    connection = Parent(pipe)
    os.register_at_fork(after_in_child=pipe.close)          # what a plugin forks has no say, and keeps no pipe open
    connection.send(("hello",))
    with contextlib.suppress(EOFError, OSError, Abort):
        while True:
            kind, *rest = connection.recv()
            if kind == "limits":
                connection.send(("limits", _limits(*rest)))
            elif kind == "cell":
                connection.send(("done", *run_cell(connection, setup, *rest)))


def _prepare(setup: Setup) -> None:
    """Threads, signals, memory limit, log: before torch does anything."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.setpgid(0, 0)                                        # one signal ends it with all that a plugin starts
    adopt_orphans()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ.update(dict.fromkeys(THREADS, str(setup.threads)))
    if "torch" in sys.modules:                              # it read the environment when it was imported
        sys.modules["torch"].set_num_threads(setup.threads)
    if setup.memory_limit:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (setup.memory_limit, setup.memory_limit))
    log = os.open(setup.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _die_with_parent() -> None:
    """Also in the middle of a cell. The system's own signal would do for a child, not for one of a fork server."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    end_below(os.getpid())
    os.killpg(0, signal.SIGKILL)


def _limits(device: str) -> dict[str, float]:
    from ..bench.limits import measure_limits

    return measure_limits(device)


def run_cell(
    connection: Parent, setup: Setup, cell: Cell, context: dict[str, Any],
) -> tuple[list[Row], dict[str, Any]]:
    """Rows and raw measurements of one cell. A failure becomes a row with its reason; rows made before it are kept."""
    turn = _turns(connection) if cell.group else contextlib.nullcontext
    context = {**context, "trunks": setup.trunks}
    workbench: TorchWorkbench | None = None
    spec, failures, opened, before = None, [], contextlib.ExitStack(), dict[str, Any]()
    try:
        from ..bench.workbench import TorchWorkbench
        from ..registry import load

        if cell.group:                                      # after the imports, which lanes may do side by side
            _wait_for_baton(connection)

        def progress(text: str) -> None:
            connection.send(("progress", text))

        def hand_over(files: dict[str, bytes]) -> None:
            connection.send(("weights", files))

        before = process_state()
        registry = load(installed=False)
        suite = registry.suites.get(cell.suite)
        if suite and suite.sealed:
            from ..referee.workbench import SealedWorkbench

            spec = context["spec"]
            sealed = SealedWorkbench(
                setup.plugin_files, setup.notes, cell, registry, spec, context, turn, progress, hand_over)
            opened.callback(sealed.close)
            workbench = sealed
        else:
            registry = load([Path(file) for file in setup.plugin_files])
            spec = registry.models.get(cell.plugin)
            if spec is None:
                reasons = [b.reason for b in registry.broken.values()]
                raise PluginError(f"{cell.plugin} did not load in the worker: {'; '.join(reasons) or 'not registered'}")
            require(spec)
            workbench = TorchWorkbench(cell, registry, spec, context, turn, progress, hand_over)
            suite = registry.suite(cell.suite)
        suite.measure(cell, workbench)
    except (Abort, EOFError, BrokenPipeError):
        raise
    except BaseException as error:
        traceback.print_exc()
        failures.append(classify(error, spec.target.partition(":")[0] if spec else ""))
    finally:
        opened.close()
        sys.stdout.flush()
        sys.stderr.flush()
    rows, raw = (workbench.rows, workbench.raw) if workbench else ([], {})
    if changed := differences(before, process_state()):
        connection.send(("spent",))
        note = f"it changed {' and '.join(changed)} of its process, which no other cell is given"
        rows = [replace(row, reason="; ".join(filter(None, [row.reason, note]))) for row in rows]
    try:
        raw = kept(raw)
    except (Malformed, TypeError, ValueError, RecursionError) as error:
        raw = {}
        failures.append(("error", f"raw measurements that are not JSON: {error}"))
    try:
        for row in rows:
            held_to(finite(asdict(row)), Row)
    except Malformed as wrong:
        rows = []
        failures.append(("error", f"a row that no table can hold: {wrong}"))
    if len(rows) > MOST_ROWS - len(failures):
        failures.append(("error", f"{len(rows)} rows, a cell has at most {MOST_ROWS}"))
        rows = []
    fields = workbench.row_fields() if workbench else base_fields(cell, spec)
    return rows + [Row(**fields | {"status": status, "reason": reason}) for status, reason in failures], raw


def kept(raw: dict[str, Any]) -> dict[str, Any]:
    """Raw measurements as they are read back: a resumed result and a fresh one are the same.

    Raises TypeError, ValueError or RecursionError for what JSON cannot hold, Malformed for what nests too deep.
    """
    return bounded(parse_json(json.dumps(finite(raw)), dict[str, Any]))


def _wait_for_baton(connection: Parent) -> None:
    connection.send(("turn",))
    message = connection.recv()
    if message[0] != "go":
        raise Abort


def _turns(connection: Parent) -> Any:
    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        _wait_for_baton(connection)
        yield

    return turn


def unavailable(cell: Cell, spec: Any) -> Row | None:
    """The row of a cell whose plugin misses a dependency, or None."""
    reason = missing(spec)
    return Row(**base_fields(cell, spec), status="unavailable", reason=reason) if reason else None
