"""Where the machine code of kernels is kept between runs: in files named after all sources that it was compiled from.

A kernel inlines functions of other files, but numba's own cache watches the kernel's file alone and would run the old
code after an edit of another. Here the name of each file in the cache ends in a digest of the sources, so that code of
other sources is never found, not even by a process that starts while another writes. When new code is saved, the code
of earlier sources is removed.
"""

from __future__ import annotations

import hashlib
import inspect
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba.core.caching import CompileResultCacheImpl, FunctionCache


@cache
def sources_digest(folder: Path) -> str:
    """A digest of the files that kernels in `folder` can inline: all in that folder, and all beside this file."""
    found = hashlib.sha256()
    for place in (Path(__file__).parent, folder):
        for path in sorted(place.glob("*.py")):
            found.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


class _NamedAfterSources(CompileResultCacheImpl):
    def __init__(self, function):
        self.digest = sources_digest(Path(inspect.getfile(function)).parent)
        super().__init__(function)

    def get_filename_base(self, fullname, abiflags):
        self.any_sources = f"{fullname}-*"
        return f"{super().get_filename_base(fullname, abiflags)}-{self.digest}"


class SourceCache(FunctionCache):
    """numba's cache of one kernel, for these sources alone. Raises RuntimeError where no file can be written."""

    _impl_class = _NamedAfterSources

    def save_overload(self, sig, data):
        super().save_overload(sig, data)
        for path in Path(self.cache_path).glob(self._impl.any_sources):
            if path.suffix in (".nbi", ".nbc") and self._impl.digest not in path.name:
                with suppress(OSError):         # another process removed it, or still reads it
                    path.unlink()
