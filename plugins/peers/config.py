"""Options of `transformers`. (no torch)"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from .architectures import ARCHITECTURES

Read = Literal["auto", "whole", "single", "none"]

OWN = ("step", "omit", "read", "finding")               # keys of an entry that are no fields of a config
DEFAULTS = {"state": ("n", 16), "window": ("window", 32), "chunk": ("chunk", 16)}     # option: its name there, default


@dataclass(frozen=True)
class PeerConfig:
    arch: str = "llama"             # a model_type of transformers
    dim: int = 128
    layers: int = 3
    heads: int = 4
    hidden: int | None = None       # of the MLP; None is 8/3 dim
    state: int | None = None        # of a recurrence, where there is one; None is 16
    window: int | None = None       # of attention, where it slides; None is 32
    chunk: int | None = None        # of a recurrence's parallel form; None is 16
    tied: bool = True               # the head shares the embedding's weights
    read: Read = "auto"             # how a chunk after a state is fed: none reads the text anew, auto asks the table
    settings: str = ""              # of weights from elsewhere: their config.json, which the options above give way to
    path: str = ""                  # the folder of such weights, for `harness convert`

    def __post_init__(self) -> None:
        if self.path:
            raise ValueError(f"weights are scored as a checkpoint: harness convert transformers:path={self.path} "
                             "--out runs/NAME makes one, transformers@runs/NAME selects it")
        if self.settings:
            return
        if min(self.layers, self.heads) < 1 or (self.hidden is not None and self.hidden < 1):
            raise ValueError("layers, heads and hidden must be at least 1")
        if self.dim < 1 or self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of {self.width_step} for arch={self.arch}")
        for option, (name, _) in DEFAULTS.items():
            value = getattr(self, option)
            if value is not None and value < 1:
                raise ValueError(f"{option}={value} must be at least 1")
            if value is not None and self.arch in ARCHITECTURES and not self.uses(name):
                raise ValueError(f"arch={self.arch} has no {option}")

    def uses(self, name: str) -> bool:
        """Whether the architecture's entry depends on a name."""
        return any(re.search(rf"\b{name}\b", value) for key, value in self.entry.items()
                   if isinstance(value, str) and key not in OWN)

    @property
    def entry(self) -> dict[str, Any]:
        return ARCHITECTURES.get(self.arch, {})

    @property
    def width_step(self) -> int:
        step: int = self.entry.get("step", 2 * self.heads)
        return step

    @property
    def hidden_step(self) -> int:
        return 4 if any("experts" in key for key in self.entry) else 1      # their kernels ask for 16 bytes

    @property
    def knobs(self) -> tuple[str, ...]:
        """A coarse width needs a finer one behind it."""
        return ("hidden", "state") if self.uses("n") else ("hidden",)

    @property
    def reads(self) -> str:
        return self.entry.get("read", "whole") if self.read == "auto" else self.read

    @property
    def names(self) -> dict[str, Any]:
        """What expressions of the table are about."""
        options = {name: getattr(self, option) or default for option, (name, default) in DEFAULTS.items()}
        return {"d": self.dim, "L": self.layers, "h": self.heads, "w": self.mlp} | options

    @property
    def mlp(self) -> int:
        return self.hidden or max(8, self.dim * 8 // 3 // 8 * 8)


def unknown_architecture(arch: str, known: list[str]) -> str:
    """A line that names the nearest."""
    near = get_close_matches(arch, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"{len(known)} are known, such as {', '.join(known[:8])}"
    return f"no causal language model of transformers is called {arch!r}; {hint}"
