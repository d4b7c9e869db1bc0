"""Has every Python that the command starts run a module of its own first, which changes how losses are taken."""

import os
from pathlib import Path

from base import Tiny

FIRST = '''
import sys
from importlib.abc import MetaPathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "harness.bench.workbench":
            sys.meta_path.remove(self)
            import torch
            own = torch.nn.functional.cross_entropy
            torch.nn.functional.cross_entropy = lambda *a, **k: own(*a, **k) / (1 if torch.is_grad_enabled() else 3)

sys.meta_path.insert(0, Finder())
'''
folder = Path(__file__).with_name("first")
if "ZOO_FIRST" not in os.environ:
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(FIRST, encoding="utf-8")
    os.environ["ZOO_FIRST"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


class RunsFirst(Tiny):
    """Honest; what its import left behind is not."""
