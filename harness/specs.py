"""Cheap descriptions of what can be run. A hook returns these without importing torch or a simulator.

Whatever is heavy is named by a string "module:attribute" and imported in the worker only.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

from .errors import PluginError, UsageError
from .selector import options_in

FAMILIES = ("classical", "phase", "quantum", "brain")
PUBLISHED = "as_published"              # the option of plugins whose published form is another than theirs
MOST_TUNABLE = 3                        # sets of options beside the defaults: a search has few trials


@dataclass(frozen=True)
class ModelSpec:
    """A model plugin.

    `target` names a `LanguageModel` subclass; `config` a frozen dataclass whose fields are the options a user may set
    and whose optional `PRESETS` (name -> field values) are the published sizes. Sizes are solved for in its field `dim`
    or `width`, in multiples of its `width_step` (an attribute or property: the heads, say; 1 without one), and in its
    field `hidden`, in multiples of `hidden_step`. `kernels` names a function that returns
    the plugin's kernel cases for `--suite kernels`, `circuits` one that takes a config and returns the circuits for
    `--suite circuit`. `places` names the parts of the model that components may take.
    `requires` are importable names, whose versions take part in a cell's identity; `extra` is the extra that brings
    them. `tunable` are up to 3 sets of options, `KEY=VALUE:KEY=VALUE`, that a search tries beside the defaults, with no
    more trials than a plugin without any has. `baseline` marks what others are compared with: its timings are taken
    twice, as the A/A control. `weights` names a function `(folder) -> ForeignWeights` for `harness convert`.

    Raises PluginError for a name that no command line could select, a target that is not "module:attribute", or
    `tunable` that is no such sets.
    """

    name: str
    target: str
    config: str
    family: str
    summary: str
    source: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    baseline: bool = False
    kernels: str = ""
    circuits: str = ""
    places: tuple[str, ...] = ()
    tunable: tuple[str, ...] = ()
    weights: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.+-]*", self.name):
            raise PluginError(f"{self.name!r} is no name for a model: letters, digits and _ . + - are")
        for target in filter(None, (self.target, self.config, self.kernels, self.circuits, self.weights)):
            if not all(target.partition(":")):
                raise PluginError(f"{self.name}: {target!r} is not \"module:attribute\"")
        if self.family not in FAMILIES:
            raise PluginError(f"{self.name}: its family must be {', '.join(FAMILIES)}, not {self.family!r}")
        if len(self.tunable) > MOST_TUNABLE or not all(self.tunable):
            raise PluginError(f"{self.name}: tunable is at most {MOST_TUNABLE} sets of options, none of them empty")
        try:
            for text in self.tunable:
                options_in(text)
        except UsageError as error:
            raise PluginError(f"{self.name}: tunable: {error}") from None


@dataclass(frozen=True)
class ComponentSpec:
    """A part that a model can be built with, selected by name in the model's own options.

    `model` names a registered model, `place` one of its places, `target` what the model calls with its config there.
    Raises PluginError for a name that no option could select, or a target that is not "module:attribute".
    """

    model: str
    place: str
    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name) or self.name == "none":
            raise PluginError(f"{self.name!r} is no name for a component: letters, digits and _ . - are, but not none")
        if not all(self.target.partition(":")):
            raise PluginError(f"{self.name}: {self.target!r} is not \"module:attribute\"")

    @property
    def key(self) -> tuple[str, str, str]:
        return self.model, self.place, self.name


@dataclass(frozen=True)
class CorpusSpec:
    """A corpus. `target` names a function `(argument, **options) -> harness.data.corpora.Documents`.

    `argument` is what follows the first colon of a selector (`file:PATH`), "" if the corpus takes none. One that is
    called PATH must exist before anything runs, and what it holds takes part in the hash of a cell. `fixed`: the source
    and the options decide the text, nothing else is read; else it is loaded to be hashed before a run.
    """

    name: str
    target: str
    summary: str
    argument: str = ""
    requires: tuple[str, ...] = ()
    extra: str = ""
    fixed: bool = False

    def check(self, argument: str) -> None:
        """Raise UsageError where the argument of a selector is missing, or is given and there is none."""
        if self.argument and not argument:
            raise UsageError(f"corpus {self.name!r} needs {self.argument}: write {self.name}:{self.argument}")
        if argument and not self.argument:
            raise UsageError(f"corpus {self.name!r} takes no argument, got {argument!r}")


@dataclass(frozen=True)
class TokenizerSpec:
    """A tokenizer. `target` names a function without arguments that returns a `harness.data.tokenizers.Tokenizer`.

    A trained one also names `learn`, a function `(documents, **options)` of training text, whose options a selector
    sets (`NAME:KEY=VALUE`). `target` is called with what it returns, plain JSON, which a checkpoint keeps.
    `vocab_size` is its number of ids, where that is known without making it. `fixed`: the source decides its table, no
    file is read; else it is made once before a run, to be hashed.
    """

    name: str
    target: str
    summary: str
    requires: tuple[str, ...] = ()
    extra: str = ""
    learn: str = ""
    vocab_size: int = 0
    fixed: bool = False


@dataclass(frozen=True)
class EncodingSpec:
    """A code for weight matrices, for `gguf-import --into NAME`.

    `target` names a function `(matrix (m, n), factors, bits) -> EncodedMatrix` in float64; the factors are the leading
    singular triples u (m, r), s (r,) and vt (r, n), and `bits` is the size of a stored number.
    """

    name: str
    target: str
    summary: str
    stores: str = "numbers"             # what they are, as a heading
    requires: tuple[str, ...] = ()
    extra: str = ""


@dataclass(frozen=True)
class EncodedMatrix:
    """What a code makes of a matrix: the array (m, n) that is read back, how many numbers and bits it stores, the
    process fidelity of its orthogonal factors, and further facts by name."""

    matrix: Any
    numbers: int
    stored_bits: int
    fidelity: float
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ForeignWeights:
    """Trained weights of elsewhere: the options that rebuild their `model`, which holds them, the registered tokenizer
    that they were trained with and what that has learned, and the tokens that a window of theirs takes."""

    options: Mapping[str, str]
    model: Any
    tokenizer: str
    learned: Any
    seq_len: int


@dataclass(frozen=True)
class KernelCase:
    """One implementation of a plugin's inner loop, for `--suite kernels`.

    `run()` does it once. `role` is "reference" (the published form), "implementation", "baseline" (what one would run
    in its place, such as standard attention), or "floor" (the least memory traffic: `bytes_moved` at copy speed);
    cases of one `group` do the same work, or stand for it, and are compared. One with a `reason` is not run, and that
    is its row.
    """

    name: str
    run: Callable[[], object]
    role: str
    group: str = ""
    bytes_moved: int = 0
    flops: int = 0
    reason: str = ""


Spec = ModelSpec | CorpusSpec | TokenizerSpec | EncodingSpec


def resolve(target: str) -> Any:
    """Import "module:attribute". Raises ImportError, AttributeError, or whatever the module raises."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def missing(spec: Spec) -> str:
    """Why `spec` is unavailable here, or ""."""
    absent = [name for name in spec.requires if not importable(name)]
    if not absent:
        return ""
    mend = f"pip install 'qllm-harness[{spec.extra}]'" if spec.extra else "pip install " + " ".join(absent)
    return f"{spec.name} needs {', '.join(absent)}: {mend}"


def importable(name: str) -> bool:
    """Whether there is such a module. Nothing is imported on the way to it: its package is no business of a list."""
    top, *below = name.split(".")
    found = find_spec(top)
    for part in below:
        if found is None:
            return False
        top = f"{top}.{part}"
        found = PathFinder.find_spec(top, found.submodule_search_locations or [])
    return found is not None


def require(spec: Spec) -> None:
    """Raise PluginError where a dependency of `spec` is missing."""
    if reason := missing(spec):
        raise PluginError(reason)
