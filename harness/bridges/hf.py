"""Trained weights as a folder of transformers: `import harness.bridges.hf` makes its Auto classes know them.

    config.json             the config of the run, and what its tokenizer has learned
    model.safetensors       the weights, under the names of a checkpoint
    generation_config.json  where a text ends

Nothing of the folder is executed: the architecture is that of the plugin, which has to be registered here too. Weights
are put into a model that was built as ours are, not on the meta device, where a table that a model makes would be lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, GenerationMixin, PreTrainedModel
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils import ModelOutput, cached_file

from ..bench.restored import Restored
from ..bench.weights import hold_to_size, model_tensors, read_tensors, restore_model, save
from ..build import build
from ..checkpoint import CONFIG, learned_digest, parse_config, trained_spec
from ..data.faithful import Faithful
from ..data.tokenizers import make_tokenizer
from ..errors import FileError, UsageError
from ..registry import current

FILE = "model.safetensors"
SILENT = ("trust_remote_code", "adapter_kwargs", "low_cpu_mem_usage", "use_safetensors", "weights_only")     # no change
HUB = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token", "_commit_hash")


class ExportedConfig(PreTrainedConfig):
    """`harness` is the text of a run's config.toml, `learned` what its tokenizer has learned, as JSON."""

    model_type = "qllm-harness"

    def __init__(self, harness: str = "", learned: str = "null", vocab_size: int = 0, **kwargs: Any):
        self.harness, self.learned, self.vocab_size = harness, learned, vocab_size
        super().__init__(**{"tie_word_embeddings": False, **kwargs})


class CarriedState:
    """What a model of ours carries after `length` tokens, as transformers hands it on."""

    def __init__(self, state: Any, length: int):
        self.state, self.length = state, length

    def get_seq_length(self, layer: int = 0) -> int:
        return self.length

    def reorder_cache(self, rows: Tensor) -> None:
        """Keep these rows, for a search that drops some."""
        self.state = _rows(self.state, rows)


def _rows(state: Any, rows: Tensor) -> Any:
    if isinstance(state, Tensor):
        return state.index_select(0, rows.to(state.device))
    if isinstance(state, dict):
        return {key: _rows(part, rows) for key, part in state.items()}
    return type(state)(_rows(part, rows) for part in state) if isinstance(state, list | tuple) else state


@dataclass
class Carried(ModelOutput):
    """logits (B, T, V), the state after them, and with labels the loss."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    cache: CarriedState | None = None


class ExportedModel(PreTrainedModel, GenerationMixin):
    """A model of the harness as transformers calls it; `tokenizer` is the one that it was trained with."""

    config_class = ExportedConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    _is_stateful = True                     # a state cannot be cut back, so assisted generation is refused

    def __init__(self, config: ExportedConfig):
        super().__init__(config)
        run = parse_config(config.harness.encode(), Path(config.name_or_path or CONFIG))
        learned = json.loads(config.learned)
        if learned_digest(learned) != run.vocabulary:
            raise FileError(f"{config.name_or_path} lacks what its tokenizer has learned, or holds that of another run")
        registry = current()
        self.spec, self.options = trained_spec(registry.models, run, config.name_or_path or "the config"), run.model
        self.tokenizer = Faithful(make_tokenizer(registry.tokenizer(run.tokenizer)[0], learned))
        if self.tokenizer.vocab_size != run.vocab_size:
            raise FileError(f"the weights were trained with {run.vocab_size} tokens ({run.tokenizer}), the tokenizer "
                            f"here has {self.tokenizer.vocab_size}")
        self.model = build(self.spec, self.options, run.vocab_size, vocabulary=self.tokenizer.pieces).model
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """A plugin initialises its own."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    @classmethod
    def from_pretrained(cls, folder: Any, *_: Any, config: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
        """The model of a folder, or of a repository of a hub, in eval mode. Raises FileError for other weights,
        UsageError for an argument that would change them."""
        hub = {name: kwargs.pop(name) for name in HUB if name in kwargs}
        for name, value in kwargs.items():
            if name not in SILENT and value is not None:
                raise UsageError(f"a model of the harness takes no {name}; move it with .to(…)")
        config = config if isinstance(config, ExportedConfig) else ExportedConfig.from_pretrained(folder, **hub)
        path = Path(cached_file(str(folder), FILE, **hub))
        tensors = read_tensors(path)
        model = cls(config)
        hold_to_size(model.spec, model.options, config.vocab_size, tensors, path)
        restore_model(model.model, tensors, path)
        if dtype not in (None, "auto", "float32", torch.float32):
            raise UsageError(f"a model of the harness is float32, not {dtype}; autocast computes in less")
        return model.eval()

    def save_pretrained(self, folder: Any, **_: Any) -> None:
        """The folder that `from_pretrained` reads."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(folder)
        self.generation_config.save_pretrained(folder)
        save(Path(folder) / FILE, model_tensors(self.model), {"format": "pt"})

    def forward(
        self, input_ids: Tensor, cache: CarriedState | None = None, attention_mask: Tensor | None = None,
        labels: Tensor | None = None, use_cache: bool | None = None, **_: Any,
    ) -> Carried:
        """(B, T) -> logits (B, T, V). Raises UsageError where a mask hides tokens: rows have to be of one length."""
        if attention_mask is not None and not bool(attention_mask.all()):
            raise UsageError("a model of the harness reads every token; give rows of one length, without padding")
        logits, state = self.model(input_ids, cache.state if cache else None)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        length = (cache.length if cache else 0) + input_ids.shape[1]
        return Carried(loss, logits, None if use_cache is False else CarriedState(state, length))

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, cache: CarriedState | None = None, attention_mask: Tensor | None = None,
        use_cache: bool | None = None, **_: Any,
    ) -> dict[str, Any]:
        """What the state has not seen."""
        return {"input_ids": input_ids[:, cache.length:] if cache else input_ids, "cache": cache,
                "attention_mask": attention_mask, "use_cache": use_cache}


AutoConfig.register(ExportedConfig.model_type, ExportedConfig)
AutoModelForCausalLM.register(ExportedConfig, ExportedModel)


def export_hf(restored: Restored, directory: Path) -> str:
    """Write a checkpoint as such a folder. Returns a line that says what there is. Raises FileError."""
    run, bos = restored.checkpoint.config, restored.tokenizer.bos
    config = ExportedConfig(
        run.to_toml(), json.dumps(restored.checkpoint.learned), run.vocab_size, bos_token_id=bos, eos_token_id=bos,
        pad_token_id=bos, dtype="float32")
    exported = ExportedModel(config)
    restore_model(exported.model, model_tensors(restored.model), restored.checkpoint.name)
    exported.generation_config = GenerationConfig.from_model_config(config)
    exported.save_pretrained(directory)
    return f"{restored.spec.name}; `import harness.bridges.hf`, and AutoModelForCausalLM reads it"
