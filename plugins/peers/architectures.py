"""What the config of each architecture takes beside the common fields. Data alone: a module, so that it is part of what
makes a cell new. (no torch)

Common are hidden size d, layers L, heads h and MLP width w. Text is an expression in these and in the options n, a
state's size, window and chunk. Four keys are for the wrapper:

- `step`: what the width has to be a multiple of, where that is not twice the heads;
- `omit`: common fields that mean something else there;
- `read`: how a chunk after a state is to be fed, "single" or "none", where feeding it whole gives other logits;
- `finding`: why, as rows tell it.

Measured with transformers 5.24; `harness audit transformers:arch=NAME` measures it anew.
"""

from __future__ import annotations

from typing import Any

PLAIN = (                                       # the common fields say it all
    "llama", "qwen3", "nanochat", "bitnet", "diffllama", "gpt_neox", "mistral", "olmo", "olmo2", "qwen2", "granite",
    "helium", "stablelm", "persimmon", "phi", "phi3", "smollm3", "gemma", "glm4", "starcoder2", "bloom", "mpt",
    "cohere", "glm", "seed_oss", "arcee", "apertus", "ernie4_5", "hunyuan_v1_dense", "nemotron",
    "internlm3", "jais2", "lfm3",
)

ARCHITECTURES: dict[str, dict[str, Any]] = {name: {} for name in PLAIN} | {
    "falcon": {
        "ffn_hidden_size": "w",
    },
    "olmo3": {
        "sliding_window": "window",
    },
    "gemma2": {
        "sliding_window": "window", "query_pre_attn_scalar": "d // h",
    },
    "gemma3_text": {
        "sliding_window": "window", "query_pre_attn_scalar": "d // h",
        "layer_types": "['sliding_attention'] * (L - 1) + ['full_attention']",
    },
    "exaone4": {
        "sliding_window": "window",
    },
    "ministral": {
        "sliding_window": "window",
    },
    "vaultgemma": {
        "sliding_window": "window", "query_pre_attn_scalar": "d // h",
    },
    "cohere2": {
        "sliding_window": "window",
    },
    "gpt2": {
        "n_positions": 1024, "n_inner": "w",
    },
    "gptj": {
        "n_positions": 1024, "rotary_dim": "d // h", "n_inner": "w",
    },
    "codegen": {
        "n_positions": 1024, "rotary_dim": "d // h", "n_inner": "w",
    },
    "opt": {
        "ffn_dim": "w", "word_embed_proj_dim": "d", "max_position_embeddings": 1024,
    },
    "gpt_oss": {
        "sliding_window": "window", "num_local_experts": 4, "num_experts_per_tok": 2,
    },
    "mixtral": {
        "num_local_experts": 4, "num_experts_per_tok": 2,
    },
    "granitemoe": {
        "num_local_experts": 4, "num_experts_per_tok": 2,
    },
    "olmoe": {
        "num_experts": 4, "num_experts_per_tok": 2,
    },
    "qwen3_moe": {
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": "w",
    },
    "doge": {
        "keep_window_size": "window",
    },
    "modernbert-decoder": {
        "local_attention": "window", "layer_types": "(['full_attention', 'sliding_attention'] * L)[:L]",
        "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0, "cls_token_id": 0, "sep_token_id": 0,
    },
    "deepseek_v3": {
        "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": "w",
        "first_k_dense_replace": 1, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8, "v_head_dim": 8,
    },
    "mamba": {
        "state_size": "n", "time_step_rank": "max(1, d // 16)", "omit": ["intermediate_size", "head_dim"],
        "read": "single", "finding": "a chunk of several tokens after a state ignores the state",
    },
    "falcon_mamba": {
        "state_size": "n", "time_step_rank": "max(1, d // 16)", "omit": ["intermediate_size", "head_dim"],
        "read": "single", "finding": "a chunk of several tokens after a state ignores the state",
    },
    "mamba2": {
        "state_size": "n", "num_heads": "h", "head_dim": "2 * d // h", "n_groups": 1, "chunk_size": "chunk",
        "omit": ["intermediate_size"],
    },
    "rwkv": {
        "attention_hidden_size": "d", "context_length": 4096, "rescale_every": 0, "read": "none",
        "finding": "a step of two rows or more mixes them up",
    },
    "recurrent_gemma": {
        "lru_width": "d", "attention_window_size": "window", "block_types": "['recurrent', 'recurrent', 'attention']",
        "read": "none", "finding": "its state lies in the modules",
    },
    "jamba": {
        "num_experts": 1, "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": "n",
        "mamba_dt_rank": "max(1, d // 16)", "use_mamba_kernels": False, "read": "single",
        "finding": "a chunk of several tokens after a state ignores the state",
    },
    "bamba": {
        "attn_layer_indices": "[L - 1]", "mamba_d_state": "n", "mamba_n_heads": "h", "mamba_d_head": "2 * d // h",
        "mamba_chunk_size": "chunk",
    },
    "zamba": {
        "num_hidden_layers": "max(4, L)", "layers_block_type": "(['mamba', 'hybrid'] * L)[:max(4, L)]",
        "mamba_d_state": "n", "mamba_dt_rank": "max(1, d // 16)", "n_mamba_heads": 2,
        "attention_hidden_size": "2 * d", "attention_head_dim": "2 * d // h", "use_mamba_kernels": False,
    },
    "zamba2": {
        "layers_block_type": "(['mamba', 'hybrid'] * L)[:L]", "mamba_d_state": "n", "n_mamba_heads": "h",
        "chunk_size": "chunk", "adapter_rank": 4, "use_mamba_kernels": False,
    },
    "falcon_h1": {
        "mamba_d_ssm": "2 * d", "mamba_d_state": "n", "mamba_n_heads": "h", "mamba_d_head": "2 * d // h",
        "mamba_chunk_size": "chunk",
    },
    "granitemoehybrid": {
        "layer_types": "['mamba'] * (L - 1) + ['attention']", "num_local_experts": 0, "shared_intermediate_size": "w",
        "mamba_d_state": "n", "mamba_n_heads": "h", "mamba_d_head": "2 * d // h", "mamba_chunk_size": "chunk",
        "attention_multiplier": "(d // h) ** -0.5",
    },
    "nemotron_h": {
        "layers_block_type": "(['linear_attention', 'mlp', 'full_attention', 'mlp'] * L)[:L + 2]",
        "mamba_num_heads": "h", "mamba_head_dim": "2 * d // h", "ssm_state_size": "n", "n_groups": 1,
        "chunk_size": "chunk", "use_mamba_kernels": False, "omit": ["num_hidden_layers"],
    },
    "xlstm": {
        "embedding_dim": "d", "num_heads": "h", "num_blocks": "L", "chunk_size": "chunk",
        "ffn_round_up_to_multiple_of": 8, "omit": ["intermediate_size", "head_dim", "num_hidden_layers"], "step": 128,
    },
    "lfm2": {                           # attention as in the published 16 layers: 2, 5, 8, 10, 12, 14
        "layer_types": "['conv'] * (L - 1) + ['full_attention'] if L < 3 else "
                       "(['conv', 'conv', 'full_attention'] * 3 + ['conv', 'full_attention'] * L)[:L]",
        "block_auto_adjust_ff_dim": False,
    },
    "qwen3_next": {
        "layer_types": "['linear_attention'] * (L - 1) + ['full_attention']", "linear_key_head_dim": "d // h",
        "linear_value_head_dim": "d // h", "linear_num_key_heads": "h", "linear_num_value_heads": "h",
        "num_experts": 0, "mlp_only_layers": "list(range(L))", "num_experts_per_tok": 1,
    },
    "qwen3_5_text": {
        "layer_types": "['linear_attention'] * (L - 1) + ['full_attention']", "linear_key_head_dim": "d // h",
        "linear_value_head_dim": "d // h", "linear_num_key_heads": "h", "linear_num_value_heads": "h",
    },
    "olmo_hybrid": {
        "layer_types": "['linear_attention'] * (L - 1) + ['full_attention']", "linear_key_head_dim": "d // h",
        "linear_value_head_dim": "d // h", "linear_num_key_heads": "h", "linear_num_value_heads": "h",
    },
    "kimi_linear": {
        "layer_types": "['linear_attention'] * (L - 1) + ['full_attention']", "linear_head_dim": "d // h",
        "linear_num_heads": "h", "mlp_layer_types": "['dense'] * L", "kv_lora_rank": 16, "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8, "v_head_dim": 8,
    },
    "minimax": {
        "layer_types": "['linear_attention'] * (L - 1) + ['full_attention']", "num_local_experts": 1,
        "num_experts_per_tok": 1, "block_size": "chunk", "read": "single",
        "finding": "a chunk of several tokens after a state is not that of the whole text",
    },
    "zaya": {
        "num_experts": 2, "moe_intermediate_size": "w", "router_hidden_size": 8,
    },
}
