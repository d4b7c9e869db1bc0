"""What models and tokenizers say of their options, as data: whoever plans a run need not import a plugin. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from .options import config_class, format_option, make_config, parse_arguments, parse_options
from .specs import ModelSpec, TokenizerSpec

PROBE = bytes(range(256)) + "The words that a tokenizer cuts, unlike the bytes: naïve 北京 123,456.\n".encode()


class Configs:
    """Those that this process imports."""

    def names(self, spec: ModelSpec) -> list[str]:
        """The options of a model. Raises PluginError where its config cannot be used."""
        return [field.name for field in fields(config_class(spec))]

    def spelled(self, spec: ModelSpec, options: Mapping[str, str]) -> dict[str, str]:
        """`options` with their values written one way. Raises UsageError naming the nearest option, PluginError."""
        values = parse_options(config_class(spec), options, spec.name)
        return {name: format_option(value) for name, value in values.items()}

    def values(self, spec: ModelSpec, options: Mapping[str, str], preset: str = "") -> dict[str, str]:
        """Every option of the config that is made of a preset and `options`. Raises UsageError where the config refuses
        them, PluginError."""
        config = make_config(spec, options, preset)
        return {field.name: format_option(getattr(config, field.name)) for field in fields(config)}

    def learning(self, spec: TokenizerSpec, options: Mapping[str, str]) -> dict[str, str]:
        """The options that a tokenizer learns with, written one way. Raises UsageError naming the nearest."""
        values = parse_arguments(spec.learn, options, f"tokenizer {spec.name}")
        return {name: format_option(value) for name, value in values.items()}

    def table(self, spec: TokenizerSpec) -> str:
        """The ids and bytes of a tokenizer that learns nothing, and how it cuts a text. Raises whatever it does."""
        from .data.tokenizers import make_tokenizer  # it imports NumPy, which a built-in one can do without

        made = make_tokenizer(spec)
        return repr([made.vocab_size, made.token_bytes.tolist(), made.encode(PROBE).tolist()])


HERE = Configs()
