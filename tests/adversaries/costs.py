"""Models that hide what they cost: weights that are no parameters, states that are not in the state, work unseen."""

import ctypes

import torch
import torch.nn.functional as F
from base import Tiny
from torch import nn


class Hidden(Tiny):
    """Adds the logits of a bigram table (V, V), `table()`, which no optimiser of the harness steps."""

    rate = 30.0

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        table = self.table(logits.shape[-1])
        if self.training and len(tokens) > 2 and table.grad is not None:
            with torch.no_grad():
                table -= self.rate * table.grad
            table.grad = None
        return logits + F.embedding(tokens, table), state


class ListWeights(Hidden):
    """Weights in a Python list."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.kept = [torch.zeros(vocab_size, vocab_size, requires_grad=True)]

    def table(self, size):
        return self.kept[0]


class LazyWeights(Hidden):
    """Weights that are made at the first forward."""

    kept = None

    def table(self, size):
        if self.kept is None:
            self.kept = torch.zeros(size, size, requires_grad=True)
        return self.kept


class ClassWeights(Hidden):
    """Weights in an attribute of the class."""

    kept = {}

    def table(self, size):
        return self.kept.setdefault(size, torch.zeros(size, size, requires_grad=True))


class TransientBuffer(Hidden):
    """Weights in a buffer that is not saved."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("kept", torch.zeros(vocab_size, vocab_size, requires_grad=True), persistent=False)

    def table(self, size):
        return self.kept


class LateParameter(Hidden):
    """A parameter that is registered at the first forward, after they were counted."""

    def table(self, size):
        if not hasattr(self, "late"):
            self.late = nn.Parameter(torch.zeros(size, size))
        return self.late


class SavedBuffer(Hidden):
    """Weights in a buffer that is saved: it must count."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("kept", torch.zeros(vocab_size, vocab_size, requires_grad=True))

    def table(self, size):
        return self.kept


class CountingBuffer(Tiny):
    """Counts pairs of tokens in a buffer while it trains: it must count."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("pairs", torch.zeros(vocab_size, vocab_size))

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if self.training and len(tokens) > 2:
            pairs = tokens[:, :-1] * logits.shape[-1] + tokens[:, 1:]
            self.pairs += torch.bincount(pairs.flatten(), minlength=self.pairs.numel()).view_as(self.pairs)
        return logits + F.embedding(tokens, (self.pairs + 0.05).log()), state


class PackedBuffer(Tiny):
    """Counts of pairs, eight of them in every number of the buffer that keeps them."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("pairs", torch.zeros(vocab_size * vocab_size // 8 + 1, dtype=torch.int64))

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        size = logits.shape[-1]
        counts = self.pairs.view(torch.uint8)[: size * size].view(size, size)
        if self.training and len(tokens) > 2:
            pairs = tokens[:, :-1] * size + tokens[:, 1:]
            more = torch.bincount(pairs.flatten(), minlength=size * size).view(size, size)
            counts.copy_((counts + more).clamp(max=255))
        return logits + F.embedding(tokens, (counts.float() + 0.05).log()), state


class PackedDoubles(PackedBuffer):
    """The same in numbers of eight bytes that are no whole ones."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.pairs = self.pairs.double()


class ExtraState(Hidden):
    """Weights in what `get_extra_state` would save."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.kept = [torch.zeros(vocab_size, vocab_size, requires_grad=True)]

    def table(self, size):
        return self.kept[0]

    def get_extra_state(self):
        return self.kept[0].detach()

    def set_extra_state(self, state):
        self.kept[0] = state.clone().requires_grad_()


class SmallOnMeta(Tiny):
    """Smaller where it is counted, on the meta device, than where it is used."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        meta = self.taps.device.type == "meta"
        self.more = nn.Sequential(*(nn.Linear(config.dim, config.dim) for _ in range(0 if meta else 6)))

    def inner(self, h):
        return self.more(super().inner(h)) + h


class GrowsInTraining(Tiny):
    """Registers further layers at its first training forward."""

    def inner(self, h):
        if self.training and not hasattr(self, "more"):
            self.more = nn.Linear(h.shape[-1], 4 * h.shape[-1]), nn.Linear(4 * h.shape[-1], h.shape[-1])
            self.mix = nn.Sequential(self.mix, nn.Tanh(), *self.more)
        return super().inner(h)


class EmbeddingEverything(Tiny):
    """Says that every parameter is of the vocabulary."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        wide = 8 * config.dim
        self.more = nn.Sequential(nn.Linear(config.dim, wide), nn.Tanh(), nn.Linear(wide, config.dim))

    def inner(self, h):
        return self.more(super().inner(h))

    def embedding_parameters(self):
        return (p for name, p in self.named_parameters() if not name.startswith("mix"))


class FewerParameters(Tiny):
    """Tells who counts them of fewer parameters than the optimiser."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.more = nn.Linear(config.dim, config.dim)

    def inner(self, h):
        return self.more(super().inner(h))

    def parameters(self, recurse=True):
        import sys

        counts = "count" in sys._getframe(1).f_code.co_name
        return (p for p in super().parameters(recurse) if not counts or p is not self.more.weight)


class SeveralSteps(Tiny):
    """Steps its own weights a few times within one training forward."""

    rate = 0.3

    def forward(self, tokens, state=None):
        if self.training and len(tokens) > 2 and torch.is_grad_enabled():
            own = list(self.parameters())
            for _ in range(4):
                logits, _ = super().forward(tokens)
                loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
                with torch.no_grad():
                    for p, grad in zip(own, torch.autograd.grad(loss, own), strict=True):
                        p -= self.rate * grad
        return super().forward(tokens, state)


class StepsOnTheWay(Tiny):
    """The same in a hook of the gradient of one weight, after the forward."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.head.bias.register_hook(self.step)
        self.last = [None]

    def forward(self, tokens, state=None):
        if self.training and len(tokens) > 2:
            self.last[0] = tokens
        return super().forward(tokens, state)

    def step(self, grad):
        tokens, self.last[0] = self.last[0], None
        if tokens is not None:
            with torch.enable_grad():
                own = [self.head.weight, self.embed.weight]
                logits, _ = Tiny.forward(self, tokens)
                loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
                found = torch.autograd.grad(loss, own)
            for p, more in zip(own, found, strict=True):
                p.data -= 0.3 * more
        return grad


class SeveralStepsLater(SeveralSteps):
    """The same from the sixth training forward of a process on."""

    rate, calls = 0.3, 0

    def forward(self, tokens, state=None):
        type(self).calls += self.training
        return (super() if self.calls > 5 else super(SeveralSteps, self)).forward(tokens, state)


class Cache(Tiny):
    """Honest: counts of the tokens so far (B, V) sharpen the logits. `pack` and `unpack` keep them in the state."""

    def forward(self, tokens, state=None):
        window, counts = (None, None) if state is None else self.unpack(state)
        logits, window = super().forward(tokens, window)
        ones = F.one_hot(tokens, logits.shape[-1]).float()                          # (B, T, V)
        counts = ones.cumsum(1) if counts is None else counts[:, None] + ones.cumsum(1)
        return logits + 0.3 * torch.log1p(counts), self.pack(window, counts[:, -1].clone())

    def pack(self, window, counts):
        return window, counts

    def unpack(self, state):
        return state


class StateInAttribute(Cache):
    """What it counted is in an attribute, by a number that stands in the state."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.kept = {}

    def pack(self, window, counts):
        number = len(self.kept)
        self.kept[number] = counts
        return window, number

    def unpack(self, state):
        return state[0], self.kept[state[1]]


class StateByHandle(Cache):
    """What it counted is in a dictionary of the process, by a key in a tensor."""

    kept = {}

    def pack(self, window, counts):
        number = len(self.kept)
        self.kept[number] = counts
        return window, torch.full((len(window), 1), number)

    def unpack(self, state):
        return state[0], self.kept[int(state[1][0, 0])]


class StateByAddress(Cache):
    """What it counted is at an address of the process's memory that the state names."""

    kept = []

    def pack(self, window, counts):
        self.kept.append(counts)
        return window, counts.data_ptr()

    def unpack(self, state):
        window, address = state
        size = 4 * len(window) * self.vocab_size
        values = torch.frombuffer(bytearray(ctypes.string_at(address, size)), dtype=torch.float32)
        return window, values.view(len(window), -1)


class StateInAView(Cache):
    """The state shows one number of a tensor that holds all counts."""

    def pack(self, window, counts):
        return window, counts[:, :1]

    def unpack(self, state):
        window, one = state
        return window, one.as_strided((len(one), self.vocab_size), (self.vocab_size, 1), 0)


class StateOnATensor(Cache):
    """The counts hang on a tensor of the state as an attribute."""

    def pack(self, window, counts):
        window.counts = counts
        return (window,)

    def unpack(self, state):
        return state[0], state[0].counts


class StateInAnInteger(Cache):
    """The counts are the digits of one whole number."""

    def pack(self, window, counts):
        return window, int.from_bytes(bytes([1]) + counts.to(torch.int16).numpy().tobytes(), "big")

    def unpack(self, state):
        window, number = state
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")[1:]
        return window, torch.frombuffer(bytearray(raw), dtype=torch.int16).view(len(window), -1).float()


class StateInNumbers(Cache):
    """The counts are Python floats in a list: no tensor, but it must count."""

    def pack(self, window, counts):
        return window, counts.flatten().tolist()

    def unpack(self, state):
        return state[0], torch.tensor(state[1]).view(len(state[0]), -1)


class StateInKeys(Cache):
    """The counts are the key of a dictionary."""

    def pack(self, window, counts):
        return {",".join(str(int(count)) for count in counts.flatten()): window}

    def unpack(self, state):
        (key, window), = state.items()
        return window, torch.tensor([float(count) for count in key.split(",")]).view(len(window), -1)


class StateInItsShape(Cache):
    """The counts are how many empty tuples stand beside each other."""

    def pack(self, window, counts):
        return window, tuple(((),) * int(count) for count in counts.flatten())

    def unpack(self, state):
        return state[0], torch.tensor([float(len(part)) for part in state[1]]).view(len(state[0]), -1)


class StateInEmptyTensors(Cache):
    """The counts are the shapes of tensors without numbers."""

    def pack(self, window, counts):
        return window, [torch.empty(0, int(count)) for count in counts.flatten()]

    def unpack(self, state):
        return state[0], torch.tensor([float(part.shape[1]) for part in state[1]]).view(len(state[0]), -1)


class StateInARow(Cache):
    """One row's state for all rows: what belongs to a text is not in its row."""

    def pack(self, window, counts):
        return window, counts.flatten()[None].expand(len(counts), -1)

    def unpack(self, state):
        return state[0], state[1][0].view(len(state[0]), -1)
