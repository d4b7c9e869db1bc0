"""`harness convert`: trained weights of elsewhere as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .options import PluginFiles, load_registry


def convert(
    weights: Annotated[str, typer.Argument(help="A plugin with the folder of its weights, PLUGIN:path=DIR.",
        metavar="WEIGHTS")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of the checkpoint.", metavar="PATH")],
    plugin_file: PluginFiles = None,
) -> None:
    """Make a checkpoint of weights that were trained elsewhere, with the tokenizer that lies beside them.

    Only safetensors are read, nothing is executed. Exit code 4 where the folder holds something else.

    Example: harness convert transformers:path=gpt2 --out runs/gpt2
    """
    from ..selector import parse_selector
    from ..specs import require

    selector, registry = parse_selector(weights), load_registry(plugin_file)
    spec, options = registry.model(selector), dict(selector.options)
    path = options.pop("path", "")
    if not path or options or selector.checkpoint:
        raise UsageError(f"write {spec.name}:path=DIR, the folder of the weights and nothing else; got {weights!r}")
    if not spec.weights:
        raise UsageError(f"{spec.name} reads no weights of elsewhere; harness train makes some")
    require(spec)
    from ..bridges.foreign import keep_foreign, read_foreign

    config = keep_foreign(registry, spec, read_foreign(spec, Path(path).expanduser()), out)
    print(f"{out}: {config.vocab_size} tokens, windows of {config.train['seq_len']}; "
          f"select it as {spec.name}@{out} with --tokenizer {config.tokenizer}")
