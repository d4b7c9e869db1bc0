"""Trained weights as an ONNX graph, `model.onnx`: tokens (B, T) int64 -> logits (B, T, V).

B and T are free where the model's code leaves them so, else T is the length of training. The graph reads a text whole;
the state is no part of it. What PyTorch's exporter finds no graph for, such as a fused kernel of a recurrence, is told
and not replaced.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from ..bench.restored import Restored
from ..errors import Unsupported
from ..frames import told
from ..model import LanguageModel

FILE = "model.onnx"
ROWS = 2                                    # of the text that the graph is traced with
LONGEST = 300                               # characters of a reason


class Logits(nn.Module):
    """A model without its state."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(tokens)[0]
        return logits


def export_onnx(restored: Restored, directory: Path) -> str:
    """Write the graph of a checkpoint. Returns a line that says what there is. Raises Unsupported naming what stands in
    the way."""
    free = torch.export.Dim.AUTO
    example = torch.zeros(ROWS, restored.trained_length, dtype=torch.int64)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)                        # of packages that it does without
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                Logits(restored.model), (example,), dynamo=True, verbose=False, input_names=["tokens"],
                output_names=["logits"], dynamic_shapes=({0: free, 1: free},))
    except Exception as error:
        raise Unsupported(f"{restored.spec.name} has no ONNX graph: {_reason(error, restored.spec.target)}") from None
    finally:
        logging.disable(before)
    assert program is not None
    program.save(str(directory / FILE))
    shape = ", ".join(map(str, program.model.graph.inputs[0].shape or ()))
    return f"{FILE}, tokens ({shape}) -> logits ({shape}, {restored.model.vocab_size})"


def _reason(error: BaseException, module: str) -> str:
    """What the exporter fell over, in the words of the first error, with the line of the plugin."""
    while error.__cause__ is not None:
        error = error.__cause__
    return told(error, module)[:LONGEST]
