"""The short audit beside timings and peaks: does what is timed or weighed keep the contract that scores rest on?

A failure stops no timing, a published form may be timed although its scores are void; the rows say it. One length is
enough for that, and one audit for all cells of a worker that have the same model: the audit of scores is another one.
"""

from __future__ import annotations

import torch

from ..audit.auditor import audit
from ..audit.findings import AuditReport
from ..model import LanguageModel

LENGTH, JITTER = 16, 0.02               # tokens; noise on the weights, which opens a branch behind a zero

_reports: dict[str, AuditReport] = {}


def audit_once(identity: str, model: LanguageModel, device: str) -> AuditReport:
    """The report on a model that `identity` names; the model is left as it was found."""
    if identity not in _reports:
        _reports[identity] = audit(model, [LENGTH], device=torch.device(device), jitter=JITTER)
    return _reports[identity]
