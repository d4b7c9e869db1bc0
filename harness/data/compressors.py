"""What general compressors reach on held-out text once they have read the training text. (no torch)

They are no rivals: they learn from less than a model may, and know nothing of the text. A score that lies far below
theirs is rarely a better model, so a person is to look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

PRIMED_BYTES = 512 << 10                # of training text, its end: half a second for all of it
ORDER, MEMORY = 8, 32 << 20             # of PPMd


def compressed_bits(train: Sequence[bytes], heldout: Sequence[bytes]) -> dict[str, float]:
    """Bits per byte of the held-out documents behind the end of the training text, by compressor.

    xz (LZMA at its strongest), and PPMd where pyppmd is installed: the size of both texts less that of the first.
    """
    primer, text = _end(train), b"".join(heldout)
    found = {}
    for name, compress in compressors().items():
        found[name] = 8 * (len(compress(primer + text)) - len(compress(primer))) / len(text)
    return found


def compressors() -> dict[str, Callable[[bytes], bytes]]:
    """Those that are installed, by name."""
    import lzma

    found: dict[str, Callable[[bytes], bytes]] = {
        "xz": lambda text: lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)}
    if find_spec("pyppmd"):
        import pyppmd

        found["PPMd"] = lambda text: pyppmd.compress(text, max_order=ORDER, mem_size=MEMORY)
    return found


def _end(documents: Sequence[bytes]) -> bytes:
    """The last PRIMED_BYTES of the documents together, of few that are large without joining them all."""
    parts, length = list[bytes](), 0
    for document in reversed(documents):
        parts.append(document[-(PRIMED_BYTES - length):])
        length += len(parts[-1])
        if length == PRIMED_BYTES:
            break
    return b"".join(reversed(parts))
