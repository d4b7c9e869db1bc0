"""The superposition model (qllm2 v2 of 2025), right by default.

    embedding -> [phase coherence, entanglement, phase processor] x layers -> concept layer -> head

Notable:
- time and memory are linear in the length, decoding costs the same at any context: the state is a window of phases and
  one operator per head and layer;
- all mixing over time looks back; nothing reads the batch, nothing differs between training and evaluation;
- the processor is non-linear: published, the whole stack is one affine map once its widths are chosen;
- the objective is an energy that falls with coherence, and the information of concepts on tokens. The first trains what
  reads phases off the activations, the second what reads concepts, the activations themselves neither: no term can undo
  another. Published, an energy and a coherence of opposite effect pull at the same phases;
- `as_published=true` puts the published model in its place; as_published.py says what is different there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import LanguageModel

from ..blocks import RMSNorm, gemm_flops
from .as_published import PublishedSuperposition
from .coherence import PhaseCoherence
from .config import SuperpositionConfig
from .entanglement import CHUNK, Entanglement
from .objective import concept_information, coupling_entropy, phase_energy


class PhaseProcessor(nn.Module):
    """out [a cos p | a sin p] of amplitudes a = silu(A x) and phases p = P x + c per hidden channel.

    The token chooses its own width: an amplitude near zero takes its channel out.
    """

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.into = nn.Linear(dim, 2 * hidden)
        self.out = nn.Linear(2 * hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        amplitude, phase = self.into(x).chunk(2, dim=-1)
        amplitude = F.silu(amplitude)
        return self.out(torch.cat([amplitude * phase.cos(), amplitude * phase.sin()], dim=-1))


class ConceptLayer(nn.Module):
    """Each token as a superposition of concepts, amplitudes sqrt(w) e^{ip} with weights w that sum to one."""

    def __init__(self, dim: int, concepts: int):
        super().__init__()
        self.superpose = nn.Linear(dim, 2 * concepts)                                # log weights, phases
        self.concepts = nn.Linear(2 * concepts, dim, bias=False)                     # real and imaginary parts

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> the superposition (B, T, D) and the log weights of its concepts (B, T, K)."""
        log_weight, phase = self.measure(x)
        amplitude = (log_weight / 2).exp()
        return self.concepts(torch.cat([amplitude * phase.cos(), amplitude * phase.sin()], dim=-1)), log_weight


    def measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Log weights and phases of the concepts, (B, T, K) each."""
        log_weight, phase = self.superpose(x).float().chunk(2, dim=-1)
        return log_weight.log_softmax(dim=-1), phase


class Block(nn.Module):
    def __init__(self, config: SuperpositionConfig):
        super().__init__()
        dim = config.dim
        if config.scales:
            self.coherence_norm = RMSNorm(dim)
            self.coherence = PhaseCoherence(dim, config.phase_channels, config.scales)
        self.entanglement_norm = RMSNorm(dim)
        self.entanglement = Entanglement(dim, config.coupling_heads, config.longest)
        self.processor_norm = RMSNorm(dim)
        self.processor = PhaseProcessor(dim, config.processor_hidden)
        self.scales, self.dropout = config.scales, nn.Dropout(config.dropout_rate)
        self.read: tuple[Tensor, Tensor | None] | None = None                        # by coherence, of the last forward
        self.energy: Tensor | None = None

    def forward(self, x: Tensor, state: tuple[Tensor | None, Tensor | None]):
        """x (B, T, D), (window, couplings) -> x, the next state."""
        window, couplings = state
        if self.scales:
            y = self.coherence_norm(x)
            self.read = (y.detach().float(), window) if self.training else None
            y, coherence, window = self.coherence(y, window)
            self.energy = phase_energy(coherence.detach())
            x = x + self.dropout(y)
        y, couplings = self.entanglement(self.entanglement_norm(x), couplings)
        x = x + self.dropout(y)
        x = x + self.dropout(self.processor(self.processor_norm(x)))
        return x, (window, couplings)

    def phase_loss(self) -> Tensor | None:
        """The energy of the last forward in training, as a function of what reads the phases alone."""
        return None if self.read is None else phase_energy(self.coherence.measure(*self.read)[0])


class RightSuperposition(nn.Module):
    blocks: Any                                                                      # of Block

    def __init__(self, config: SuperpositionConfig, vocab_size: int):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        if config.concepts:
            self.concept_norm = RMSNorm(config.dim)
            self.concepts = ConceptLayer(config.dim, config.concepts)
        self.norm = RMSNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight
        self.initialise()
        self.couplings: list[Tensor] = []                                            # of the last forward
        self.read: Tensor | None = None                                              # by the concepts, likewise
        self.information: Tensor | None = None

    def initialise(self) -> None:
        """Fan-in scale, residual branches less by the root of their number; a unit superposition counts as one."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and name != "head":
                gain = (3 * self.config.layers) ** -0.5 if name.endswith(".out") else 1.0
                nn.init.normal_(module.weight, std=gain * module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            if isinstance(module, Entanglement):
                module.initialise_decay()
            if isinstance(module, ConceptLayer):
                nn.init.normal_(module.concepts.weight, std=(3 * self.config.layers) ** -0.5)
        nn.init.normal_(self.head.weight, std=self.config.dim**-0.5)
        nn.init.normal_(self.embedding.weight, std=0.1 if self.config.tied else 1.0)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x = self.embedding(tokens)                                                   # (B, T, D)
        after = []
        for block, before in zip(self.blocks, state or [(None, None)] * self.config.layers, strict=True):
            x, carried = block(x, before)
            after.append(carried)
        self.couplings = [couplings.detach() for _, couplings in after]
        if self.config.concepts:
            y = self.concept_norm(x)
            self.read = y.detach().float() if self.training else None
            y, log_weight = self.concepts(y)
            self.information = concept_information(log_weight.detach())
            x = x + y
        return self.head(self.norm(x)), after

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """The losses of the last forward in training.

        They are computed again from its detached activations, so that they train what reads these, not what made them.
        """
        losses = {}
        energies = [energy for block in self.blocks if (energy := block.phase_loss()) is not None]
        if self.config.energy and energies:
            losses["energy"] = self.config.energy * torch.stack(energies).mean()
        if self.config.concept and self.read is not None:
            losses["concept"] = -self.config.concept * concept_information(self.concepts.measure(self.read)[0])
        return losses

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations in the matrix products of one call; couplings count every pair of a chunk."""
        config, tokens = self.config, 1 if phase == "decode" else seq_len
        chunks, rest = divmod(tokens, CHUNK)
        pairs = chunks * CHUNK**2 + rest**2
        couplings = 4 * config.layers * config.dim * (pairs + tokens * config.dim // config.coupling_heads)
        return (3 if phase == "train" else 1) * batch * (tokens * gemm_flops(self) + couplings)

    def diagnostics(self) -> dict[str, float]:
        """Energy, information of concepts in nats, entanglement entropy of the couplings in nats."""
        found = {"entanglement_entropy": coupling_entropy(self.couplings)} if self.couplings else {}
        energies = [block.energy for block in self.blocks if block.energy is not None]
        if energies:
            found["phase_energy"] = torch.stack(energies).mean().item()
        if self.information is not None:
            found["concept_information"] = self.information.item()
        return found


class Superposition(LanguageModel):
    config: SuperpositionConfig

    def __init__(self, config: SuperpositionConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        form = PublishedSuperposition if config.as_published else RightSuperposition
        self.body = form(config, vocab_size)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return self.body(tokens, state)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        return self.body.auxiliary_losses()

    def diagnostics(self) -> dict[str, float]:
        return self.body.diagnostics()

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        return self.body.flops(batch, seq_len, phase)
