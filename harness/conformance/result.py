"""What `harness check` holds a plugin to: a line for each promise, and what to do where it is broken. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "fail", "skipped", "unavailable"]

MENDS = {                               # line -> what to do where it fails
    "loads": "mend the module that the entry point or the file names",
    "cheap spec": 'name the model by a string, target="package.model:Class"; its module alone imports what is heavy',
    "summary": "give the ModelSpec a summary of one short line and a source: a paper, a project, or this package",
    "options": "give every config field a default of type int, float, bool, str, Literal, tuple or an optional of "
               "these, and refuse impossible values in __post_init__ with a ValueError of one line",
    "builds": "let the config take its own defaults (a width that its heads divide: width_step says which), and mend "
              "__init__; what it imports beyond the harness belongs into requires=(…) of the ModelSpec",
    "sizing": "let `dim` or `width` in the config decide the size, in multiples of its `width_step` (its heads, say; "
              "`harness new NAME --heads` shows it), and build the same parameters on every device",
    "contract": "return (logits of shape (B, T, vocab_size), a nest of tensors), finite and without writing to tokens",
    "causality": "no position may see a later token: look for a mean over time, a roll, an unmasked attention",
    "batch independence": "no row may see another: look for statistics over the batch",
    "split law": "carry everything that the next token needs in the state, and start from it where it is given",
    "determinism": "keep nothing in the module between calls, write to no state that was given, draw nothing in eval",
    "train = eval": "the same function in both modes, dropout apart",
    "gradients": "keep the loss finite: clamp what is divided by, or whose logarithm is taken",
    "live parameters": "use the parameter, drop it, or make it a buffer",
    "beyond the length": "read the position from the state instead of a table that ends",
    "device": "make tensors on the device of what they meet: zeros_like(x), x.new_zeros(…), device=x.device; what is "
              "kept between calls is a parameter, a buffer (register_buffer), or in the state",
    "dtype": "make tensors in the dtype of what they meet: zeros_like(x), x.new_zeros(…), dtype=x.dtype, or say "
             "dtype=torch.float32 where that is meant; what has no backward pass in bfloat16 belongs under "
             "torch.autocast(device, enabled=False)",
    "state": "put the batch first in every tensor of the state, and nothing but tensors and numbers into it",
    "advance": "begin at the state that is given and return the one for the next call; what writes into it belongs "
               "into advance, and forward calls that with a copy: harness.copied_state",
    "tokenizer": "let target return a harness.data.tokenizers.Tokenizer, made of what learn returns if there is such",
    "round trip": "map bytes, not characters: what is not UTF-8, blanks, and the names of special tokens are text too",
    "vocabulary": "let vocab_size be the number of ids, token_bytes the bytes that each stands for, 0 for bos and "
                  "others that stand for none",
    "repeatable": "draw nothing and keep no order of a set: sort what ties",
    "learned table": "let learn return what JSON keeps: dicts with text keys, lists, text and numbers",
    "corpus": "let target(argument, **options) return Documents(name, train, heldout) of tuples of bytes, none empty",
    "same text": "draw from random.Random(seed), sort files and sets, and find files from __file__",
    "held-out text": "split by document or source, and drop from training what is held out",
    "repeated documents": "drop what stands there already: a text seen twice is weighed twice",
    "fixed": "drop fixed=True, so that the text is hashed before a run, or write the text into the source",
    "identity": "write what measuring uses as plain imports, which the identity of a cell follows",
    "plan": "yield request.cell(NAME, choice, …) for the models that can be measured, the same on every call",
    "rows": "let measure(cell, bench) leave bench.row(metric, value, unit, better), or bench.fail(metric, reason)",
    "conclusions": "let conclude(results) return a list of rows that the results decide",
    "claims": "mend the file where the line says",
    "named": "name plugins, options, suites and metrics that there are: harness plugins, harness suites",
    "checkpoint": "keep what logits depend on in parameters or buffers (register_buffer), and the rest in the config",
}

NEEDS = {                               # line -> those that it says nothing beside where they fail
    "options": ("builds",), "sizing": ("builds",), "contract": ("builds",),
    "determinism": ("contract",), "causality": ("contract", "determinism"),
    "batch independence": ("contract", "determinism"),
    "split law": ("contract", "determinism", "causality"), "beyond the length": ("split law",),
    "train = eval": ("contract", "determinism"), "gradients": ("contract",),
    "live parameters": ("contract", "train = eval", "gradients"),
    "device": ("contract",), "dtype": ("contract",), "state": ("contract",),
    "advance": ("contract", "determinism"),
    "checkpoint": ("contract", "determinism", "gradients"),
    "round trip": ("tokenizer",), "vocabulary": ("tokenizer",), "repeatable": ("tokenizer",),
    "learned table": ("tokenizer", "repeatable"),
    "same text": ("corpus",), "held-out text": ("corpus",), "repeated documents": ("corpus",),
    "fixed": ("corpus", "same text"),
    "rows": ("plan",), "conclusions": ("plan", "rows"), "named": ("claims",),
}


class CheckFailed(Exception):
    """A promise that is not kept; the text says how."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check of one model, or of what brings it. `mend` is empty where nothing is to be done."""

    subject: str
    check: str
    status: Status
    detail: str = ""

    @property
    def mend(self) -> str:
        return MENDS.get(self.check, "") if self.status == "fail" else ""

    @property
    def ok(self) -> bool:
        return self.status in ("ok", "note")
