"""Trained weights as a model of lm-evaluation-harness (Gao et al., the package lm_eval 0.4.13).

Notable:
- every text begins with BOS, as in training and in our scores; its own models begin a context without;
- a rolling log-likelihood is read in our windows (harness.data.windows), so that it is our score of the same text;
- a context is read whole, whatever its length, and the state is carried from piece to piece.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from torch import Tensor

from ..bench.generate import PREFILL, Sampling, generate, text_pieces
from ..bench.restored import Restored
from ..data.windows import spans
from ..errors import HarnessError, UsageError, one_line, unknown

Sequences = Sequence[tuple[Sequence[int], int]]     # tokens, BOS first, and the first of them that is scored
TOKENS = 256                                        # of a generated text, where a task sets no limit
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


class TrainedLM(TemplateLM):
    """A checkpoint as lm_eval calls it. `window` and `stride` are those of a rolling log-likelihood, in tokens."""

    def __init__(self, restored: Restored, *, window: int = 0, stride: int = 0, batch_size: int = 16, seed: int = 0):
        super().__init__()
        self.model, self.tokens = restored.model, restored.tokenizer
        self.window, self.stride = window or restored.trained_length, stride
        self.batch_size, self.seed = batch_size, seed
        self._device = next(self.model.parameters()).device

    @property
    def eot_token_id(self) -> int:
        return self.tokens.bos

    @property
    def max_length(self) -> int:
        return self.window

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        tokens: list[int] = self.tokens.encode(string.encode("utf-8", "surrogateescape")).tolist()
        return tokens

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of each continuation after its context: its logarithm, and whether every token of it is the likeliest."""
        return self._loglikelihood_tokens([
            (request.args, *(self._encode_pair(context, rest) if context else ([], self.tok_encode(rest))))
            for request in requests for context, rest in [request.args]])

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any,
    ) -> list[tuple[float, bool]]:
        texts = [([self.tokens.bos, *context, *rest], 1 + len(context)) for _, context, rest in requests]
        return log_likelihoods(self.model, texts, self.tokens.bos, self.batch_size)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Of each text, in the windows of our scores."""
        texts, owners = [], []
        for number, request in enumerate(requests):
            tokens = [self.tokens.bos, *self.tok_encode(*request.args)]
            for span in spans(len(tokens) - 1, self.window, self.stride):
                texts.append((tokens[span.start:span.stop + 1], 1 + span.scored - span.start))
                owners.append(number)
        sums = [0.0] * len(requests)
        found = log_likelihoods(self.model, texts, self.tokens.bos, self.batch_size)
        for number, (value, _) in zip(owners, found, strict=True):
            sums[number] += value
        return sums

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Of each context, what follows, up to the first of the texts in `until`."""
        return [self._continued(request.args, self.seed + number) for number, request in enumerate(requests)]

    def _continued(self, request: tuple[str, Mapping[str, Any]], seed: int) -> str:
        context, asked = request
        kwargs: dict[str, Any] = dict(normalize_gen_kwargs(dict(asked), TOKENS))
        until, limit = [stop for stop in kwargs.pop("until") if stop], kwargs.pop("max_gen_toks")
        kwargs = {"temperature": float(kwargs.pop("do_sample"))} | kwargs       # the likeliest, unless it is to draw
        for name in kwargs.keys() - {*SAMPLING}:
            raise UsageError(f"a task asks for {name}={kwargs[name]!r} in generation; known: {', '.join(SAMPLING)}")
        prompt = [self.tokens.bos, *self.tok_encode(context)]
        drawn = generate(self.model, prompt, limit, Sampling(**kwargs), seed=seed, end=self.tokens.bos)
        return before_any(text_pieces(self.tokens, drawn), until)


def before_any(pieces: Iterator[str], stops: Sequence[str]) -> str:
    """The text of `pieces` before the first of `stops` in it; no piece is drawn beyond."""
    text = ""
    for piece in pieces:
        text += piece
        if found := [at for stop in stops if (at := text.find(stop)) >= 0]:
            return text[:min(found)]
    return text


@torch.inference_mode()
def log_likelihoods(model: Any, texts: Sequences, pad: int, batch_size: int) -> list[tuple[float, bool]]:
    """Of each text from its first scored token on: the sum of log p in nats, of float32 logits in float64, and whether
    every scored token is the likeliest. Longer ones come first in a batch; pads stand at the end, where a causal model
    does not look."""
    device = next(model.parameters()).device
    found: list[tuple[float, bool]] = [(0.0, True)] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i][0]))
    for first in range(0, len(order), batch_size):
        rows = order[first:first + batch_size]
        length = max(2, len(texts[rows[0]][0]))
        tokens = torch.full((len(rows), length), pad)
        scored = torch.zeros(len(rows), length, dtype=torch.bool)
        for row, number in enumerate(rows):
            text, start = texts[number]
            tokens[row, :len(text)] = torch.tensor(text)
            scored[row, start:len(text)] = True
        tokens, scored = tokens.to(device), scored.to(device)
        sums, greedy = _scored(model, tokens, scored)
        for number, value, likeliest in zip(rows, sums.tolist(), greedy.tolist(), strict=True):
            found[number] = (value, likeliest)
    return found


def _scored(model: Any, tokens: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
    """tokens and scored (B, T) -> sums (B,) float64, greedy (B,) bool; read in pieces with the carried state."""
    state: Any = None
    sums = torch.zeros(len(tokens), dtype=torch.float64, device=tokens.device)
    greedy = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
    inputs, targets, counts = tokens[:, :-1], tokens[:, 1:], scored[:, 1:]
    for x, y, counted in zip(*(part.split(PREFILL, dim=1) for part in (inputs, targets, counts)), strict=True):
        logits, state = model(x, state)                                                 # (B, t, V)
        for row, (own, target, kept) in enumerate(zip(logits, y, counted, strict=True)):
            nats = F.cross_entropy(own.float(), target, reduction="none").double()      # (t,)
            sums[row] -= nats[kept].sum()
            greedy[row] &= bool((own.argmax(-1) == target)[kept].all())
    return sums, greedy


@dataclass(frozen=True)
class TaskResult:
    """A number of a task, with its standard error where lm_eval estimates one."""

    task: str
    metric: str
    value: float
    stderr: float | None
    better: str
    samples: int | None

    @classmethod
    def all_of(cls, results: Mapping[str, Any]) -> list[TaskResult]:
        """Every number of what `evaluate` found; one of a further filter is "metric (filter)"."""
        found = []
        for task, own in results["results"].items():
            for key, value in own.items():
                metric, comma, filtered = key.partition(",")
                if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                    continue
                stderr = own.get(f"{metric}_stderr,{filtered}")
                higher = results.get("higher_is_better", {}).get(task, {}).get(metric)
                found.append(cls(
                    task, metric + f" ({filtered})" * (filtered != "none"), float(value),
                    float(stderr) if isinstance(stderr, int | float) else None,
                    "" if higher is None else "higher" if higher else "lower",
                    results.get("n-samples", {}).get(task, {}).get("effective")))
        return found


def load_tasks(names: Sequence[str], include: str | None) -> Any:
    """lm_eval's manager of tasks, which knows all of `names`; a folder's own tasks come first. Raises UsageError."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from lm_eval.tasks import TaskManager

    own = TaskManager(include_path=include, include_defaults=False) if include else None
    if own is not None and {*names} <= {*own.all_tasks}:
        return own
    manager = TaskManager(include_path=include)
    for name in names:
        if name not in manager.all_tasks:
            raise unknown("task", name, manager.all_tasks)
    return manager


def evaluate(model: TrainedLM, names: Sequence[str], manager: Any, **options: Any) -> dict[str, Any]:
    """What lm_eval finds on these tasks. Raises HarnessError where a task does not load or run."""
    from lm_eval import simple_evaluate

    try:
        found: dict[str, Any] = simple_evaluate(
            model, tasks=[*names], task_manager=manager, batch_size=model.batch_size, device=str(model.device),
            random_seed=model.seed, numpy_random_seed=model.seed, torch_random_seed=model.seed,
            fewshot_random_seed=model.seed, **options)
    except HarnessError:
        raise
    except Exception as error:                              # a task's own code, or its data, which may be elsewhere
        raise HarnessError(f"lm_eval cannot run {', '.join(names)}: {one_line(error)}") from error
    return found
