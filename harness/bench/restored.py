"""A trained model with what reads its texts, from a checkpoint to weights in memory."""

from __future__ import annotations

from dataclasses import dataclass

from ..audit.auditor import audit
from ..checkpoint import Checkpoint, trained_spec
from ..data.faithful import Faithful
from ..data.tokenizers import make_tokenizer
from ..errors import HarnessError
from ..model import LanguageModel
from ..registry import Registry
from ..specs import ModelSpec
from .weights import build_trained


@dataclass(frozen=True)
class Restored:
    """A model in eval mode, its plugin, its tokenizer, and the checkpoint that all of them are of."""

    checkpoint: Checkpoint
    spec: ModelSpec
    tokenizer: Faithful
    model: LanguageModel

    @property
    def trained_length(self) -> int:
        """Tokens of a window in training."""
        length = self.checkpoint.config.train.get("seq_len", 0)
        return length if isinstance(length, int) and length > 0 else 256

    def hold_to_audit(self, length: int) -> None:
        """Raise HarnessError where these weights use what they may not see at a length."""
        report = audit(self.model, [length], device=next(self.model.parameters()).device)
        if not report.passed:
            raise HarnessError(f"{self.checkpoint.name} fails the audit: {report.summary()}")


def restore(registry: Registry, checkpoint: Checkpoint, device: str = "cpu") -> Restored:
    """Raises FileError where the weights do not fit what is here, PluginError where the plugin is unavailable."""
    spec = trained_spec(registry.models, checkpoint.config, checkpoint.name)
    tokenizer = Faithful(make_tokenizer(registry.tokenizer(checkpoint.config.tokenizer)[0], checkpoint.learned))
    model = build_trained(spec, checkpoint, tokenizer, device).model
    return Restored(checkpoint, spec, tokenizer, model.eval())
