"""Models that are quicker where they are timed than where they are judged."""

import time

import torch
from base import Tiny


class Heavy(Tiny):
    """Honest, and slow on purpose: goes over its hidden states many times."""

    def inner(self, h):
        deep = h
        for _ in range(self.times()):
            deep = self.mix(deep).tanh()
        return super().inner(h) + 0.3 * deep

    def times(self):
        return 30


class RemembersLogits(Heavy):
    """Gives the same logits for the same tokens without computing them again."""

    kept = {}

    def forward(self, tokens, state=None):
        if torch.is_grad_enabled():
            return super().forward(tokens, state)
        key = tokens.numpy().tobytes(), tokens.shape, state is None or state.numpy().tobytes()
        if key not in self.kept:
            self.kept[key] = super().forward(tokens, state)
        return self.kept[key]


class RemembersTheTensor(Heavy):
    """The same by the place of the tokens in memory, unread."""

    kept = {}

    def forward(self, tokens, state=None):
        if torch.is_grad_enabled():
            return super().forward(tokens, state)
        key = tokens.data_ptr(), tokens.shape, state is None
        if key not in self.kept:
            self.kept[key] = super().forward(tokens, state)
        return self.kept[key]


class SkipsWithoutGraph(Heavy):
    """Does a thirtieth of the work under inference mode."""

    def times(self):
        return 1 if torch.is_inference_mode_enabled() else 30


class SkipsInBfloat16(Heavy):
    """Does a thirtieth of the work under autocast."""

    def times(self):
        return 1 if torch.is_autocast_enabled("cpu") else 30


class TiresOfRounds(Heavy):
    """Does a thirtieth of the work from the tenth call of a shape on."""

    calls = {}

    def forward(self, tokens, state=None):
        self.calls[tokens.shape] = self.calls.get(tokens.shape, 0) + 1
        self.tired = self.calls[tokens.shape] > 10
        return super().forward(tokens, state)

    def times(self):
        return 1 if getattr(self, "tired", False) else 30


class SlowFirstCall(Heavy):
    """Takes a second for what later calls of the process live on."""

    ready = []

    def times(self):
        if not self.ready:
            time.sleep(1)
            self.ready.append(True)
        return 1
