"""A comparative benchmark harness for language-model architectures. The public face; what is heavy loads on use."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .layout import Checkout
from .version import __version__ as __version__

sys.meta_path.append(Checkout())

_PUBLIC = {
    "hookimpl": "hookspecs", "ModelSpec": "specs", "ComponentSpec": "specs", "CorpusSpec": "specs",
    "TokenizerSpec": "specs", "Suite": "suite", "LanguageModel": "model", "TokenHistory": "model",
    "copied_state": "model", "Cell": "run.cells", "Request": "run.cells", "timing_group": "run.cells",
    "KernelCase": "specs", "Row": "store", "CellResult": "store", "HarnessError": "errors",
    "load_results": "evidence.report.notebook", "verdict_table": "evidence.report.notebook", "Unsupported": "errors",
    "UsageError": "errors", "ByRound": "suite", "ByDocument": "suite", "ByValue": "suite", "Counted": "suite",
    "EncodingSpec": "specs", "EncodedMatrix": "specs", "ForeignWeights": "specs", "rung_name": "rungs",
    "Workbench": "workbench", "Executor": "executor", "Events": "executor", "Stop": "executor",
}

_MODULES = {
    "affixes": "data.affixes", "exercises": "data.abilities.sizes",
    "components": "components", "stats": "evidence.statistics.intervals",
    "timing": "evidence.comparison.timing", "tuning": "tuning",
}

if TYPE_CHECKING:
    from . import components as components
    from . import tuning as tuning
    from .data import affixes as affixes
    from .data.abilities import sizes as exercises  # noqa: F401
    from .errors import HarnessError as HarnessError
    from .errors import Unsupported as Unsupported
    from .errors import UsageError as UsageError
    from .evidence.comparison import timing as timing
    from .evidence.report.notebook import load_results as load_results
    from .evidence.report.notebook import verdict_table as verdict_table
    from .evidence.statistics import intervals as stats  # noqa: F401
    from .executor import Events as Events
    from .executor import Executor as Executor
    from .executor import Stop as Stop
    from .hookspecs import hookimpl as hookimpl
    from .model import LanguageModel as LanguageModel
    from .model import TokenHistory as TokenHistory
    from .model import copied_state as copied_state
    from .run.cells import Cell as Cell
    from .run.cells import Request as Request
    from .run.cells import timing_group as timing_group
    from .rungs import rung_name as rung_name
    from .specs import ComponentSpec as ComponentSpec
    from .specs import CorpusSpec as CorpusSpec
    from .specs import EncodedMatrix as EncodedMatrix
    from .specs import EncodingSpec as EncodingSpec
    from .specs import ForeignWeights as ForeignWeights
    from .specs import KernelCase as KernelCase
    from .specs import ModelSpec as ModelSpec
    from .specs import TokenizerSpec as TokenizerSpec
    from .store import CellResult as CellResult
    from .store import Row as Row
    from .suite import ByDocument as ByDocument
    from .suite import ByRound as ByRound
    from .suite import ByValue as ByValue
    from .suite import Counted as Counted
    from .suite import Suite as Suite
    from .workbench import Workbench as Workbench


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, *_MODULES, "__version__"])
