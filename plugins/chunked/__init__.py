"""Diagonal recurrences parallel over chunks of time, for a GPU: h_t = a_t R h_{t-1} + u_t, real or complex, and gated.

The kernels of `scan` walk along time with one program for each block of channels: of 4 rows and 512 channels that is
128 programs, fewer than a GPU has processors. Here chunks of time run side by side, in three passes: what each chunk
makes of a state (a weight and a sum), the state at the start of every chunk, and the states within. The inputs are read
twice, which is the price. Backward is the same over time reversed. The gated forms keep for it the states at the starts
of chunks alone.

`torch.ops.qllm_harness.diagonal_scan` and `gated_scan` have a fake form, a derivative and compose with torch.compile.
Inputs are float32 or bfloat16; states are float32 whatever the inputs are, so the state of one call is the exact
`initial` of the next. Complex numbers are planes [re | im] along the last axis. All need Triton. They are called as the
backend "chunked" of `scan`, which refuses wrong shapes and dtypes before a kernel sees them.
"""
