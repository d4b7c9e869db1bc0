"""The workbench of a worker: what `harness.workbench` promises to suites, made of the engine's parts.

Its methods lie in a class for each concept:

    cell_rows       rows, and the notes that later rows tell
    cell_data       on top of that, tokenizer, corpus and synthetic tasks
    cell_models     on top of those, models: built, counted, called
    cell_quality    on top of those, training, audit and scores
    cell_costs      beside it, time and memory

Each declares the state that it works with; all of it begins here. What a method does, and what it raises, is documented
at the face.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from ..errors import HarnessError
from ..registry import Registry
from ..run.cells import Cell
from ..specs import ModelSpec
from ..store import now
from .cell_costs import CellCosts
from .cell_quality import CellQuality


class TorchWorkbench(CellQuality, CellCosts):
    """One cell's tools and its growing rows."""

    def __init__(
        self, cell: Cell, registry: Registry, spec: ModelSpec, context: dict[str, Any],
        turn: Callable[[], AbstractContextManager[Any]], progress: Callable[[str], None],
        hand_over: Callable[[dict[str, bytes]], None] = lambda files: None,
    ):
        self.cell, self.registry, self.spec = cell, registry, spec
        self.limits, self.needs, self.sources = context["limits"], context["needs"], context.get("sources", ())
        self.turn, self.progress, self.hand_over = turn, progress, hand_over
        self.trunks = Path(context["trunks"]) if context.get("trunks") else None
        self.rows, self.raw = [], {}
        self.built, self.chosen = None, ""
        self._facts, self._solved, self._counted = {}, {}, {}
        self._unproven, self._first_call_s = True, 0.0
        self._doubts = []
        self._secret = context.get("secret") or secrets.randbits(48)
        self._started, self._started_at = time.monotonic(), now()
        if cell.device == "cuda" and not torch.cuda.is_available():
            raise HarnessError("no usable CUDA device: torch.cuda.is_available() is false; use --device cpu")
