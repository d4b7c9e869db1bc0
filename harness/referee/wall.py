"""The wall around a model: what of this machine its process can still reach.

On Linux the kernel holds it, by namespaces and Landlock: other processes cannot be seen, there is no network and no
memory in common, the files of Python, of installed packages and of the plugin's own source can be read, and the
process's own empty folder is all that can be written, attributes and times of files included. What a system cannot
enforce is told in words, for the rows of the cell. Landlock has no wrapper that is kept up, and takes three system
calls (landlock(7)).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

SET_ATTRIBUTES, CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 442, 444, 445, 446    # the same on every architecture
BIND, READ_ONLY, RECURSIVE, HERE = 1 << 12 | 1 << 14, 1, 0x8000, -100           # of mount(2) and mount_setattr(2)
CAPABILITIES = 0x20080522                                       # the version of capset(2)
WATCHERS = ("max_inotify_instances", "max_fanotify_groups")     # who is told what others do with files
NO_NEW_PRIVILEGES, DIE_WITH_PARENT = 38, 1                      # of prctl(2)
PATH_BENEATH, VERSION = 1, 1
SCOPED = 0b11                                                   # abstract sockets, signals
NAMESPACES = 0x7C020000                 # of unshare(2): users, processes, names, IPC, network, mounts
ALONE = "other processes of this user can be seen, and the network"
READ = 1 << 0 | 1 << 2 | 1 << 3                                 # execute, read file, read folder
WRITE = 1 << 1 | 1 << 5 | 1 << 8 | 1 << 14                      # write file, remove file, make a regular file, truncate
EVERYTHING = (1 << 15) - 1
OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14                   # what a rule about a file may speak of
# Rights on files, and connections over TCP, that each version of Landlock knows.
FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
DEVICES = ("null", "zero", "full", "random", "urandom", "kfd", "dri")
SYSTEM = (
    "/bin", "/usr/bin", "/usr/include", "/usr/libexec", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib",
    "/usr/local/cuda", "/opt/cuda", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/proc/driver/nvidia")


LINUX = sys.platform.startswith("linux")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def build_wall(source: Iterable[Path], hidden: Sequence[Path], own: Path, writable: Iterable[Path] = ()) -> list[str]:
    """Restrict this process and all that it starts, for good. What could not be enforced, in words; [] for nothing.

    `source` are the files and folders of the plugin, `hidden` what of the libraries must not be read (a corpus),
    `own` the folder that becomes the working directory and home, `writable` further folders.
    """
    os.environ.update(HOME=str(own), TMPDIR=str(own), XDG_CACHE_HOME=str(own))
    os.environ.pop("NUMBA_CACHE_DIR", None)
    tempfile.tempdir = str(own)
    if not LINUX:
        os.chdir(own)
        return [f"{sys.platform} keeps no file and no network from a process"]
    writable = [path.resolve() for path in writable]
    notes = [] if _mounted_read_only([own.resolve(), *writable]) else ["attributes of files can be changed"]
    os.chdir(own)                                       # after it was mounted anew
    places = [*map(Path, SYSTEM), *(Path("/dev") / name for name in DEVICES), *Path("/dev").glob("nvidia*"),
              *libraries(), *source]
    hidden = [path.resolve() for path in hidden]
    readable = [inner for place in dict.fromkeys(place.resolve() for place in places if place.exists())
                for inner in without(place, hidden)]
    if version := _landlock([(path, READ | (1 << 1 | 1 << 15 if path.is_relative_to("/dev") else 0))
                             for path in readable]
                            + [(path, READ | WRITE) for path in writable] + [(own.resolve(), EVERYTHING)]):
        return notes if version >= 6 else [*notes, f"Landlock {version} lets signals through"]
    return [*notes, "this kernel has no Landlock: any file can be read"]


def alone(tell: Callable[[int], object]) -> list[str]:
    """Leave this process behind: its only child, which returns, sees no other process, no network and no memory of
    others, and is the first of its namespaces, so that all that it starts ends with it. What could not be had, in
    words. `tell` is told the process that returns.
    """
    user, group = os.getuid(), os.getgid()
    if _libc().unshare(NAMESPACES):
        tell(os.getpid())
        return [ALONE]
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with contextlib.suppress(OSError):
            Path("/proc/self", name).write_text(text)
    for name in WATCHERS:
        with contextlib.suppress(OSError):
            Path("/proc/sys/user", name).write_text("0")
    child = os.fork()
    if not child:
        die_with_parent()
        return []
    tell(child)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):                          # whoever waits for this process is told the same
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def lock() -> None:
    """From now on no file can be opened at all, by this process or what it starts."""
    if LINUX:
        _landlock([])


def die_with_parent() -> None:
    """On Linux: this process ends when the one that started it does."""
    if LINUX:
        _libc().prctl(DIE_WITH_PARENT, 9, 0, 0, 0)


def libraries() -> list[Path]:
    """The folders of Python itself, of its library and of installed packages."""
    paths = sysconfig.get_paths()
    folders = [Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [Path(entry) for entry in sys.path if "-packages" in entry and Path(entry).is_dir()]
    folders += [Path(sys.executable).parent, Path(sys.executable).resolve().parent, Path(__file__).parent.parent]
    return list(dict.fromkeys(folders))


def without(place: Path, hidden: Sequence[Path]) -> list[Path]:
    """`place`, or what lies in it where something in it is hidden: a rule covers all that is beneath."""
    if place in hidden:
        return []
    if not any(path.is_relative_to(place) for path in hidden):
        return [place]
    return [inner for child in sorted(place.iterdir()) for inner in without(child, hidden)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _mounted_read_only(writable: Sequence[Path]) -> bool:
    """Whether all that is mounted could be made read-only but for some folders, for good: with the privileges of the
    namespace, which are given up."""
    libc = _libc()

    def set_attribute(path: Path, given: int, taken: int, flags: int) -> bool:
        attributes = (ctypes.c_uint64 * 4)(given, taken, 0, 0)
        return not libc.syscall(SET_ATTRIBUTES, HERE, os.fsencode(path), flags, attributes, ctypes.c_size_t(32))

    done = all(not libc.mount(os.fsencode(path), os.fsencode(path), None, ctypes.c_ulong(BIND), None)
               for path in writable)
    done = done and set_attribute(Path("/"), READ_ONLY, 0, RECURSIVE)
    done = done and all(set_attribute(path, 0, READ_ONLY, 0) for path in writable)
    return not libc.capset((ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()) and done


def _landlock(rules: Sequence[tuple[Path, int]]) -> int:
    """Deny access to files but for what lies beneath the paths of `rules`. The version of Landlock, 0 for none."""
    libc = _libc()
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION))
    if version < 1:
        return 0
    handled = FILES[max(known for known in FILES if known <= version)]
    ruleset = _Ruleset(handled, 0b11 if version >= 4 else 0, SCOPED if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    descriptor = libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if descriptor < 0:
        return 0
    try:
        for path, allowed in rules:
            _add_rule(libc, descriptor, path, allowed & handled)
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return 0 if libc.syscall(RESTRICT_SELF, descriptor, ctypes.c_uint32(0)) else int(version)
    finally:
        os.close(descriptor)


def _add_rule(libc: ctypes.CDLL, ruleset: int, path: Path, allowed: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:                                                 # it is gone, or not for us
        return
    try:
        rule = _Beneath(allowed if path.is_dir() else allowed & (OF_FILES | 1 << 15), parent)
        if libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)):
            raise OSError(ctypes.get_errno(), errno.errorcode.get(ctypes.get_errno(), ""), str(path))
    finally:
        os.close(parent)
