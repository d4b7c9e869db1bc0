"""What the configs of models say of options, as data: whoever plans a run need not import a plugin. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from .options import config_class, format_option, make_config, parse_options
from .specs import ModelSpec


class Configs:
    """The configs that this process imports."""

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


HERE = Configs()
