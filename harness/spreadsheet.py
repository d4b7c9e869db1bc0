"""A table for a CSV file, in which no text is a formula or a number to whoever opens it. (no torch)"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(table: pandas.DataFrame) -> pandas.DataFrame:
    """A copy in which a text that would be read as a formula or a number has an apostrophe in front, as spreadsheets
    themselves write it (OWASP, CSV injection)."""
    table = table.copy()
    for name in table.columns:
        if table[name].dtype.kind not in "iufb":
            texts = table[name].map(lambda value: isinstance(value, str) and _misread(value), na_action=None)
            table[name] = table[name].where(~texts.astype(bool), "'" + table[name].astype(str))
    return table


def _misread(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.startswith(FORMULA)
    return True
