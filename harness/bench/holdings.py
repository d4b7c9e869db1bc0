"""Memory that no peak of this process shows: helpers' memory, files in memory, and an arena from before the call.

What a process held before a call belongs to no peak, so a model could keep a block of memory and work in it. Pages
that were there and are used by the call are counted by the kernel's marks: mappings from before are told from new ones
by a flag that a new mapping does not have, `clear_refs` forgets which pages were used, and what becomes resident within
the old mappings is new. The interpreter uses some pages in any call; a short call of the same kind tells how many.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import Unsupported
from .processor import descendants

DONT_DUMP, DO_DUMP = 16, 17             # advice to madvise: a core dump leaves a mapping out, the flag "dd"
IN_MEMORY = ("/memfd:", "/dev/shm/")    # files whose pages are nothing but memory
PAGE = 1024                             # numbers of four bytes in a page
LEAST, SHARE = 16 << 20, 0.15           # bytes, and of the peak, below which older memory is the interpreter's


@dataclass(frozen=True)
class Beside:
    """Bytes beside what this process itself has resident."""

    helpers: int                        # of processes that it started, the largest that has ended among them
    files: int                          # of files in memory that any of them has open
    mapped: int                         # of such files and other shared memory, what they have resident

    def more_than(self, before: Beside) -> int:
        """What has come on top; files only as far as they are not mapped, and so resident."""
        files = self.files - before.files - max(0, self.mapped - before.mapped)
        return max(0, self.helpers - before.helpers) + max(0, files)


def beside() -> Beside:
    """What there is now; on Linux alone it can be told."""
    processes = descendants()
    held = sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in processes) * 1024
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    found = [file for pid in (os.getpid(), *processes) for file in _files_in_memory(pid)]
    files = {(file.st_dev, file.st_ino): file.st_blocks * 512 for file in found}
    mapped = sum(_kilobytes(f"/proc/{pid}/status", "RssShmem:") for pid in ("self", *processes)) * 1024
    return Beside(held + ended, sum(files.values()), mapped)


def _kilobytes(path: str, field: str) -> int:
    with suppress(OSError):                                 # it has ended, or is a zombie
        return sum(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(field))
    return 0


def _files_in_memory(pid: int) -> Iterator[os.stat_result]:
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            if str(link.readlink()).startswith(IN_MEMORY) and stat.S_ISREG((found := link.stat()).st_mode):
                yield found


def peak_of_all(
    peak: Callable[[Callable[[], object]], int], call: Callable[[], object], short: Callable[[], object],
    held: Sequence[Tensor],
) -> tuple[int, int]:
    """`peak(call)` with what `call` uses of older memory beyond `short`, and the latter by itself, 0 where it is small.

    `held` are tensors from before that count by themselves: both calls are taken to use them.
    """
    peaks = list[int]()

    def used(what: Callable[[], object]) -> int:
        def run() -> None:
            for tensor in held:
                tensor.detach().flatten()[::PAGE].clone()
            peaks.append(peak(what))

        return used_again(run)

    older = used(call) - used(short)
    if older <= max(LEAST, SHARE * peaks[0]):
        older = 0
    return peaks[0] + older, older


def used_again(call: Callable[[], object]) -> int:
    """Bytes of memory from before that `call` uses. Raises Unsupported."""
    if sys.platform != "linux":
        raise Unsupported("what a call uses of older memory is told by Linux alone")
    old = list(_own_mappings())
    _advise(old, DONT_DUMP)
    try:
        resident = _marked()[1]
        Path("/proc/self/clear_refs").write_text("1")
        call()
        used, now = _marked()
    except OSError as error:
        raise Unsupported(f"what a call uses of older memory needs /proc/self/smaps ({error.strerror})") from None
    finally:
        _advise(old, DO_DUMP)
    return max(0, used - max(0, now - resident))


def _own_mappings() -> Iterator[tuple[int, int]]:
    """First and last address of writable memory that is no file's on a disk."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, rights, _, _, inode, *name = line.split(maxsplit=5)
        kind = name[0] if name else ""
        if "w" in rights and not kind.startswith("[v") and (
                inode == "0" or kind.startswith((*IN_MEMORY, "/dev/zero"))):
            first, last = addresses.split("-")
            yield int(first, 16), int(last, 16)


def _advise(mappings: list[tuple[int, int]], advice: int) -> None:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for first, last in mappings:
        madvise(first, last - first, advice)


def _marked() -> tuple[int, int]:
    """Bytes used and bytes resident of the mappings with the flag."""
    used = resident = 0
    sizes: dict[str, int] = {}
    for line in Path("/proc/self/smaps").read_text().splitlines():
        field, _, rest = line.partition(":")
        if field in ("Referenced", "Rss"):
            sizes[field] = int(rest.split()[0]) * 1024
        elif field == "VmFlags" and "dd" in rest.split():
            used, resident = used + sizes["Referenced"], resident + sizes["Rss"]
    return used, resident
