"""The face of the workbench: what a suite's `measure(cell, bench)` may ask of the worker that it runs in. (no torch)

The worker hands in the one implementation, `harness.bench.workbench`; a suite takes this class for its annotations.
B is a batch size, T a length in tokens, V a vocabulary size. Whatever a method raises ends the cell with a row that
tells why; rows that were added before are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from .specs import KernelCase
from .store import Row

if TYPE_CHECKING:
    from torch import Tensor

    from .audit.findings import AuditReport
    from .bench.breakdown import Part
    from .bench.coordinates import Coordinates
    from .bench.exercises import Exercises
    from .bench.largest import Largest
    from .bench.limits import Flops, Phase
    from .bench.operators import Operators
    from .bench.recall import Recall
    from .bench.rounds import Check
    from .bench.score import Score
    from .bench.search import Trial
    from .bench.state_probes import Forward
    from .bench.train import Batch, TrainResult, TrainStep
    from .checkpoint import Checkpoint
    from .data.documents import Documents
    from .data.tokenizers import Tokenizer
    from .model import LanguageModel, ParameterCount
    from .referee.seal import Sealed


class Workbench(Protocol):
    """The tools for one cell, and the rows and raw measurements that grow while it is measured.

    `rows` become lines of the result tables, `raw` is kept beside them and must be JSON. `limits` are what this machine
    can do at most: `copy_bytes_per_s`, `gemm_float32_flops_per_s` and `gemm_bfloat16_flops_per_s`; empty where they
    could not be measured, or the suite declares none. `progress(text)` shows a text beside the cell's name.

    `with bench.turn():` waits until no other member of the cell's timing group is at work. Whatever costs time in a
    grouped cell belongs inside, but `time` does it by itself. In a cell without a group it waits for nobody.
    """

    rows: list[Row]
    raw: dict[str, Any]
    limits: dict[str, float]
    turn: Callable[[], AbstractContextManager[Any]]
    progress: Callable[[str], None]

    # Rows

    def row(self, metric: str, value: float | None, unit: str = "", better: str = "", **fields: Any) -> None:
        """Add a row of this cell.

        `better` is "higher", "lower" or "". `fields` are further columns of `harness.Row`; what the cell fixes, such as
        plugin, corpus and device, is filled in. A NaN becomes a row of status "error". Raises TypeError for a column
        that there is not.
        """
        ...

    def fail(self, metric: str, reason: str, status: str = "error", **fields: Any) -> None:
        """Add a row without a number that says why there is none."""
        ...

    def need(self, key: str) -> Any:
        """The raw value `key` of a cell in `cell.needs`. Raises HarnessError where that cell failed."""
        ...

    # The model

    @property
    def tokenizer(self) -> Tokenizer:
        """The cell's tokenizer.

        One that learns has learned from the checkpoint's text, else from the cell's corpus, else from the default one.
        """
        ...

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The trained weights that the cell is about, None where it builds fresh ones. Raises FileError."""
        ...

    def choose(self, choice: str, note: str = "") -> None:
        """Give the cell's model further options, `KEY=VALUE:KEY=VALUE`; before it is built. Later rows tell the
        note."""
        ...

    def build(self, seed: int | None = None, choice: str = "") -> LanguageModel:
        """A fresh model on the cell's device, or the cell's checkpoint; its size is solved for anew for each choice.

        `seed` is the cell's own where none is given, `choice` further options. The first call notes the number of
        parameters for later rows.
        """
        ...

    def count(self) -> ParameterCount:
        """The parameters of the cell's model, which is not built."""
        ...

    def flops(self, model: LanguageModel, batch: int, seq_len: int, phase: Phase) -> Flops:
        """Floating-point operations of one call: stated by the model, else estimated from its parameters.

        Later rows tell where less than half, or more than twice, of what PyTorch counts is stated for a training step
        or a prompt.
        """
        ...

    def kernels(self) -> list[KernelCase]:
        """The kernel cases of the plugin, [] where it names none."""
        ...

    def circuits(self) -> Any:
        """What the plugin's `circuits` function makes of the cell's options. Raises Unsupported where it has none."""
        ...

    def diagnostics(self, model: LanguageModel) -> dict[str, float]:
        """The model's interpretability numbers after one text of the corpus."""
        ...

    # Data

    @property
    def documents(self) -> Documents:
        """The cell's corpus. The first use notes its digest for later rows. Raises FileError, UsageError."""
        ...

    def heldout(self, max_bytes: int) -> list[bytes]:
        """The held-out documents, cut to a common length where they exceed `max_bytes` together."""
        ...

    def batch(self, number: int | None = None) -> tuple[Tensor, Tensor]:
        """One training batch of the corpus: inputs and targets, (B, T) int64 each, on the cell's device.

        The first that training would see, or windows from anywhere in the text, drawn by `number`.
        """
        ...

    def tokens(self, batch: int, seq_len: int, seed: int = 0) -> Tensor:
        """Random tokens for timing, (batch, seq_len) int64 on the cell's device."""
        ...

    # Quality

    def search(
        self, grid: Sequence[float], trials: int, budget_bytes: int, choices: Sequence[str] = ("",),
        stream: Callable[[int], Iterable[Batch]] | None = None,
        train: Callable[[LanguageModel, float, int], TrainResult] | None = None,
    ) -> list[Trial]:
        """Train fresh models on `budget_bytes`, so many `trials` of learning rates, choices of options and seeds.

        `grid` are rates an octave apart, from which the search goes on; `choices` are further options. What they found,
        `harness.tuning` works out. `stream(seed)` gives batches (inputs (B, T), targets (B, T), bytes); the default is
        the cell's corpus. `train(model, lr, seed)` stands in for the method of that name.
        """
        ...

    def train(
        self, model: LanguageModel, lr: float, budget_bytes: int, heldout: Sequence[bytes] = (),
        stream: Callable[[int], Iterable[Batch]] | None = None, seed: int | None = None,
    ) -> TrainResult:
        """Train on the cell's corpus, or on `stream(seed)`, until `budget_bytes` are seen. A run that diverges says so
        in its result and raises nothing. `seed` of the text is the cell's own where none is given.

        `heldout` is scored a few times on the way for a learning curve; nothing is decided by it.
        """
        ...

    def train_branch(
        self, model: LanguageModel, lr: float, budget_bytes: int, *, warmup_bytes: int, cooling: float, trunk: str = "",
        seed: int | None = None,
    ) -> TrainResult:
        """Train to `budget_bytes` on the cell's corpus, the rate constant after its rise over `warmup_bytes`, falling
        over the share `cooling` at the end.

        Cells that name one `trunk` share all but the fall: each goes on from where another's branch left it. A cell
        that was interrupted goes on from where it was. Without a name nothing is kept. `seed` is the cell's own where
        none is given.
        """
        ...

    def coordinates(self, model: LanguageModel, lr: float, steps: int) -> Coordinates:
        """How large activations and updates are after so many steps on the cell's corpus, at one rate. Not in a sealed
        suite. Raises Unsupported for a model without a width."""
        ...

    def audit(
        self, model: LanguageModel, lengths: Sequence[int], *, jitter: float = 0.0, text: bool = True,
        sample: Tensor | None = None,
    ) -> AuditReport:
        """Audit these very weights in float32 at these lengths, on random tokens and on real ones.

        The real ones are `sample` (N,) int64, or the corpus where the cell has one and `text` is true. `jitter` is the
        size of the noise on the weights during the audit. Later rows mention rounding that the model amplifies.
        """
        ...

    def score(
        self, model: LanguageModel, documents: Sequence[bytes], window: int = 0, further: bool = False,
    ) -> Score:
        """Score text in float32, every token once, in windows of the cell's length, or of `window` tokens.

        What `seal` asks about begins anew, unless this is a `further` scoring of the same model.
        """
        ...

    def breakdown(self, score: Score, documents: Sequence[bytes] = ()) -> list[Part]:
        """Where the bits of a score went: by place in the window and, with the documents that were scored, by how
        frequent a word is in the cell's training text and by whether a 13-gram stands there.

        Each of the three parts the whole score, and its sums add up to it.
        """
        ...

    def seal(self, model: LanguageModel) -> Sealed:
        """Ask fresh processes for what the model said in the last `score` and further ones, or since `inference`, at
        places drawn in secret and without their future. Rows tell how many came again, and how long it took. The model
        is gone then.

        Only in a sealed suite: raises Unsupported elsewhere.
        """
        ...

    def compressed_bits(self, documents: Sequence[bytes]) -> dict[str, float]:
        """Bits per byte of general compressors that have read the end of the training text, by name."""
        ...

    def keep(self, model: LanguageModel, bytes_seen: int) -> int:
        """Hand over the weights that were scored, which are stored beside the cell unless they came from there.

        Returns the bytes that the score takes: weights, compressed, and source. Raises Unsupported for weights that no
        file can hold.
        """
        ...

    def oracle_bits(self, documents: Sequence[bytes]) -> list[float]:
        """Bits of each document for whoever knows the corpus's source and sees the bytes that a window's tokens stand
        for. Raises HarnessError where the source is not known."""
        ...

    @property
    def recall(self) -> Recall:
        """The recall tasks and memory probes at the cell's length."""
        ...

    def exercises(self, task: str, size: str, length: int = 0) -> Exercises:
        """A synthetic task in one of its sizes, or at another length; the cell's tokenizer holds its tokens. Raises
        UsageError."""
        ...

    def train_readout(
        self, model: LanguageModel, lr: float, budget_bytes: int, stream: Callable[[int], Iterable[Batch]],
        seed: int | None = None,
    ) -> TrainResult:
        """Train a model together with a readout that tells every token of a text from the hidden state at its last
        place. Only in a sealed suite: raises Unsupported elsewhere, and for a model without hidden states."""
        ...

    def readout(self, model: LanguageModel) -> Forward:
        """What a trained readout says: `forward(tokens (B, T), None) -> (logits (B, T, V), state)`. What `seal` asks
        about is the hidden states behind it."""
        ...

    # Time and memory

    def train_step(self, model: LanguageModel) -> TrainStep:
        """A training step, called with inputs and targets, (B, T) each. Raises Unsupported without parameters."""
        ...

    def bare_step(self, model: LanguageModel) -> Callable[[Tensor, Tensor], Tensor]:
        """The same step as a bare PyTorch loop writes it, to measure the harness's own against."""
        ...

    def inference(self, model: LanguageModel) -> Forward:
        """The model's forward as generation runs it: eval mode, no graph, the cell's precision.

        `forward(tokens (B, T), state) -> (logits (B, T, V), state)`, the state None at the start of a text.
        """
        ...

    def continuation(self, model: LanguageModel, state: Any) -> tuple[Forward, Callable[[], Any]]:
        """How generation goes on from a state, each state being used once: the model's `advance`, run as `inference`
        runs its forward, and what gives the state to begin with, a copy of it where the model writes into it.
        """
        ...

    def time(
        self, call: Callable[..., object], rounds: int = 0, *, inputs: Callable[[int], Any] | None = None,
        check: Check | None = None,
    ) -> list[float]:
        """Seconds per call, one value a round, in turns with the other members of the timing group.

        `rounds` is the cell's own where it is 0. Every call is given `inputs(number)`, drawn before the clock starts,
        with a number that no other call had and that all members of the group share: `call(x)`; without `inputs` it is
        `call()`. `check` looks at some outputs afterwards. Raises AuditFailed where one is not what it should be, or
        where more than the run's threads worked on the rounds or went on between them.
        """
        ...

    def inference_check(self, model: LanguageModel, prefix: Tensor | None = None) -> Check:
        """For `time`: calls of tokens (B, T), behind `prefix` (B, P) where there is one, return the model's logits.

        They may be one tensor (B, T, V) or a list of T tensors (B, 1, V).
        """
        ...

    def vouch(self, model: LanguageModel) -> None:
        """Audit the model at a short length and write into every row of the cell whether it passed, with the reason.

        After what is timed or weighed, so that the audit pays for none of it. Raises nothing where it fails.
        """
        ...

    def training_check(self, step: TrainStep) -> Check:
        """For `time`: calls of inputs and targets, as a pair, are one step each."""
        ...

    def check_step(self, step: TrainStep, inputs: Tensor, targets: Tensor) -> None:
        """One step of inputs and targets, (B, T) each, looked at as `training_check` looks at timed ones. Raises
        AuditFailed."""
        ...

    def time_cases(
        self, cases: dict[str, Callable[[], object]], rounds: int = 0, limit: float = math.inf,
    ) -> dict[str, list[float]]:
        """Seconds per call of several cases in this process, one value a round each, in an order drawn anew each round.

        After `limit` seconds no further round begins, though a few are done in any case.
        """
        ...

    def graphed(self, call: Callable[[], object]) -> Callable[[], object]:
        """The call as a CUDA graph, whose kernels are launched at once. Raises Unsupported where there is no CUDA, or
        where the call cannot be captured; its `status` is "oom" where the graph finds no memory."""
        ...

    def profile(self, call: Callable[[], object]) -> Operators:
        """The operators of one call, with their own times."""
        ...

    def peak_memory(
        self, call: Callable[[], object], short: Callable[[], object] | None = None, held: Iterable[Tensor] = (),
    ) -> dict[str, int]:
        """Peak bytes of a call over what was held before, by method; the device's headline method comes first.

        What the call's child processes hold more than before counts as well. With a `short` call of the same kind, so
        does, on a CPU, what the call uses of memory that was held before and the short one does not; the tensors `held`
        are left out. Raises Unsupported where the system does not tell.
        """
        ...

    def largest_length(
        self, call: Callable[[int], object], first: int, most: int, *, share: float = 1 / 32, step: int = 1,
        limit: float = math.inf,
    ) -> Largest:
        """The largest multiple of `step` between `first` and `most` for which `call(length)` finds memory, to within a
        `share` of itself: doubled until it does not, then bisected. No try begins after `limit` seconds; what was found
        by then is a lower bound, `out_of_time`.

        For a GPU, whose allocator says when there is none left; on a CPU the system may end the worker instead. What
        else the call raises is raised. Raises ValueError for no such lengths.
        """
        ...

    def peak_name(self, what: str, method: str) -> str:
        """The metric of a peak: `peak_bytes` for the headline method, `peak_reserved_bytes` and the like for others."""
        ...

    def tensor_bytes(self, tensors: Iterable[Tensor]) -> int:
        """Bytes of the distinct tensors."""
        ...

    def optimizer_bytes(self, step: TrainStep) -> int:
        """Bytes of the tensors that the optimiser of a step keeps."""
        ...

    def state_bytes(self, state: Any) -> int:
        """Bytes that a model's state takes when it is written down.

        Raises AuditFailed for a state that is no nest of plain tensors and numbers.
        """
        ...

    def held_bytes(self, state: Any) -> int:
        """Bytes of memory that a state keeps alive while decoding goes on: whole blocks, spare room included, of any
        object that `advance` returns."""
        ...

    def release_memory(self) -> None:
        """Give back to the system what is free."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has finished what it was given."""
        ...
