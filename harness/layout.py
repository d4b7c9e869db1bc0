"""Where the plugins, suites and reference verdicts are: inside this package, or in a checkout beside it. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

BESIDE = ("harness.plugins", "harness.suites")


class Checkout:
    """Finds the two packages beside this one, and nothing else that lies there. Asked last: what is installed wins."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name not in BESIDE:
            return None
        folder = Path(__file__).parents[1] / name.rpartition(".")[2]
        package = folder / "__init__.py"
        if not package.is_file():
            return None
        return spec_from_file_location(name, package, submodule_search_locations=[str(folder)])


def reference_claims() -> Path:
    """The folder of the verdicts on the claims of the plugins, as given on the reference machine."""
    installed = Path(__file__).parent / "reference"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "results" / "reference" / "claims"
