"""A training run on disk: what it trains, and where its weights lie. (no torch)

    runs/NAME/config.toml           everything that rebuilds the model, its tokenizer and its data
    runs/NAME/best.safetensors      the weights with the lowest validation loss
    runs/NAME/last.safetensors      the newest weights, with optimiser and random state: what --resume goes on from
    runs/NAME/tokenizer.json        what its tokenizer has learned from the training text, where it learns
    runs/NAME/log.jsonl             one event a line: intervals, validations, checkpoints, the end

The weights that a run of suites has scored lie in such directories too, without `last.safetensors` and a log.

Nothing here is pickled, so a checkpoint from elsewhere is safe to open. Weights carry the id of their run: a file that
was copied over another is told before it is used. The config knows the digest of the tokenizer's file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .configs import HERE, Configs
from .errors import FileError, PluginError, UsageError
from .options import format_option, make_config
from .selector import Selector
from .specs import ModelSpec, require
from .untrusted import LARGEST_TEXT, Count, Malformed, Name, bounded, held_to, parse_json, parse_toml, read_bounded
from .writing import write_atomically

FORMAT = 1
LARGEST_LEARNED = 8 << 20               # bytes of what a tokenizer has learned
CONFIG, TOKENIZER, LOG, BEST, LAST = (
    "config.toml", "tokenizer.json", "log.jsonl", "best.safetensors", "last.safetensors")
FACTS = ("run_id", "plugin", "tokenizer", "vocab_size", "vocabulary", "corpus_sha256", "code")


@dataclass(frozen=True)
class RunConfig:
    """What config.toml holds. `model` is the model's whole config and `train` the flags of the run."""

    run_id: Name
    plugin: Name
    tokenizer: Name
    vocab_size: Count
    corpus_sha256: str
    code: str = ""                                          # digest of the plugin's source and of foreign components
    model: dict[str, str] = field(default_factory=dict)
    train: dict[str, str | int | float | bool] = field(default_factory=dict)
    vocabulary: str = ""                                    # digest of tokenizer.json, "" without one

    def files(self, learned: Any = None) -> dict[str, str]:
        """What rebuilds the run, by file: what the tokenizer has `learned`, then the config that knows its digest."""
        return {**({} if learned is None else {TOKENIZER: _to_json(learned)}), CONFIG: self.to_toml()}

    def write(self, directory: Path, learned: Any = None) -> None:
        """Write these files. Raises FileError."""
        for name, text in self.files(learned).items():
            write_atomically(directory / name, text)

    def to_toml(self) -> str:
        facts = {"format": FORMAT, **{name: getattr(self, name) for name in FACTS}}
        return to_toml({"": facts, "model": self.model, "train": self.train})


def read_config(directory: Path) -> RunConfig:
    """The config of a run. Raises FileError where there is none, or one that is corrupt or not ours."""
    path = directory / CONFIG
    try:
        return parse_config(read_bounded(path, LARGEST_TEXT), path)
    except FileNotFoundError:
        raise FileError(f"no training run at {directory}; `harness train PLUGIN --out {directory}` makes one") from None


def parse_config(content: bytes, source: Path) -> RunConfig:
    """The config that `RunConfig.to_toml` wrote into `source`. Raises FileError where it is corrupt or not ours."""
    try:
        table = parse_toml(content)
    except Malformed as wrong:
        raise FileError(f"{source} is corrupt: {wrong}") from None
    if table.get("format", 0) != FORMAT:
        raise FileError(f"{source} was not written by this version of the harness: format {table.get('format')!r}")
    try:
        return held_to(table, RunConfig)
    except Malformed as wrong:
        raise FileError(f"{source} is not the config of a training run: {wrong}") from None


def _to_json(learned: Any) -> str:
    return json.dumps(learned, indent=0) + "\n"


def learned_digest(learned: Any) -> str:
    """The digest of the file that keeps what a tokenizer has learned; "" for None, which is not kept."""
    return "" if learned is None else hashlib.sha256(_to_json(learned).encode()).hexdigest()


def read_learned(directory: Path, config: RunConfig) -> Any:
    """What the tokenizer of a run has learned, None for one that learns nothing.

    Raises FileError where its file is missing or is not the one that the run wrote.
    """
    if not config.vocabulary:
        return None
    path = directory / TOKENIZER
    try:
        text = read_bounded(path, LARGEST_LEARNED)
        if hashlib.sha256(text).hexdigest() != config.vocabulary:
            raise FileError(
                f"{path} is corrupt or of another run: it does not have the digest in the {CONFIG} beside it")
        return bounded(parse_json(text, Any))
    except FileNotFoundError:
        raise FileError(f"{path} is missing, and the weights beside it are of no use without; "
                        "copy the whole directory of a run") from None
    except Malformed as wrong:
        raise FileError(f"{path} is corrupt: {wrong}") from None


def trained_spec(models: Mapping[str, ModelSpec], config: RunConfig, name: str) -> ModelSpec:
    """The plugin that a config names. Raises FileError where it is not registered or does not take the config,
    PluginError where it is unavailable."""
    spec = models.get(config.plugin)
    if spec is None:
        raise FileError(f"{name} holds a trained {config.plugin!r}, which is not registered here; "
                        "load its file with -p")
    require(spec)
    trained_values(HERE, spec, config, name)
    return spec


def trained_values(configs: Configs, spec: ModelSpec, config: RunConfig, name: str) -> dict[str, str]:
    """Every option of the model that was trained. Raises FileError where the plugin does not take them."""
    try:
        return configs.values(spec, config.model)
    except UsageError as error:
        raise FileError(f"{name} has a config that {spec.name} does not take: {error}") from None


@dataclass(frozen=True)
class Checkpoint:
    """Weights on disk with the config of their run. `name` is how the command line called them."""

    name: str
    weights: Path
    config: RunConfig

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The header of the weights. Raises FileError where they are corrupt or of another run."""
        require_safetensors()
        from safetensors import SafetensorError, safe_open

        if self.weights.exists() and not self.weights.is_file():
            raise FileError(f"cannot read {self.weights}: it is no regular file")
        try:
            with safe_open(self.weights, framework="numpy") as file:
                metadata = file.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise FileError(f"{self.weights} is corrupt: {' '.join(str(error).split())}") from None
        if metadata.get("run_id") != self.config.run_id:
            raise FileError(f"{self.weights} does not belong to the {CONFIG} beside it")
        return metadata

    @cached_property
    def learned(self) -> Any:
        """What the tokenizer of these weights has learned. Raises FileError."""
        return read_learned(self.weights.parent, self.config)

    @property
    def bytes_seen(self) -> int:
        """Bytes of text that these weights were trained on."""
        return int(self.fact("bytes_seen"))

    def fact(self, name: str) -> float:
        """A number of the header. Raises FileError where it is missing, none, or not finite."""
        try:
            value = float(self.metadata[name])
        except (KeyError, ValueError):
            raise FileError(f"{self.weights} is corrupt: its header has no number {name}") from None
        if math.isnan(value) or (abs(value) > 1 << 62 and name != "best"):
            raise FileError(f"{self.weights} is corrupt: its header has {name} {value}")
        return value

    def hold_to(self, spec: ModelSpec, selector: Selector, configs: Configs = HERE) -> None:
        """Raise UsageError where a selector asks for another plugin or other options than were trained."""
        if spec.name != self.config.plugin:
            raise UsageError(f"{self.name} holds a trained {self.config.plugin}, not {spec.name}")
        asked = configs.spelled(spec, dict(selector.options))
        trained = trained_values(configs, spec, self.config, self.name)
        for key, value in asked.items():
            if trained[key] != value:
                raise UsageError(f"{self.name} was trained with {key}={trained[key]}, not {key}={value}; "
                                 "the options of trained weights are fixed")


def open_checkpoint(name: str) -> Checkpoint:
    """The checkpoint that `name` stands for: a run's directory (its best weights) or a weights file in one.

    Raises FileError where it is missing, corrupt, or not of this harness.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise FileError(f"no checkpoint at {path}; `harness train PLUGIN --out {path}` makes one")
    directory = path if path.is_dir() else path.parent
    config = read_config(directory)
    found = [p for p in (directory / BEST, directory / LAST) if p.exists()] if path.is_dir() else [path]
    if not found:
        raise FileError(f"{directory} holds no weights yet; its training stopped before the first checkpoint")
    checkpoint = Checkpoint(name, found[0], config)
    _ = checkpoint.metadata, checkpoint.learned
    return checkpoint


def require_safetensors() -> None:
    """Raise PluginError where checkpoints can be neither written nor read."""
    if find_spec("safetensors") is None:
        raise PluginError("checkpoints need the package safetensors: pip install safetensors")


def model_options(spec: ModelSpec, config: Any) -> dict[str, str]:
    """A config as the options that rebuild it. Raises UsageError where options cannot express it."""
    from dataclasses import fields

    options = {f.name: format_option(getattr(config, f.name)) for f in fields(config) if f.init}
    try:
        same = make_config(spec, options) == config
    except UsageError as error:
        raise UsageError(f"the config of {spec.name} cannot be kept in a checkpoint: {error}") from None
    if not same:
        raise UsageError(f"the config of {spec.name} cannot be kept in a checkpoint: its options do not rebuild it")
    return options


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML of flat tables of texts, numbers and truth values; the table "" stands first, without a heading."""
    blocks = []
    for name, table in tables.items():
        lines = [f"[{name}]"] if name else []
        # A JSON text is a TOML text, but for DEL, which TOML wants escaped.
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
                  for key, value in table.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"
