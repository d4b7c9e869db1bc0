"""Where the parameters of the published models are in ours: views that can be read and written, by published name."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

Views = dict[str, Tensor]


def v4(model: Any) -> Views:
    found = {f"backbone.layer_scales.{i}": scale for i, scale in enumerate(model.backbone.scales)}
    for i, (norm, layer) in enumerate(zip(model.backbone.norms, model.backbone.layers, strict=True)):
        name = f"backbone.layers.{i}"
        found |= {f"backbone.norms.{i}.scale": norm.weight, f"{name}.rotation.skew_params": layer.half_tangent,
                  f"{name}.damping_param": layer.floor, **real(f"{name}.gate_proj", layer.gate)}
        found |= complex_map(f"{name}.B", layer.input) | complex_map(f"{name}.C", layer.output)
        found |= complex_map(f"{name}.D", layer.skip)
    found["backbone.output_norm.scale"] = model.backbone.last.weight
    for name, bank in zip(model.config.banks, model.banks, strict=True):
        found |= {f"banks.{name}.{key}": view for key, view in BANKS[name](bank).items()}
    if model.coupler:
        for i, name in enumerate(model.config.banks):
            found |= complex_map(f"coupler.bank_projs.{name}", model.coupler.projections[i])
            found[f"coupler.interference_phases.{name}"] = vectors(model.coupler.phases[i])
        found |= real("coupler.router.0", model.coupler.router[0]) | real("coupler.router.2", model.coupler.router[2])
        found |= normed("coupler.norm", "coupler.fusion", model.coupler.output)
    memory = model.memory
    found |= {"memory.keys": vectors(memory.keys), "memory.values": vectors(memory.values),
              "memory.slot_importance": memory.slot_importance, "memory_scale": memory.scale}
    found |= complex_map("memory.query_proj", memory.query)
    found |= normed("memory.output_norm", "memory.output_proj", memory.output)
    if model.episodic:
        query, key, value = map(interleaved, model.episodic.qkv.chunk(3))
        found |= {"episodic.query_proj.weight": query, "episodic.key_proj.weight": key,
                  "episodic.value_proj.weight": value}
    return found | (patches(model.patches) if model.patches else tokens(model))


def tokens(model: Any) -> Views:
    return {**embedding("embed.bpe_embed", model.embedding.weight), **complex_map("lm_head.0", model.head.map),
            "lm_head.1.scale": model.head.norm.weight, "output_proj.weight": model.head.weight}


def patches(part: Any) -> Views:
    encoder, decoder = "byte_patching.patcher", "byte_patching.decoder"
    found = {f"{encoder}.position_weights": part.weights, f"{decoder}.position_embed": vectors(part.offsets),
             f"{decoder}.lm_head.weight": part.head}
    found |= embedding(f"{encoder}.byte_embed", part.table) | embedding(f"{decoder}.byte_embed", part.previous)
    found |= mapped(f"{encoder}.output_proj", f"{encoder}.output_norm", part.encoder)
    found |= mapped(f"{decoder}.output_proj", f"{decoder}.output_norm", part.output)
    for i, place in enumerate(part.places):
        found |= complex_map(f"{encoder}.position_proj.{i}", place)
    for i, layer in enumerate(part.layers):
        found |= mapped(f"{decoder}.layers.{i}.proj", f"{decoder}.layers.{i}.norm", layer)
    return found


def gelu_bank(bank: Any) -> Views:
    found = normed("output_norm", "output_proj", bank.output)
    for i, layer in enumerate(bank.layers):
        found |= normed(f"norms.{i}", f"layers.{i}", layer)
    return found


def semantic(bank: Any) -> Views:
    return {**gelu_bank(bank), "concept_memory": vectors(bank.concepts),
            **complex_map("concept_proj", bank.concept_proj)}


def context(bank: Any) -> Views:
    return {**gelu_bank(bank), "window_weights": bank.taps, **complex_map("context_proj", bank.context),
            **complex_map("modulation_proj", bank.modulation)}


def language(bank: Any) -> Views:
    found = {**gelu_bank(bank), "language_gates": vectors(bank.gate_table),
             **complex_map("universal_proj", bank.universal)}
    for i, own in enumerate([bank.own, *bank.unspoken]):
        found |= complex_map(f"language_projs.{i}", own)
    return found


def morphology(bank: Any) -> Views:
    found = {**normed("output_norm", "output_proj", bank.output), "pattern_bank": vectors(bank.patterns),
             **complex_map("pattern_detector", bank.detector), **real("prefix_proj", bank.prefix_proj),
             **real("suffix_proj", bank.suffix_proj)}
    for i, (layer, turn) in enumerate(zip(bank.layers, bank.turn_table, strict=True)):
        name = f"transform_layers.{i}"
        found |= {f"{name}.rotation.skew_params": turn, **normed(f"{name}.norm", f"{name}.linear", layer)}
    return found


def orthography(bank: Any) -> Views:
    found = {**normed("output_norm", "output_proj", bank.output), "shape_patterns": vectors(bank.shapes),
             "script_embeddings": vectors(bank.scripts), "position_encoding": vectors(bank.position_encoding),
             **complex_map("shape_detector", bank.shape_detector),
             **complex_map("script_classifier", bank.script_detector)}
    for i, (layer, gate) in enumerate(zip(bank.layers, bank.gates, strict=True)):
        found |= normed(f"layers.{i}.norm", f"layers.{i}.linear", layer) | real(f"layers.{i}.gate", gate)
    return found


def emotion(bank: Any) -> Views:
    return {**normed("norm", "proc", bank.output), "emotion_embeds": vectors(bank.emotions),
            **complex_map("emotion_detector", bank.detector)}


BANKS = {"semantic": semantic, "context": context, "language": language, "morphology": morphology,
         "orthography": orthography, "emotion": emotion}


def v3(model: Any) -> Views:
    ours, memory = model.published, model.published.long_term
    found = {"token_embedding.weight": ours.embedding.weight, "learning_efficiency": ours.efficiency,
             "adaptation_rate": ours.adaptation, **real("output_proj", ours.head)}
    found |= prefixed("consciousness", ours.consciousness, {
        "awareness": "awareness_proj", "attention": "attention_proj", "memory": "memory_proj",
        "intention": "intention_proj", "shared": "global_consciousness", "fusion": "consciousness_fusion",
        "norm": "consciousness_norm"})
    found |= prefixed("short_term_memory", ours.short_term, {
        "slots": "memory_slots", "slot_weights": "memory_weights", "gate": "memory_gate", "update": "memory_update",
        "norm": "memory_norm", "decay": "decay_rate"})
    found |= prefixed("long_term_memory", memory, {
        "concepts": "concept_memory", "into": "concept_embeddings", "out": "concept_retrieval",
        "episodes": "episodic_memory", "episode_weights": "episodic_weights", "episode_out": "episodic_retrieval",
        "consolidation": "consolidation_gate"})
    for i, (spiking, plasticity) in enumerate(zip(ours.spiking, ours.plasticity, strict=True)):
        found |= prefixed(f"spiking_neurons.{i}", spiking, {
            "synapses": "synaptic_weights", "membrane": "membrane_potential", "trace": "spike_history"})
        found |= prefixed(f"developmental_plasticity.{i}", plasticity, {
            "usage": "usage_count", "importance": "importance_scores", "base": "base_transform",
            "expand": "expansion_layers", "contract": "contraction_layers"})
    return found


def v2(model: Any) -> Views:
    ours = model.body
    found = {"token_embedding.weight": ours.embedding.weight, "pos_embedding.weight": ours.positions.weight,
             "quantum_uncertainty": ours.uncertainty, "entanglement_strength": ours.unused[0],
             "measurement_threshold": ours.unused[1], "phase_init": ours.phases.golden,
             "semantic_phase_map.weight": ours.phases.token, "frequency_phase_adjust": ours.phases.frequency,
             "position_phase_mod": ours.phases.position, "phase_projection.weight": ours.phases.project,
             **real("concept_projection", ours.concept_projection), **real("output_proj", ours.head)}
    found |= prefixed("concept_layer", ours.concepts, {
        "weights": "word_concept_map.weight", "concepts": "concept_embeddings", "layers": "concept_projections",
        "attention": "concept_attention", "to_token": "concept_to_token", "layer_norm": "norm1",
        "attention_norm": "norm2", "semantic": "semantic_coherence", "languages": "language_gates"})
    found |= prefixed("global_interference", ours.interference, {
        "phase": "global_phase", "up": "head_weights", "up_bias": "head_biases", "down": "head_weights2",
        "down_bias": "head_biases2", "out": "output_proj", "norm": "norm"})
    found |= prefixed("advanced_phase_coherence", ours.coherence, {
        "scales": "scales", "window": "context_window", "similarity": "token_similarity",
        "clusters": "semantic_clusters", "assignments": "cluster_assignments", "layers": "coherence_enhancement",
        "of_scales": "scale_projection", "of_semantic": "semantic_projection", "of_context": "context_projection",
        "fuse": "coherence_fusion", "norms": "norm"})
    for i in range(3):
        for kind in ("weight", "bias"):
            name = f"advanced_phase_coherence.norm.{i}.{kind}"
            found[f"advanced_phase_coherence.norm{i + 1}.{kind}"] = found.pop(name)
    for i, processor in enumerate(ours.processors):
        found |= prefixed(f"quantum_layers.{i}", processor, {
            "base": "base_op", "expand": "expand_ops", "contract": "contract_ops"})
    return found


def v2old(model: Any) -> Views:
    found = {"tok_embed.weight": model.embedding.weight, "pos_embed.weight": model.positions.weight,
             "phase.phase": model.rotator.theta, "head.weight": model.head.weight, **real("ln", model.norm)}
    if model.config.global_tokens:
        found["global_memory"] = model.memory
    for i, block in enumerate(model.blocks):
        name = f"blocks.{i}"
        found |= real(f"{name}.ln1", block.attention_norm) | real(f"{name}.ln2", block.mlp_norm)
        found |= real(f"{name}.mlp.0", block.up) | real(f"{name}.mlp.2", block.down)
        for theirs, layer in zip("qkvo", ("query", "key", "value", "out"), strict=True):
            found |= prefixed(f"{name}.attn.{theirs}", getattr(block.attention, layer), {
                "weight": "linear.weight", "bias": "linear.bias", "down": "B", "up": "A"})
    return found


def prefixed(name: str, module: nn.Module, names: dict[str, str]) -> Views:
    """The parameters of a module whose members go by other names there."""
    found = {}
    for own, parameter in module.named_parameters():
        member, dot, rest = own.partition(".")
        found[f"{name}.{names[member]}{dot}{rest}"] = parameter
    return found


def real(name: str, module: nn.Module) -> Views:
    return {f"{name}.{own}": parameter for own, parameter in module.named_parameters()}


def complex_map(name: str, module: Any) -> Views:
    re, im = module.bias.chunk(2)
    return {f"{name}.weight_real": module.weight[0], f"{name}.weight_imag": module.weight[1],
            f"{name}.bias_real": re, f"{name}.bias_imag": im}


def normed(norm: str, linear: str, pair: Any) -> Views:
    return {f"{norm}.scale": pair[0].weight, **complex_map(linear, pair[1])}


def mapped(linear: str, norm: str, pair: Any) -> Views:
    return {f"{norm}.scale": pair[1].weight, **complex_map(linear, pair[0])}


def embedding(name: str, table: Tensor) -> Views:
    re, im = table.chunk(2, dim=-1)
    return {f"{name}.embed_real.weight": re, f"{name}.embed_imag.weight": im}


def vectors(planes: Tensor) -> Tensor:
    """(..., 2n) -> (..., n, 2)."""
    return planes.unflatten(-1, (2, -1)).mT


def interleaved(matrix: Tensor) -> Tensor:
    """Planes to planes -> pairs to pairs: (2n, 2n) -> (n, 2, n, 2)."""
    return matrix.unflatten(-1, (2, -1)).unflatten(0, (2, -1)).permute(1, 0, 3, 2)
