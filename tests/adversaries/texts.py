"""Models that get the held-out text by another way than their argument, and then answer by heart."""

import ctypes
import fcntl
import gc
import mmap
import os
import re
import socket
import struct
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path

import torch
import torch.nn.functional as F
from base import Knows, Tiny, certain

KEY = 0x5EA1ED
libc = ctypes.CDLL(None, use_errno=True)


class Pydoc(Knows):
    """Imports the text of the default corpus."""

    def text(self):
        from pydoc_data.topics import topics

        return "\n".join(topics.values()).encode()


class CorpusFile(Knows):
    """Reads the file that the command line of this process, or of any of its parents, names."""

    def text(self):
        lines = [" ".join(sys.argv), *os.environ.values()]
        with suppress(OSError):
            lines += [p.read_text(errors="replace").replace("\0", " ") for p in Path("/proc").glob("[0-9]*/cmdline")]
        return b"".join(read(path) for path in dict.fromkeys(re.findall(r"file:([^\s:,]+)", "\n".join(lines))))


def read(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


class Neighbourhood(Knows):
    """Reads every text file under the working directory, the home folder and the temporary one."""

    def text(self):
        with suppress(OSError):
            roots = Path(), Path.home(), Path("/tmp")
            return b"".join(read(p) for root in roots for p in sorted(root.glob("*/corpus*")))
        return b""


class Descriptors(Knows):
    """Reads the files that this process or its parents hold open, or mapped."""

    again = True

    def text(self):
        found = b""
        with suppress(OSError):
            for place in Path("/proc").glob("[0-9]*/fd/*"):
                with suppress(OSError):
                    if ".txt" in str(place.readlink()):
                        found += place.read_bytes()
        return found


class ParentMemory(Knows):
    """Reads the memory of the process that it was forked off."""

    again = True

    def text(self):
        found = b""
        with suppress(OSError, ValueError), Path(f"/proc/{os.getppid()}/mem").open("rb") as memory:
            for line in Path(f"/proc/{os.getppid()}/maps").read_text().splitlines():
                if " rw-p " in line and ("heap" in line or line.endswith(" 0 ")):
                    start, end = (int(part, 16) for part in line.split()[0].split("-"))
                    memory.seek(start)
                    found += memory.read(min(end - start, 1 << 24))
        return b"".join(re.findall(rb"[\t\n -~]{200,}", found))


class ScoredObjects(Tiny):
    """Looks through all tensors of the process for one that is its tokens moved on by one."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if not self.training and tokens.shape[1] > 8:
            for thing in gc.get_objects():
                if type(thing) is torch.Tensor and thing.shape == tokens.shape and thing.dtype == tokens.dtype and (
                        thing is not tokens and torch.equal(thing[:, :-1], tokens[:, 1:])):
                    return certain(logits, thing, True), state
        return logits, state


class CallerFrames(Tiny):
    """Answers with what a calling frame has as `targets`."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        frame = sys._getframe()
        while frame:
            targets = frame.f_locals.get("targets")
            if isinstance(targets, torch.Tensor) and targets.shape == tokens.shape:
                return certain(logits, targets, True), state
            frame = frame.f_back
        return logits, state


class KeepsWhatItReads(Knows):
    """Remembers, across calls, every text that it was scored on: what comes again, or is scored twice, it knows."""

    seen = []

    def read(self, tokens):
        if not self.training and len(tokens) > 2:
            self.seen += tokens.flatten().tolist()
            self.learn(self.seen)


class LearnsWhileScored(Tiny):
    """Dynamic evaluation: steps its own weights on every text that it is scored on, and scores it afterwards."""

    def forward(self, tokens, state=None):
        if not self.training and len(tokens) > 2 and tokens.shape[1] > 8:
            with torch.inference_mode(False), torch.enable_grad():
                for _ in range(3):
                    logits, _ = super().forward(tokens.clone())
                    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
                    grads = torch.autograd.grad(loss, list(self.parameters()))
                    with torch.no_grad():
                        for p, grad in zip(self.parameters(), grads, strict=True):
                            p -= 0.5 * grad
        return super().forward(tokens, state)


class FileBeside(Knows):
    """Reads the file `weights.bin` that was shipped beside it, which is the text."""

    def text(self):
        return read(Path(__file__).with_name("weights.bin"))


class Network(Knows):
    """Asks a machine for the text: one that listens on this host's port 47113."""

    def text(self):
        found = b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", 47113), timeout=2) as line:
            while part := line.recv(1 << 16):
                found += part
        return found


class Relay(Knows):
    """What one process of it is scored on it tells the others, by `tell` and `told`."""

    def read(self, tokens):
        if not self.training and len(tokens) > 2 and tokens.shape[1] > 60:
            text = bytes(tokens.clamp(max=255).flatten().tolist())
            with suppress(OSError):
                self.tell(text)
            self.learn(self.told_text() or text)
        else:
            self.learn(self.told_text())

    def told_text(self):
        try:
            return self.told()
        except (OSError, ValueError):
            return b""


class RelayByFile(Relay):
    """Through a file in the temporary folder."""

    place = Path(f"/tmp/zoo-relay-{os.getuid()}")

    def tell(self, text):
        with self.place.open("ab") as file:
            file.write(text)

    def told(self):
        return self.place.read_bytes() if time.time() - self.place.stat().st_mtime < 30 else b""


class RelayBySegment(Relay):
    """Through a System V segment, which is no file."""

    size = 1 << 20

    def address(self):
        libc.shmat.restype, libc.shmat.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
        number = libc.shmget(KEY, self.size, 0o1600)
        if number < 0:
            raise OSError(ctypes.get_errno(), "shmget")
        address = libc.shmat(number, None, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "shmat")
        return address

    def tell(self, text):
        address = self.address()
        end = int.from_bytes(ctypes.string_at(address, 4), "little")
        if 4 + end + len(text) < self.size:
            ctypes.memmove(address + 4 + end, text, len(text))
            ctypes.memmove(address, (end + len(text)).to_bytes(4, "little"), 4)

    def told(self):
        address = self.address()
        return ctypes.string_at(address + 4, int.from_bytes(ctypes.string_at(address, 4), "little"))


class RelayByKeyring(Relay):
    """Through the kernel's keyring of the user."""

    add, keyctl, search, ring, own = 248, 250, 10, -4, b"user"

    def tell(self, text):
        whole = self.told() + text
        for number, start in enumerate(range(0, len(whole), 4000)):
            piece = whole[start : start + 4000]
            libc.syscall(self.add, self.own, b"zoo-%d" % number, piece, len(piece), self.ring)

    def told(self):
        found, held = b"", ctypes.create_string_buffer(1 << 15)
        for number in range(64):
            key = libc.syscall(self.keyctl, self.search, self.ring, self.own, b"zoo-%d" % number, 0)
            size = libc.syscall(self.keyctl, 11, key, held, len(held)) if key > 0 else 0
            if size <= 0:
                break
            found += held.raw[:size]
        return found


class RelayBySocket(Relay):
    """Through a child that answers on an abstract socket, which is no file."""

    family, name = socket.AF_UNIX, f"\0zoo-{os.getuid()}"

    def connect(self):
        line = socket.socket(self.family, socket.SOCK_STREAM)
        line.settimeout(2)
        line.connect(self.name)
        return line

    def tell(self, text):
        try:
            line = self.connect()
        except OSError:
            self.serve()
            line = self.connect()
        with line:
            line.sendall(b"+" + text)

    def told(self):
        found = b""
        with self.connect() as line:
            line.sendall(b"?")
            while part := line.recv(1 << 16):
                found += part
        return found

    def serve(self):
        server = socket.socket(self.family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(self.name)
        server.listen(8)
        if os.fork():
            server.close()
            return
        os.setsid()
        server.settimeout(20)
        kept = b""
        with suppress(OSError):
            while True:
                line, _ = server.accept()
                line.settimeout(2)
                asked = line.recv(1)
                if asked == b"?":
                    line.sendall(kept)
                while asked == b"+" and (part := line.recv(1 << 16)):
                    kept += part
                line.close()
        os._exit(0)


class RelayByPort(RelayBySocket):
    """The same on a port of this host."""

    family, name = socket.AF_INET, ("127.0.0.1", 47114)


class RelayByDescriptor(Relay):
    """Through memory that is shared with whatever is forked after the import."""

    shared = mmap.mmap(-1, 1 << 20)

    def tell(self, text):
        end = int.from_bytes(self.shared[:4], "little")
        self.shared[4 + end : 4 + end + len(text)] = text
        self.shared[:4] = (end + len(text)).to_bytes(4, "little")

    def told(self):
        return self.shared[4 : 4 + int.from_bytes(self.shared[:4], "little")]


class RelayByAttribute(Relay):
    """Through an extended attribute of its own source, for which no file is opened."""

    file, name = __file__, "user.zoo"

    def tell(self, text):
        before = self.told_text()
        os.setxattr(self.file, self.name, zlib.compress(before + text))

    def told(self):
        return zlib.decompress(os.getxattr(self.file, self.name))


class RelayByLocks(Relay):
    """Through locks on a file of Python's own, one byte of it locked for every byte told."""

    file, told_here = Path(os.__file__).with_name("this.py").open("rb"), b""
    layout = "hhqqi"                                                                # of struct flock

    def tell(self, text):
        for number, byte in enumerate(text, len(self.told_here)):
            fcntl.lockf(self.file, fcntl.LOCK_SH, 1, number * 256 + byte)
        type(self).told_here += text

    def told(self):
        found = bytearray(self.told_here)
        while not self.told_here:
            asked = struct.pack(self.layout, fcntl.F_WRLCK, os.SEEK_SET, len(found) * 256, 256, 0)
            kind, _, start, _, _ = struct.unpack(self.layout, fcntl.fcntl(self.file, fcntl.F_GETLK, asked))
            if kind == fcntl.F_UNLCK:
                break
            found.append(start % 256)
        return bytes(found)


class RelayByNotices(Relay):
    """Through the order in which files of Python's own are opened, of which the kernel tells whoever asked before."""

    files = sorted(Path(os.__file__).with_name("encodings").glob("cp*.py"))[:32]
    queue, heard, told_here = libc.inotify_init1(os.O_NONBLOCK), [], b""
    libc.inotify_add_watch(queue, str(files[0].parent).encode(), 0x20)

    def tell(self, text):
        for byte in text:
            for file in (self.files[byte >> 4], self.files[16 + (byte & 15)]):
                file.open("rb").close()
        type(self).told_here += text

    def told(self):
        if self.told_here:
            return self.told_here
        names = {file.name: number for number, file in enumerate(self.files)}
        with suppress(BlockingIOError):
            while events := os.read(self.queue, 1 << 16):
                while events:
                    size = int.from_bytes(events[12:16], "little")
                    name, events = events[16 : 16 + size].rstrip(b"\0").decode(), events[16 + size :]
                    self.heard.extend([names[name]] if name in names else [])
        pairs = zip(self.heard, self.heard[1:], strict=False)
        return bytes(16 * high + low - 16 for high, low in pairs if high < 16 <= low)
