"""Writes what tests/python compares every tensor of a pass with: the same two models as regenerate.py's, with the
weights that it wrote, taken apart in PyTorch.

    python -m venv venv && venv/bin/pip install torch==2.13.0 safetensors numpy
    venv/bin/python tests/interop/regenerate_intermediates.py

Any PyTorch from 1.12 on will do: 1.13 and 2.13 write the same values to the last bit. Computed in double from the
float weights, for the first sequence of the first batch, and kept as float.
"""

import json
import pathlib

import numpy
import torch
import torch.nn.functional as F
from regenerate import Gpt2, Llama, attention, join_heads, rotate, split_heads
from safetensors.torch import load_file

FOLDER = pathlib.Path(__file__).parent


def weights(q, k):
    """Attention's weights [1, NH, T, T], by way of values that are a one in each place."""
    T = k.shape[2]
    return attention(q, k, torch.eye(T, dtype=q.dtype).expand(1, k.shape[1], T, T))


def gpt2_block(block, x, keep):
    keep("input", x)
    y = keep("norm1", block.norm1(x))
    q, k, v = (split_heads(part, block.heads) for part in block.qkv(y).chunk(3, dim=2))
    x = attend(block, x, q, k, v, keep)
    up = keep("up", block.up(keep("norm2", block.norm2(x))))
    return keep("output", x + block.down(keep("act", F.gelu(up, approximate="tanh"))))


def llama_block(block, x, keep):
    keep("input", x)
    y = keep("norm1", block.norm1(x))
    q = rotate(split_heads(block.q(y), block.heads), block.base)
    k = rotate(split_heads(block.k(y), block.kv_heads), block.base)
    x = attend(block, x, q, k, split_heads(block.v(y), block.kv_heads), keep)
    y = keep("norm2", block.norm2(x))
    gate, up = block.gate(y), block.up(y)
    keep("up", torch.cat((gate, up), dim=2))
    return keep("output", x + block.down(keep("act", F.silu(gate) * up)))


def attend(block, x, q, k, v, keep):
    keep("q", q), keep("k", k), keep("v", v)
    keep("attention", weights(q, k))
    return keep("middle", x + block.proj(join_heads(keep("heads", attention(q, k, v)))))


def load(name, kind):
    config = json.loads((FOLDER / name / "config.json").read_text())
    model = kind(config)
    values = load_file(FOLDER / name / "model.safetensors")
    with torch.no_grad():
        for key, parameter, transposed in model.names():
            parameter.copy_(values[key].T if transposed else values[key])
    return model.double()


def trace(name, kind, tensors):
    model = load(name, kind)
    tokens = torch.tensor(json.loads((FOLDER / name / "numbers.json").read_text())["tokens"][0][:1])

    def keeper(prefix):
        def keep(what, value):
            tensors[name + "/" + prefix + what] = value[0].detach().float().numpy()
            return value
        return keep

    keep = keeper("")
    x = model.wte(tokens)
    if kind is Gpt2:
        x = x + model.wpe(torch.arange(tokens.shape[1]))
    keep("embeddings", x)
    for l, block in enumerate(model.blocks):
        x = (gpt2_block if kind is Gpt2 else llama_block)(block, x, keeper(f"h.{l}."))
    y = keep("norm_f", model.norm(x))
    logits = keep("logits", y @ model.wte.weight.T if kind is Gpt2 else model.head(y))
    assert torch.equal(logits, model(tokens)), "the taken-apart pass is not the model's"


def main():
    tensors = {}
    trace("gpt2", Gpt2, tensors)
    trace("llama", Llama, tensors)
    numpy.savez_compressed(FOLDER / "intermediates.npz", **tensors)
    print(f"{len(tensors)} tensors, torch {torch.__version__}")


if __name__ == "__main__":
    main()
