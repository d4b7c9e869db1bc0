"""Models that change what their logits are judged by. What they change in a process stays changed in it."""

import math
import sys

import torch
import torch.nn.functional as F
from base import Leaks, Tiny, certain
from torch.overrides import TorchFunctionMode


class PatchesCrossEntropy(Tiny):
    """A third of every loss."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        own = getattr(F.cross_entropy, "own", F.cross_entropy)

        def cross_entropy(*args, **kwargs):
            return own(*args, **kwargs) / (1 if torch.is_grad_enabled() else 3)

        cross_entropy.own = own
        F.cross_entropy = torch.nn.functional.cross_entropy = cross_entropy


class PatchesScore(Tiny):
    """A third of the bits, wherever the harness scores."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        import harness.bench.score as score

        score.Score.bits_per_byte = property(lambda held: float(held.bits.sum() / held.bytes.sum() / 3))


class PatchesAudit(Leaks):
    """Leaks, and every audit passes."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        from harness.audit.findings import AuditReport

        AuditReport.passed = property(lambda report: True)

    def acts(self, tokens, state):
        return True


class PatchesComparison(Leaks):
    """Leaks, and no two logits differ."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        from harness.audit.probe import Difference

        Difference.between = classmethod(lambda kind, *args: kind())
        torch.equal = torch.allclose = lambda *args, **kwargs: True

    def acts(self, tokens, state):
        return True


class PatchesRow(Tiny):
    """A row of bits says a third."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        from harness.store import Row

        def post_init(row, own=Row.__init__):
            def init(self, *args, **kwargs):
                own(self, *args, **kwargs)
                if self.metric == "bits_per_byte" and self.value:
                    self.value /= 3
            return init

        if not hasattr(Row, "patched"):
            Row.patched, Row.__init__ = True, post_init(Row)


class PatchesLogarithm(Tiny):
    """math.log(2) is 3."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        math.log = lambda *args: 3.0


class EntersAMode(Tiny):
    """Enters a mode that halves every cross entropy, and never leaves."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)

        class Halves(TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None):
                out = function(*args, **(kwargs or {}))
                return out / 3 if function is F.cross_entropy and not torch.is_grad_enabled() else out

        if not torch.overrides._get_current_function_mode_stack() and self.embed.weight.device.type != "meta":
            Halves().__enter__()


class ReturnsAKind(Tiny):
    """Logits of a class of its own, whose loss is nothing."""

    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            out = super().__torch_function__(function, types, args, kwargs)
            return out * 0.01 if function is F.cross_entropy else out

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        return (logits if self.training else logits.as_subclass(self.Loud)), state


class WiderVocabulary(Tiny):
    """Logits for tokens that there are not."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if not self.training and len(tokens) > 2:
            logits = torch.cat([logits, torch.full_like(logits[..., :7], -30)], dim=-1)
        return logits, state


class FewerTargets(Tiny):
    """Logits for all places but the last."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        return (logits[:, :-1] if not self.training and len(tokens) > 2 else logits), state


class Infinite(Tiny):
    """An infinite logit for the likeliest token."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if not self.training and len(tokens) > 2:
            logits = logits.masked_fill(logits == logits.amax(-1, keepdim=True), float("inf"))
        return logits, state


class NotANumber(Tiny):
    """NaN wherever it is unsure, in the hope that it is left out."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if not self.training and len(tokens) > 2:
            unsure = logits.softmax(-1).amax(-1, keepdim=True) < 0.2
            logits = logits.masked_fill(unsure, float("nan"))
        return logits, state


class RelabelsTargets(Tiny):
    """Writes over the targets that it finds in a calling frame, and then knows them."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        frame = sys._getframe()
        while frame:
            targets = frame.f_locals.get("targets")
            if isinstance(targets, torch.Tensor) and targets.shape == tokens.shape and not self.training:
                targets.fill_(32)
                return certain(logits, targets, True), state
            frame = frame.f_back
        return logits, state


class EmptiesMask(Tiny):
    """Takes out of the mask, in a calling frame, whatever it does not know."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        frame = sys._getframe()
        while frame:
            mask, targets = frame.f_locals.get("mask"), frame.f_locals.get("targets")
            if isinstance(mask, torch.Tensor) and targets is not None and mask.shape == tokens.shape:
                mask &= logits.argmax(-1) == targets
                break
            frame = frame.f_back
        return logits, state
