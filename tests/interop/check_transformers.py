"""Checks both directions with Hugging Face transformers: models that it saves give the same logits
here, and models that are saved here load there without a warning and are the same to the bit.

    venv/bin/pip install torch==2.13.0 transformers safetensors
    venv/bin/python tests/interop/check_transformers.py build/bin/interop_exchange
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

GPT2 = {"vocab_size": 71, "n_positions": 24, "n_embd": 24, "n_layer": 3, "n_head": 3}
LLAMA = {
    "vocab_size": 71,
    "max_position_embeddings": 24,
    "hidden_size": 32,
    "intermediate_size": 52,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
NONE = {"bos_token_id": None, "eos_token_id": None}


def theta(value):
    if int(transformers.__version__.split(".")[0]) < 5:
        return {"rope_theta": value}
    return {"rope_parameters": {"rope_type": "default", "rope_theta": value}}


def cases():
    """Name, model, what save_pretrained is told."""
    yield "gpt2", GPT2LMHeadModel(GPT2Config(**GPT2, **NONE)), {}
    untied = GPT2Config(**GPT2, **NONE, n_inner=50, tie_word_embeddings=False)
    yield "gpt2 untied, n_inner", GPT2LMHeadModel(untied), {}
    tokens = {"bos_token_id": 3, "eos_token_id": 5}
    bare = GPT2LMHeadModel(GPT2Config(**GPT2, **tokens, layer_norm_epsilon=1e-3)).transformer
    yield "gpt2 without a head's class", bare, {}
    llama = LlamaConfig(**LLAMA, **NONE, num_key_value_heads=2)
    yield "llama, grouped queries", LlamaForCausalLM(llama), {}
    tied = LlamaConfig(**LLAMA, **NONE, tie_word_embeddings=True, rms_norm_eps=1e-4, **theta(5e5))
    yield "llama tied, theta, shards", LlamaForCausalLM(tied), {"max_shard_size": "20KB"}
    yield "llama bfloat16", LlamaForCausalLM(llama).to(torch.bfloat16), {}
    yield "gpt2 float16", GPT2LMHeadModel(GPT2Config(**GPT2, **NONE)).half(), {}


def randomize(model):
    """Zeros and ones would hide a swapped tensor."""
    for p in model.parameters():
        with torch.no_grad():
            p.add_(torch.randn_like(p) * 0.1)


def load(kind, folder):
    """In float, whatever the files hold: the same values, and constants that were never rounded."""
    model, info = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    complaints = [key for key in info if info[key]]
    return model.eval(), complaints


def logits_of(model, tokens):
    with torch.no_grad():
        return model(tokens).logits


def check(name, model, options, exchange):
    randomize(model)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        model.save_pretrained(folder, **options)
        tokens = torch.randint(71, (1, 24))
        (folder / "tokens.json").write_text(json.dumps(tokens[0].tolist()))
        exchange("logits", folder)
        kind = type(model) if hasattr(model, "lm_head") else GPT2LMHeadModel
        expected = logits_of(load(kind, folder)[0], tokens)
        ours = load_file(folder / "logits.safetensors")["logits"]
        error = ((ours - expected).norm() / expected.norm()).item()
        back, complaints = load(kind, folder / "saved")
        same = torch.equal(logits_of(back, tokens), expected)
        if not error < 2e-6 or complaints or not same:
            sys.exit(f"{name}: relative error {error}, complaints {complaints}, same {same}")
        files = sum(1 for f in folder.glob("*.safetensors")) - 1
        print(f"{name}: {files} file(s), logits within {error:.1e}; saved here, loaded there: same")


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(1)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    for name, model, options in cases():
        check(name, model, options, sys.argv[1])


if __name__ == "__main__":
    main()
