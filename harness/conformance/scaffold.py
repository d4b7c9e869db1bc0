"""`harness new NAME`: a plugin as an installable package, and its test.

What is listed and what is built lie in two modules, so that listing the plugin imports no torch.
"""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import FileError, UsageError
from .scaffold_heads import HEADED_MODEL, HEADED_SPEC

TAKEN = ("None", "True", "False", "Config")             # class names that the plugin's model cannot have

SPEC = '''\
"""{title}: what the harness lists of it and what can be set. The model is imported when it is built."""

from dataclasses import dataclass

from harness import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    dim: int = 128              # `--params N` solves for it
    layers: int = 2

    def __post_init__(self):
        if self.dim < 1 or self.layers < 1:
            raise ValueError("dim and layers must be at least 1")


@hookimpl
def harness_models():
    return [ModelSpec(
        name="{name}", target="{name}.model:{title}", config="{name}:Config", family="classical",
        summary="a gated linear recurrence", source="this package")]
'''

MODEL = '''\
"""A gated linear recurrence, h_t = a_t h_(t-1) + (1 - a_t) v_t. Replace it with your own idea."""

import torch
from torch import nn

from harness import LanguageModel


class {title}(LanguageModel):
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.gates = nn.ModuleList(nn.Linear(config.dim, 2 * config.dim) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens, state=None):
        """(B, T) -> logits (B, T, V), state: one (B, D) vector a layer, whatever the length."""
        x, after = self.embed(tokens), []                                   # (B, T, D)
        for layer, gate in enumerate(self.gates):
            decay, value = gate(x).chunk(2, dim=-1)
            decay, value = decay.sigmoid(), value.tanh()
            h, steps = torch.zeros_like(x[:, 0]) if state is None else state[layer], []
            for a, v in zip(decay.unbind(1), value.unbind(1)):
                h = a * h + (1 - a) * v
                steps.append(h)
            x = x + torch.stack(steps, dim=1)
            after.append(h)
        return self.head(self.norm(x)), tuple(after)
'''

TEST = '''\
"""{title} keeps the law: splitting a text anywhere changes no logit."""

import torch
from {name} import Config
from {name}.model import {title}


def test_splitting_a_text_changes_nothing():
    model = {title}(Config(dim=16), vocab_size=11).eval()
    tokens = torch.randint(11, (2, 12))
    whole, _ = model(tokens)
    first, state = model(tokens[:, :5])
    rest, _ = model(tokens[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)
'''

PYPROJECT = '''\
[project]
name = "harness-{dashed}"
version = "0.1.0"
dependencies = ["qllm-harness"]
entry-points.harness = {{ {name} = "{name}" }}

[tool.setuptools]
packages = ["{name}"]
'''


def create(name: str, directory: Path, heads: bool = False) -> list[Path]:
    """Write the four files, of a model with several heads where asked for.

    Raises UsageError for a bad name, FileError where a file exists or cannot be written.
    """
    title = "".join(part.capitalize() for part in name.split("_"))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or title in TAKEN:
        raise UsageError(f"a plugin's name is a lower-case identifier such as mymodel, got {name!r}")
    words = {"name": name, "title": title, "dashed": name.replace("_", "-")}
    spec, model = (HEADED_SPEC, HEADED_MODEL) if heads else (SPEC, MODEL)
    files = {f"{name}/__init__.py": spec, f"{name}/model.py": model, f"test_{name}.py": TEST,
             "pyproject.toml": PYPROJECT}
    for file in files:
        if (directory / file).exists():
            raise FileError(f"{directory / file} exists; choose another name or --directory")
    found = find_spec(name)
    if name in sys.stdlib_module_names or (found and found.origin):
        raise UsageError(f"{name!r} is the name of an installed module; choose another")
    try:
        (directory / name).mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (directory / file).write_text(text.format(**words), encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot write to {directory}: {error.strerror}") from None
    return [directory / file for file in files]
