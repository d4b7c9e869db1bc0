"""Failures: every exception and every death of a process has its status and its reason in one line."""

import signal

import pytest

from harness.run.failures import classify, death


@pytest.mark.parametrize(("error", "status", "reason"), [
    (MemoryError(), "oom", "out of memory: MemoryError"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "oom", "out of memory: DefaultCPUAllocator"),
    (OSError(12, "Cannot allocate memory"), "oom", "out of memory"),
    (RuntimeError("Triton Error [CUDA]: out of memory"), "oom", "out of memory: Triton Error"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "oom", "out of memory: CUDA"),
    (NotImplementedError("no decoding"), "unsupported", "no decoding"),
    (type("HTTPError", (Exception,), {"status": 404})("not found"), "error", "HTTPError: not found"),
    (type("AuditFailed", (Exception,), {"status": "audit_failed"})("leak"), "audit_failed", "leak"),
    (RuntimeError("a\n  b"), "error", "RuntimeError: a b"),
    (ValueError(), "error", "ValueError"),
])
def test_errors_have_their_status(error, status, reason):
    found, text = classify(error)
    assert found == status
    assert text.startswith(reason)


@pytest.mark.parametrize(("code", "status", "reason"), [
    (None, "error", "the worker closed its connection"),
    (3, "error", "the worker exited with code 3 in the middle of the cell"),
    (-signal.SIGSEGV, "error", "the worker died of SIGSEGV"),
    (-signal.SIGKILL, "oom", "the worker was killed (SIGKILL), most likely by the kernel for want of memory"),
])
def test_deaths_have_theirs(code, status, reason):
    assert death(code) == (status, reason)
