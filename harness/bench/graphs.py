"""A call as a CUDA graph: its kernels are launched at once, so that a clock sees the device and not the launches."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..errors import OutOfMemory, Unsupported

WARM = 3                                # calls before the capture: what compiles, tunes or allocates does it there


def graphed(call: Callable[[], object]) -> Callable[[], object]:
    """A call that replays what `call` did on the device, on the same memory. Raises Unsupported where there is no CUDA,
    or where the call cannot be captured: it waits for the device, or allocates outside of torch. Raises OutOfMemory
    where the graph finds no memory of its own."""
    if not torch.cuda.is_available():
        raise Unsupported("a CUDA graph needs a CUDA device")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            kept = call()                               # its memory is the graph's, as long as somebody holds it
    except RuntimeError as error:
        torch.cuda.synchronize()
        if lack := _lack_of_memory(error):
            raise OutOfMemory(f"capturing a CUDA graph: {str(lack).splitlines()[0]}") from None
        raise Unsupported(f"this call cannot be captured as a CUDA graph: {str(error).splitlines()[0]}") from None

    def replay() -> object:
        graph.replay()
        return kept

    return replay


def _lack_of_memory(error: BaseException | None) -> BaseException | None:
    """The error itself, or the one in whose wake it came: leaving a capture that broke off raises once more."""
    while error is not None and not isinstance(error, torch.OutOfMemoryError):
        error = error.__context__
    return error
