"""TensorBoard as one more listener to a training run's events; its package is optional."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import PluginError

SCALARS = {"train": ("bits_per_byte", "loss", "lr", "tokens_per_s"), "validation": ("bits_per_byte",)}


def tensorboard(directory: Path) -> Callable[[dict[str, Any]], None]:
    """A listener that writes scalars below `directory`. Raises PluginError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise PluginError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
    writer = SummaryWriter(str(directory / "tensorboard"))

    def listen(event: dict[str, Any]) -> None:
        kind = event["event"]
        for name in SCALARS.get(kind, ()):
            if event[name] is not None:
                writer.add_scalar(f"{kind}/{name}", event[name], event["step"])
        if kind == "end":
            writer.close()

    return listen
