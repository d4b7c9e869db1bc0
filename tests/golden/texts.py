"""Makes texts.safetensors anew: `python texts.py FOLDER`, where the .txt files of FOLDER are the published texts.

Two of them hold code: seed 000 the interference of phases, seed 003 that of waves and how these are bounded. It is run
as it stands there, on numbers of recipe.py; scores are summed over channels where the text leaves that to the reader.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from recipe import WAVES, draw
from safetensors.torch import save_file
from torch import Tensor


def lines(folder: str, first: str, last: str) -> str:
    """The one stretch of lines from one that begins with `first` to the next that begins with `last`, in any text."""
    for path in sorted(Path(folder).glob("*.txt")):
        text = path.read_text().splitlines()
        starts = [number for number, line in enumerate(text) if line.strip().startswith(first)]
        if starts:
            end = next(n for n in range(starts[0], len(text)) if text[n].strip().startswith(last))
            return dedent("\n".join(text[starts[0]:end + 1]))
    raise SystemExit(f"no text in {folder} has a line that begins with {first!r}")


def function(folder: str, name: str) -> Any:
    space: dict[str, Any] = {"torch": torch, "math": math}
    exec(lines(folder, f"def {name}(", "return"), space)
    return space[name]


def main(folder: str) -> None:
    queries, keys = (3 * draw(name, *WAVES) for name in ("queries", "keys"))              # (B, H, T, d)
    space: dict[str, Any] = {"np": np, "phase_Q": queries[:, 0].numpy(), "phase_K": keys[:, 0].numpy()}
    exec(lines(folder, "phase_diff = phase_Q", "interference ="), space)

    def waves(x: Tensor) -> tuple[Tensor, Tensor]:
        return function(folder, "stable_quantum_ops")(None, x)

    (q_amplitude, q_phase), (k_amplitude, k_phase) = waves(queries), waves(keys)
    interference = function(folder, "quantum_interference")(
        None, SimpleNamespace(amplitude=q_amplitude.unsqueeze(-2), phase=q_phase.unsqueeze(-2)),
        SimpleNamespace(amplitude=k_amplitude.unsqueeze(-3), phase=k_phase.unsqueeze(-3)))
    save_file({"modulus": torch.from_numpy(space["interference"]), "amplitude": q_amplitude, "phase": q_phase,
               "real": interference.sum(dim=-1)}, Path(__file__).with_name("texts.safetensors"))


if __name__ == "__main__":
    main(*sys.argv[1:])
