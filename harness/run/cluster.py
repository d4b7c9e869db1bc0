"""Cells on the nodes of a Ray cluster. (no torch)

A unit of cells (a timing group; a search with what adopts it) is one task, which runs the command itself on its node
and gives back the files of its cells as they come. A timing group takes a whole node, so that nothing of the run is
beside it. What a node that dies had finished is kept; the rest of its unit goes to another.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import PluginError, one_line
from ..executor import Events, Executor, Interrupted, Stop
from ..quantities import parse_count
from ..records import ManifestRecord
from ..specs import ModelSpec
from ..store import CellResult, Row, Store, cell_text, parse_cell
from ..untrusted import Malformed, bounded, held_to, parse_json
from .cells import Cell, base_fields
from .flags import RunOptions, flags_as_written
from .shards import units

POLL_S = 0.2
LOST_NODES = 5                              # that a unit may lose before it is given up
PR_SET_PDEATHSIG = 1
TOLD = 300                                  # characters of what a node said last
MISSING = "ray is not installed: pip install 'qllm-harness[cluster]'"


@dataclass
class Unit:
    """Cells for one task, and how often a node was lost under it."""

    cells: list[Cell]
    lost: int = 0

    @property
    def timed(self) -> bool:
        return any(cell.timed for cell in self.cells)


@dataclass
class RayExecutor(Executor):
    """Cells as tasks of the cluster at `address`, "" for one of this machine alone. `options` are those of the run."""

    options: RunOptions
    device: str
    address: str = ""
    limits: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            import ray
        except ImportError:
            raise PluginError(MISSING) from None
        self.ray: Any = ray

    def measure_limits(self, device: str) -> dict[str, float]:
        """Nothing is measured on the machine that asks; every node measures its own."""
        return {}

    def run(
        self, cells: Sequence[Cell], specs: Mapping[str, ModelSpec], done: dict[str, CellResult], events: Events,
        stop: Stop,
    ) -> None:
        if not cells:
            return
        self._connect()
        waiting = [Unit(unit) for unit in units(cells)]
        running: dict[Any, tuple[Unit, Any]] = {}
        try:
            while waiting or running:
                while waiting and not stop.requested:
                    unit = waiting.pop(0)
                    stream, group = self._start(unit, done)
                    running[stream] = unit, group
                    for cell in unit.cells:
                        events.started(cell)
                if stop.requested:
                    waiting.clear()
                self._listen(running, waiting, done, events, stop)
        except Interrupted:
            stop.requested = True
        finally:
            for stream, (_, group) in running.items():
                self.ray.cancel(stream, force=False, recursive=True)
                self._free(group)

    def _connect(self) -> None:
        if self.ray.is_initialized():
            return
        where = {"address": self.address} if self.address else {"include_dashboard": False}
        try:
            self.ray.init(log_to_driver=False, configure_logging=False, **where)
        except Exception as error:
            raise PluginError(f"no Ray cluster at {self.address or 'this machine'}: {one_line(error)}") from None

    def _start(self, unit: Unit, done: Mapping[str, CellResult]) -> tuple[Any, Any]:
        """A stream of what a node gives back, and what is reserved for it."""
        options = replace(self.options, out="", executor="local", address="", shard="", export="", jobs=1,
                          device=self.device, dtype=unit.cells[0].dtype)
        given = [(need, cell_text(done[need]).encode()) for cell in unit.cells for need in cell.needs if need in done]
        wanted = {"num_cpus": self.options.threads, "num_gpus": int(self.device == "cuda"), "max_retries": 0,
                  "num_returns": "streaming"}
        if self.options.memory_limit:
            wanted.update(memory=parse_count(self.options.memory_limit, "--memory-limit"))
        group = self._whole_node() if unit.timed else None
        if group:
            from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

            wanted["scheduling_strategy"] = PlacementGroupSchedulingStrategy(group)
        task = self.ray.remote(**wanted)(measured_here)
        ids = [cell.id for cell in unit.cells]
        return task.remote(flags_as_written(options), ids, dict(given), str(Path.cwd())), group

    def _whole_node(self) -> Any:
        """The CPUs of one of the largest nodes, all of them."""
        from ray.util.placement_group import placement_group

        cores = max(node["Resources"].get("CPU", 1) for node in self.ray.nodes() if node["Alive"])
        return placement_group([{"CPU": cores, **({"GPU": 1} if self.device == "cuda" else {})}], "STRICT_PACK")

    def _free(self, group: Any) -> None:
        if group:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(group)

    def _listen(
        self, running: dict[Any, tuple[Unit, Any]], waiting: list[Unit], done: dict[str, CellResult], events: Events,
        stop: Stop,
    ) -> None:
        """Take what one task has to say, if it comes within a second."""
        if not running:
            return
        ready, _ = self.ray.wait(list(running), timeout=1.0, fetch_local=False)
        for stream in ready:
            unit, group = running[stream]
            try:
                said = self.ray.get(next(stream))
            except StopIteration:
                said = "end", "the node said nothing of it"
            except self.ray.exceptions.RayError as error:
                said = "lost", one_line(error)
            if said[0] == "cell":
                self._take(unit, said, done, events, stop)
                continue
            if said[0] == "machine":
                events.joined(*_machine(said[1]))
                continue
            del running[stream]
            self._free(group)
            unit.lost += said[0] == "lost"
            if unit.cells and said[0] == "lost" and unit.lost < LOST_NODES:
                waiting.append(unit)
                continue
            for cell in unit.cells:
                row = Row(**base_fields(cell), status="error", reason=said[1][-TOLD:])
                done[cell.id] = CellResult(cell.record(), [row])
                events.finished(done[cell.id])

    def _take(self, unit: Unit, said: Any, done: dict[str, CellResult], events: Events, stop: Stop) -> None:
        _, name, content, weights = said
        cell = next((one for one in unit.cells if one.id == name), None)
        if cell is None:
            return
        try:
            result = parse_cell(content, name)
        except Malformed as wrong:
            row = Row(**base_fields(cell), status="error", reason=f"its node gave back no cell: {wrong}")
            result = CellResult(cell.record(), [row])
        result.weights = weights
        with stop.shield():
            unit.cells.remove(cell)
            done[name] = result
            events.finished(result)


def _machine(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The environments and limits of a node's manifest; nothing of one that is malformed."""
    try:
        manifest = bounded(parse_json(content, dict[str, Any]))
        held_to(manifest, ManifestRecord)
    except Malformed:
        return {}, {}
    return manifest["environments"], manifest["limits"]


def measured_here(
    flags: Sequence[str], ids: Sequence[str], given: Mapping[str, bytes], folder: str,
) -> Iterator[tuple[Any, ...]]:
    """Measure these cells of a run on this machine, in a directory of their own; runs on a node.

    Gives ("machine", its manifest), ("cell", id, file, weights) of each as it is finished, and ("end", what was said
    last). `given` are the files of cells that these need, `folder` is where names of files are meant, if it is here.
    """
    with tempfile.TemporaryDirectory(prefix="harness-node-") as name:
        store = Store(Path(name))
        for need, content in given.items():
            (store.cells / f"{need}.json").write_bytes(content)
        log = Path(name) / "worker.log"
        command = [sys.executable, "-m", "harness", "run", *flags, "--cells", ",".join(ids), "--out", name, "--quiet"]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=file, cwd=folder if Path(folder).is_dir() else None,
                preexec_fn=_end_with_parent)
        told = set(given)
        try:
            ended = False
            while not ended:
                ended = process.poll() is not None          # before the look, so that none is missed
                new = [path for path in sorted(store.cells.glob("c*.json")) if path.stem not in told]
                if new and not told - set(given):
                    yield "machine", store.manifest_path.read_bytes()
                for path in new:
                    told.add(path.stem)
                    weights = store.weights / path.stem
                    files = {one.name: one.read_bytes() for one in weights.iterdir()} if weights.is_dir() else {}
                    yield "cell", path.stem, path.read_bytes(), files
                if not ended:
                    time.sleep(POLL_S)
            yield "end", log.read_text(errors="replace")[-TOLD:] or f"it ended with code {process.returncode}"
        finally:
            process.terminate()


def _end_with_parent() -> None:
    """In a child: whoever kills the node's worker ends the run that it started. (Linux: prctl(2))"""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
