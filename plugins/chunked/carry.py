"""From chunk to chunk: what each makes of a state, written down by one pass, becomes the state that enters each.

A program owns CHANNELS channels of one row. TILE chunks are composed at once, so that a text of thousands of chunks
waits for memory a few times only.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .tiles import applied, read_number, row_of, scanned, write_number

CHUNK, CHANNELS, TILE = 64, 16, 32      # steps of a chunk, channels of a program, chunks that are carried at once
WARPS = 8                               # with 4 a thread of the gated backward would hold 188 registers, not 109


@triton.jit
def write_end(ends, wr, wi, ur, ui, b, k, n, live, width, PLANES: tl.constexpr, ROW: tl.constexpr, CHUNK: tl.constexpr):
    """Of a scanned chunk the row that composes all of it."""
    at = ends + (b * tl.num_programs(0) + k) * 2 * PLANES * width + n
    write_number(at, width, row_of(wr, ROW, CHUNK), row_of(wi, ROW, CHUNK), live, PLANES)
    write_number(at + PLANES * width, width, row_of(ur, ROW, CHUNK), row_of(ui, ROW, CHUNK), live, PLANES)


@triton.jit
def carry(
    ends, first, starts, last, chunks, width,
    BACKWARD: tl.constexpr, PLANES: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    hr, hi = read_number(first + PLANES * b * width + n, width, live, PLANES)
    entered = b * chunks + (chunks - 1 if BACKWARD else 0)
    write_number(starts + PLANES * entered * width + n, width, hr, hi, live, PLANES)
    for begin in range(0, chunks, TILE):
        step = begin + tl.arange(0, TILE)[:, None]
        inside = (step < chunks) & live[None, :]
        k = b * chunks + (chunks - 1 - step if BACKWARD else step)
        end = ends + 2 * PLANES * k * width + n[None, :]
        wr, wi = read_number(end, width, inside, PLANES)
        ur, ui = read_number(end + PLANES * width, width, inside, PLANES)
        wr, wi, ur, ui = scanned(tl.where(inside, wr, 1.0), wi, ur, ui, PLANES, False)
        sr, si = applied(wr, wi, ur, ui, hr[None, :], hi[None, :])
        following = starts + PLANES * (k - 1 if BACKWARD else k + 1) * width + n[None, :]
        write_number(following, width, sr, si, inside & (step < chunks - 1), PLANES)
        hr, hi = row_of(sr, TILE - 1, TILE), row_of(si, TILE - 1, TILE)
    write_number(last + PLANES * b * width + n, width, hr, hi, live, PLANES)


def launch(kernel, grid: tuple[int, ...], *arguments, **constants) -> None:
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, CHANNELS=CHANNELS, num_warps=WARPS, **constants)


def chunks_of(length: int) -> int:
    return -(-length // CHUNK)


def grid_of(batch: int, length: int, width: int) -> tuple[int, int, int]:
    """Programs: of chunks, which alone may be more than 65,535, of rows, of blocks of channels."""
    return chunks_of(length), batch, -(-width // CHANNELS)


def carried(ends: Tensor, first: Tensor, backward: bool) -> tuple[Tensor, Tensor]:
    """The state that enters every chunk (B, C, P, N) and the one that leaves the last, of what each chunk makes of one,
    weight and sum (B, C, 2P, N), and of the first."""
    batch, chunks, numbers, width = ends.shape
    starts, last = ends.new_empty(batch, chunks, numbers // 2, width), torch.empty_like(first)
    launch(carry, (batch, -(-width // CHANNELS)), ends, first, starts, last, chunks, width, BACKWARD=backward,
           PLANES=numbers // 2, TILE=TILE)
    return starts, last
