"""Where the machine code of kernels is kept between runs: in files named after all sources that it was compiled from.

A kernel inlines functions of other files, but numba's own cache watches the kernel's file alone and would run the old
code after an edit of another. Here the name of each file in the cache ends in a digest of the sources, so that code of
other sources is never found, not even by a process that starts while another writes. When new code is saved, the code
of earlier sources is removed.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
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


class BesideSource:
    """Machine code in the `__pycache__` beside the source: kept there where it is writable, read where it is not."""

    def __init__(self, function, file):
        self.folder, self.line = Path(file).parent / "__pycache__", function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function, file):
        found = cls(function, file)
        with suppress(OSError):
            found.ensure_cache_path()
            return found
        return found if any(found.folder.glob("*.nbi")) else None

    def ensure_cache_path(self):
        self.folder.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=self.folder).close()

    def get_cache_path(self):
        return str(self.folder)

    def get_source_stamp(self):
        return ""                       # the digest in the name says it all

    def get_disambiguator(self):
        return str(self.line)


class _NamedAfterSources(CompileResultCacheImpl):
    def __init__(self, function):
        if not os.environ.get("NUMBA_CACHE_DIR"):
            self._locator_classes = [BesideSource, *self._locator_classes]
        self.digest = sources_digest(Path(inspect.getfile(function)).parent)
        super().__init__(function)

    def get_filename_base(self, fullname, abiflags):
        self.any_sources = f"{fullname}-*"
        return f"{super().get_filename_base(fullname, abiflags)}-{self.digest}"


class SourceCache(FunctionCache):
    """numba's cache of one kernel, for these sources alone. Raises RuntimeError where no file could be kept."""

    _impl_class = _NamedAfterSources

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError:                         # it can only be read
            return
        for path in Path(self.cache_path).glob(self._impl.any_sources):
            if path.suffix in (".nbi", ".nbc") and self._impl.digest not in path.name:
                with suppress(OSError):         # another process removed it, or still reads it
                    path.unlink()
