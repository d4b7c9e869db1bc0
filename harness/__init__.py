"""A comparative benchmark harness for language-model architectures. The public face; what is heavy loads on use."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# In a checkout, plugins/ and suites/ stand beside this folder; installed, inside it.
if not (Path(__file__).parent / "plugins").exists():
    __path__.append(str(Path(__file__).parent.parent))

_PUBLIC = {
    "hookimpl": "hookspecs", "ModelSpec": "specs", "ComponentSpec": "specs", "CorpusSpec": "specs",
    "TokenizerSpec": "specs", "Suite": "specs", "LanguageModel": "model", "TokenHistory": "model", "Cell": "run.cells",
    "Request": "run.cells", "timing_group": "run.cells", "KernelCase": "specs", "Row": "store", "CellResult": "store",
    "load_results": "evidence.results", "Unsupported": "errors", "UsageError": "errors", "ByRound": "specs",
    "ByDocument": "specs", "ByValue": "specs", "Counted": "specs", "EncodingSpec": "specs", "EncodedMatrix": "specs",
}

_MODULES = {
    "affixes": "data.affixes", "components": "components", "stats": "evidence.stats", "timing": "evidence.timing",
}

if TYPE_CHECKING:
    from . import components as components
    from .data import affixes as affixes
    from .errors import Unsupported as Unsupported
    from .errors import UsageError as UsageError
    from .evidence import stats as stats
    from .evidence import timing as timing
    from .evidence.results import load_results as load_results
    from .hookspecs import hookimpl as hookimpl
    from .model import LanguageModel as LanguageModel
    from .model import TokenHistory as TokenHistory
    from .run.cells import Cell as Cell
    from .run.cells import Request as Request
    from .run.cells import timing_group as timing_group
    from .specs import ByDocument as ByDocument
    from .specs import ByRound as ByRound
    from .specs import ByValue as ByValue
    from .specs import ComponentSpec as ComponentSpec
    from .specs import CorpusSpec as CorpusSpec
    from .specs import Counted as Counted
    from .specs import EncodedMatrix as EncodedMatrix
    from .specs import EncodingSpec as EncodingSpec
    from .specs import KernelCase as KernelCase
    from .specs import ModelSpec as ModelSpec
    from .specs import Suite as Suite
    from .specs import TokenizerSpec as TokenizerSpec
    from .store import CellResult as CellResult
    from .store import Row as Row


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, *_MODULES, "__version__"])
