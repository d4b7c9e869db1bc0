"""Elements of SVG and HTML as trees: what a name holds is always text there, never markup. (no torch)"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

# What XML 1.0 cannot hold, not even escaped.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Value = str | int | float | None


def clean(text: str) -> str:
    return UNPRINTABLE.sub("�", text)


def element(tag: str, text: str = "", **attributes: Value) -> Element:
    """An element; an attribute of None is left out, `class_` is `class`, `data_x` is `data-x`, floats are rounded."""
    return _fill(Element(tag), text, attributes)


def add(parent: Element, tag: str, text: str = "", **attributes: Value) -> Element:
    """A new last child of `parent`."""
    return _fill(SubElement(parent, tag), text, attributes)


def _fill(made: Element, text: str, attributes: dict[str, Value]) -> Element:
    made.text = clean(text) or None
    for name, value in attributes.items():
        if value is not None:
            shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else clean(str(value))
            made.set(name.rstrip("_").replace("_", "-"), shown)
    return made


def append_text(parent: Element, text: str) -> None:
    """Text after whatever `parent` holds."""
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + clean(text)
    else:
        parent.text = (parent.text or "") + clean(text)


def to_xml(root: Element) -> str:
    return tostring(root, encoding="unicode")


def to_html(root: Element) -> str:
    return tostring(root, encoding="unicode", method="html")
