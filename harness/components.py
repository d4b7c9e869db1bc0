"""Components of a model by name: what plugins bring for its places, in the registry that was loaded last. (no torch)

A model's config asks `find`, so that an unknown name is told before anything runs; its constructor asks `load`. Workers
load the plugin files of their run, so names mean the same there.
"""

from __future__ import annotations

from typing import Any

from . import registry
from .errors import PluginError, one_line
from .specs import ComponentSpec, resolve


def find(model: str, place: str, name: str) -> ComponentSpec:
    """The component of that name. Raises UsageError or PluginError where there is none, with the nearest there is."""
    return registry.current().component(model, place, name)


def load(model: str, place: str, name: str) -> Any:
    """What its target names, imported. Raises as `find` does, and PluginError where it cannot be imported."""
    spec = find(model, place, name)
    try:
        return resolve(spec.target)
    except Exception as error:
        raise PluginError(f"{place} {name!r} of {model} cannot be used: {spec.target}: {one_line(error)}") from error
