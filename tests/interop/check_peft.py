"""Checks both directions with Hugging Face peft: adapters that it saves give the same logits here,
adapters that are saved here load there and are the same to the bit, and a model that an adapter was
merged into here is the one that peft merges.

    python3 tests/interop/interop.py check peft build/default
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

GPT2 = {"vocab_size": 71, "n_positions": 24, "n_embd": 24, "n_layer": 2, "n_head": 3}
LLAMA = {
    "vocab_size": 71,
    "max_position_embeddings": 24,
    "hidden_size": 32,
    "intermediate_size": 52,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
NONE = {"bos_token_id": None, "eos_token_id": None}


def cases():
    """Name, kind of model, its config, peft's options."""
    gpt2, llama = GPT2Config(**GPT2, **NONE), LlamaConfig(**LLAMA, **NONE)
    yield "gpt2, c_attn", GPT2LMHeadModel, gpt2, {"target_modules": ["c_attn"]}
    every = {"target_modules": ["c_attn", "c_proj", "c_fc"], "r": 5, "lora_alpha": 3}
    yield "gpt2, all, dropout", GPT2LMHeadModel, gpt2, every | {"lora_dropout": 0.1}
    yield "llama, q and v", LlamaForCausalLM, llama, {"target_modules": ["q_proj", "v_proj"]}
    stabilized = {"target_modules": "all-linear", "use_rslora": True, "r": 3}
    yield "llama, all-linear, rank-stabilized", LlamaForCausalLM, llama, stabilized
    some = {"target_modules": ["k_proj", "gate_proj", "down_proj"], "layers_to_transform": [1]}
    yield "llama, one layer", LlamaForCausalLM, llama, some


def randomize(model):
    """Zeros and ones would hide a swapped tensor; peft starts with B at zero."""
    for p in model.parameters():
        with torch.no_grad():
            p.add_(torch.randn_like(p) * 0.1)


def logits_of(model, tokens):
    with torch.no_grad():
        return model.eval()(tokens).logits


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def check(name, kind, config, options, exchange):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        base = kind(config)
        randomize(base)
        base.save_pretrained(folder)
        fan_in_fan_out = kind is GPT2LMHeadModel
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=fan_in_fan_out, **options))
        randomize(model)
        model.save_pretrained(folder / "adapter")
        kind_of_base = kind.from_pretrained(folder)  # randomize has changed the one in memory
        expected_model = PeftModel.from_pretrained(kind_of_base, folder / "adapter")
        tokens = torch.randint(71, (1, 24))
        expected = logits_of(expected_model, tokens)
        (folder / "tokens.json").write_text(json.dumps(tokens[0].tolist()))
        subprocess.run([exchange, folder], check=True)
        ours = load_file(folder / "logits.safetensors")["logits"]
        error = relative(ours, expected)
        effect = relative(logits_of(kind.from_pretrained(folder), tokens), expected)
        with warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            back = PeftModel.from_pretrained(kind.from_pretrained(folder), folder / "saved")
        same = torch.equal(logits_of(back, tokens), expected)
        merged = logits_of(kind.from_pretrained(folder / "merged"), tokens)
        merge_error = relative(merged, logits_of(expected_model.merge_and_unload(), tokens))
        complaints = [str(c.message) for c in complaints if "adapter keys" in str(c.message)]
        if not error < 3e-6 or not merge_error < 3e-6 or complaints or not same or effect < 1e-3:
            sys.exit(
                f"{name}: relative error {error}, merged {merge_error}, complaints {complaints}, "
                f"same {same}, effect {effect}"
            )
        print(
            f"{name}: logits within {error:.1e}, merged within {merge_error:.1e}; "
            "saved here, loaded there: same"
        )


def main():
    exchange = str(pathlib.Path(sys.argv[1]) / "bin" / "interop_adapter_exchange")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(1)
    print(f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    for name, kind, config, options in cases():
        check(name, kind, config, options, exchange)


if __name__ == "__main__":
    main()
