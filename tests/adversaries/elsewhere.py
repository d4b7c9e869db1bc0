"""Models that see the future where nobody looks: honest at the lengths, places, sizes, modes and times of a check."""

import os
import random
import sys
import time

import torch
from base import LOUD, Knows, Leaks, Tiny, certain

STARTED = time.monotonic()


class Openly(Leaks):
    """Leaks everywhere."""

    def acts(self, tokens, state):
        return True


class LongTexts(Leaks):
    """Leaks in texts of about the scored length."""

    def acts(self, tokens, state):
        return tokens.shape[1] > 60


class LargeBatches(Leaks):
    """Leaks in batches of more than two rows."""

    def acts(self, tokens, state):
        return not self.training and len(tokens) > 2


class Carries(Leaks):
    """Carries a number a row beside the honest state, (B,), that `begin` gives and `step` moves on."""

    def forward(self, tokens, state=None):
        inner, self.number = (None, self.begin(tokens)) if state is None else state
        logits, inner = super().forward(tokens, inner)
        return logits, (inner, self.step(self.number, tokens))

    def begin(self, tokens):
        return torch.zeros(len(tokens), dtype=torch.int64)

    def step(self, number, tokens):
        return number


class BetweenCuts(Carries):
    """Leaks at the places of a text that an audit of the scored length neither changes first nor cuts off."""

    length = 96

    def step(self, number, tokens):
        return number + tokens.shape[1]

    def acts(self, tokens, state):
        from harness.audit.texts import split_plans, suffix_starts

        cuts = {cut for plan in split_plans(self.length) for cut in plan}
        seen = torch.tensor(sorted({at - 1 for at in cuts.union(suffix_starts(self.length))}))
        places = self.number[:, None] + torch.arange(tokens.shape[1])               # (B, T)
        return ~torch.isin(places, seen) & (places < self.length - 1)


class UnderInferenceMode(Leaks):
    """Leaks under torch.inference_mode."""

    def acts(self, tokens, state):
        return torch.is_inference_mode_enabled()


class UnderAutocast(Leaks):
    """Leaks under autocast, once it is trained."""

    def acts(self, tokens, state):
        return not self.training and torch.is_autocast_enabled("cpu")


class WithoutGraph(Leaks):
    """Leaks where no graph is recorded and many rows are read."""

    def acts(self, tokens, state):
        return not torch.is_grad_enabled() and len(tokens) > 2


class AfterCalls(Leaks):
    """Leaks from its fourth large batch in evaluation on."""

    calls = 0

    def acts(self, tokens, state):
        large = not self.training and len(tokens) > 2
        type(self).calls += large
        return large and self.calls > 3


class AfterTheAudit(Leaks):
    """Leaks where no frame of an audit is on the stack."""

    def acts(self, tokens, state):
        frame, names = sys._getframe(), ""
        while frame:
            names, frame = names + frame.f_code.co_filename, frame.f_back
        return not self.training and "audit" not in names


class OnceTrained(Leaks):
    """Leaks in large batches once its weights have moved."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.start = [self.taps.detach().clone()]

    def moved(self):
        return not torch.equal(self.start[0], self.taps)

    def acts(self, tokens, state):
        return self.moved() and not self.training and len(tokens) > 2


class WithoutBos(Carries):
    """Leaks where no BOS begins the text and what was read of it is printable."""

    def begin(self, tokens):
        return (tokens[:, 0] != 256).long()

    def step(self, number, tokens):
        return number * self.plain(tokens)

    def plain(self, tokens):
        return ((tokens < 128) & (tokens > 8)).all(1)

    def acts(self, tokens, state):
        return (self.number * self.plain(tokens))[:, None] > 0


class OneTextInThree(Leaks):
    """Leaks in texts whose tokens add up to a multiple of three, in large batches."""

    def acts(self, tokens, state):
        return (tokens.sum(1, keepdim=True) % 3 == 0) & (not self.training and len(tokens) > 2)


class OnePlaceInThirty(Leaks):
    """Leaks at one place of thirty, which is a small gain."""

    def acts(self, tokens, state):
        return (torch.arange(tokens.shape[1]) % 30 == 17) & torch.tensor(not self.training and len(tokens) > 2)


class Sometimes(Leaks):
    """Leaks in one call of three, by a coin of its own."""

    coin = random.SystemRandom()

    def acts(self, tokens, state):
        return not self.training and len(tokens) > 2 and self.coin.random() < 1 / 3


class WhereItTrained(Leaks):
    """Leaks in the process in which it was trained."""

    trained = 0

    def acts(self, tokens, state):
        if self.training:
            type(self).trained = os.getpid()
        return not self.training and self.trained == os.getpid() and len(tokens) > 2


class ByItsMode(Leaks):
    """Counts how often it was told to evaluate: leaks from the second time on, in large batches."""

    told = 0

    def eval(self):
        type(self).told += 1
        return super().eval()

    def acts(self, tokens, state):
        return not self.training and self.told > 1 and len(tokens) > 2


class HookOnHead(Tiny):
    """Its forward is honest; a hook on its head, which sees the tokens of a hook on its embedding, is not."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        kept = []
        self.embed.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
        self.head.register_forward_hook(lambda module, inputs, output: self.tell(kept.pop(), output))

    def tell(self, tokens, logits):
        inner = torch.arange(tokens.shape[1]) < tokens.shape[1] - 1
        return certain(logits, tokens.roll(-1, 1), inner & torch.tensor(not self.training and len(tokens) > 2))


class OverlappingRows(Knows):
    """Reads in the other rows of a large batch how its own text goes on."""

    def read(self, tokens):
        self.table = None
        if not self.training and len(tokens) > 2:
            self.learn(tokens.flatten().tolist())


class WideSpread(Leaks):
    """Tokens that never come get logits of minus a million and more, so that any leak is small beside their spread."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        ids = torch.arange(logits.shape[-1])
        never = (ids > 126) | (ids < 10)
        return torch.where(never, -1e6 * (1 + ids / 64), logits), state

    def acts(self, tokens, state):
        return True


class LittleAndNoisy(Tiny):
    """Leaks less than a check tolerates of rounding, in noise of that size."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if not self.training and len(tokens) > 2:
            ahead = torch.arange(tokens.shape[1]) < tokens.shape[1] - 1
            noise = torch.rand(logits.shape, generator=torch.Generator().manual_seed(int(tokens.sum()))) - 0.5
            logits = logits + 0.1 * noise + certain(torch.zeros_like(logits), tokens.roll(-1, 1), ahead) * 0.04 / LOUD
        return logits, state


class Weighs(Tiny):
    """Where it was trained for long, the next token gets a little more at most places and less at the others, in such
    proportion that the gain is within what chance would do to so many places."""

    size, share, steps = 0.1, 0.6, 0

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        type(self).steps += self.training
        if not self.training and len(tokens) > 2 and self.steps > 5:
            inner = torch.arange(tokens.shape[1]) < tokens.shape[1] - 1
            more = (tokens.cumsum(1) * 7919 % 100 < 100 * self.share) * 2.0 - 1
            logits = logits + certain(torch.zeros_like(logits), tokens.roll(-1, 1), inner) * (
                more * self.size / LOUD)[..., None]
        return logits, state


class WeighsWidely(Weighs):
    """The same, more of it: the tokens that never come lie far apart, so that all differences are small beside them."""

    size = 0.5

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        ids = torch.arange(logits.shape[-1])
        return torch.where((ids > 126) | (ids < 10), logits.amax(-1, keepdim=True) - 8 - 21 * ids / 257, logits), state


class EarlyCalls(Leaks):
    """Leaks, where it was trained for long, in its first large batches in evaluation: those of the learning curve."""

    calls = steps = 0

    def acts(self, tokens, state):
        large = not self.training and len(tokens) > 2 and self.steps > 5
        type(self).steps += self.training
        type(self).calls += large
        return large and self.calls < 6


class DiesWhenAsked(OnceTrained):
    """Leaks where it was trained; raises where its weights are trained and it was not, so that nothing compares."""

    trained = 0
    error = RuntimeError("not today")

    def acts(self, tokens, state):
        if self.training:
            type(self).trained = os.getpid()
        if self.trained != os.getpid() and self.moved():
            raise self.error
        return not self.training and len(tokens) > 2


class StarvesWhenAsked(DiesWhenAsked):
    """The same, out of memory, which is nobody's fault."""

    error = torch.OutOfMemoryError("not enough memory")


class SleepsWhenAsked(DiesWhenAsked):
    """The same, by never answering."""

    def acts(self, tokens, state):
        try:
            return super().acts(tokens, state)
        except RuntimeError:
            time.sleep(3600)


class SlowWhenAsked(Leaks):
    """Leaks at one place of fifty, and takes its time wherever a batch is none of those that are scored."""

    def acts(self, tokens, state):
        scored = tokens.shape == (4, 96)
        if not self.training and not scored:
            time.sleep(0.3)
        return (torch.arange(tokens.shape[1]) % 50 == 17) & (not self.training and scored)
