"""Writes the numbers that our models are tested against: a tiny GPT-2 and a tiny LLaMA in plain
PyTorch, with their logits, loss, gradients and ten steps of AdamW.

    python -m venv venv && venv/bin/pip install torch==2.13.0 safetensors numpy
    venv/bin/python tests/interop/regenerate.py

Parameters are float; everything that follows from them is computed in double, so that the
differences which the tests see are ours alone.
"""

import json
import math
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent
STEPS = 10
BATCH = 2
IGNORED = -1
ADAMW = {"lr": 3e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0}

GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 61,
    "n_positions": 11,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "layer_norm_epsilon": 1e-5,
    "activation_function": "gelu_new",
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "tie_word_embeddings": True,
}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 61,
    "max_position_embeddings": 11,
    "hidden_size": 32,
    "intermediate_size": 75,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}


def attention(q, k, v):
    """q [B, NH, T, HS]; k, v [B, NKV, T, HS]."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    future = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(dim=3) @ v


def split_heads(x, heads):
    B, T, C = x.shape
    return x.view(B, T, heads, C // heads).transpose(1, 2)


def join_heads(x):
    B, H, T, D = x.shape
    return x.transpose(1, 2).reshape(B, T, H * D)


class Gpt2Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["n_embd"]
        self.heads = c["n_head"]
        self.norm1 = nn.LayerNorm(width, eps=c["layer_norm_epsilon"])
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=c["layer_norm_epsilon"])
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = (split_heads(y, self.heads) for y in self.qkv(self.norm1(x)).chunk(3, dim=2))
        x = x + self.proj(join_heads(attention(q, k, v)))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    def names(self, l):
        """Parameters by the names that GPT-2's files give them; Conv1D keeps weights [in, out]."""
        h = f"transformer.h.{l}."
        for name, norm in (("ln_1", self.norm1), ("ln_2", self.norm2)):
            yield h + name + ".weight", norm.weight, False
            yield h + name + ".bias", norm.bias, False
        linears = (("attn.c_attn", self.qkv), ("attn.c_proj", self.proj))
        for name, linear in (*linears, ("mlp.c_fc", self.up), ("mlp.c_proj", self.down)):
            yield h + name + ".weight", linear.weight, True
            yield h + name + ".bias", linear.bias, False


class Gpt2(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte = nn.Embedding(c["vocab_size"], c["n_embd"])
        self.wpe = nn.Embedding(c["n_positions"], c["n_embd"])
        self.blocks = nn.ModuleList(Gpt2Block(c) for _ in range(c["n_layer"]))
        self.norm = nn.LayerNorm(c["n_embd"], eps=c["layer_norm_epsilon"])

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.wte.weight.T

    def names(self):
        yield "transformer.wte.weight", self.wte.weight, False
        yield "transformer.wpe.weight", self.wpe.weight, False
        for l, block in enumerate(self.blocks):
            yield from block.names(l)
        yield "transformer.ln_f.weight", self.norm.weight, False
        yield "transformer.ln_f.bias", self.norm.bias, False


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(dim=2, keepdim=True) + self.eps) * self.weight


def rotate(x, base):
    """Turns the pairs (x[i], x[i + HS / 2]) of every head by position * base^(-2 i / HS)."""
    T, half = x.shape[2], x.shape[3] // 2
    speed = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(T, dtype=torch.float64)[:, None] * speed
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=3)


class LlamaBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, hidden = c["hidden_size"], c["intermediate_size"]
        self.heads, self.kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        self.base = c["rope_theta"]
        kv_width = width // self.heads * self.kv_heads
        self.norm1 = RmsNorm(width, c["rms_norm_eps"])
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, kv_width, bias=False)
        self.v = nn.Linear(width, kv_width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.norm2 = RmsNorm(width, c["rms_norm_eps"])
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        y = self.norm1(x)
        q = rotate(split_heads(self.q(y), self.heads), self.base)
        k = rotate(split_heads(self.k(y), self.kv_heads), self.base)
        v = split_heads(self.v(y), self.kv_heads)
        x = x + self.proj(join_heads(attention(q, k, v)))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))

    def names(self, l):
        h = f"model.layers.{l}."
        yield h + "input_layernorm.weight", self.norm1.weight, False
        yield h + "self_attn.q_proj.weight", self.q.weight, False
        yield h + "self_attn.k_proj.weight", self.k.weight, False
        yield h + "self_attn.v_proj.weight", self.v.weight, False
        yield h + "self_attn.o_proj.weight", self.proj.weight, False
        yield h + "post_attention_layernorm.weight", self.norm2.weight, False
        yield h + "mlp.gate_proj.weight", self.gate.weight, False
        yield h + "mlp.up_proj.weight", self.up.weight, False
        yield h + "mlp.down_proj.weight", self.down.weight, False


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.blocks = nn.ModuleList(LlamaBlock(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.head = nn.Linear(c["hidden_size"], c["vocab_size"], bias=False)

    def forward(self, tokens):
        x = self.wte(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def names(self):
        yield "model.embed_tokens.weight", self.wte.weight, False
        for l, block in enumerate(self.blocks):
            yield from block.names(l)
        yield "model.norm.weight", self.norm.weight, False
        yield "lm_head.weight", self.head.weight, False


def randomize(model):
    """Large enough that every part matters and the gradient is clipped; nothing is zero or one."""
    for p in model.parameters():
        with torch.no_grad():
            p.copy_(torch.randn_like(p) * (0.15 if p.dim() == 2 else 0.1))
    for name, p in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            with torch.no_grad():
                p.add_(1)


def make_batches(vocabulary, length):
    tokens = torch.randint(vocabulary, (STEPS, BATCH, length + 1))
    targets = tokens[:, :, 1:].clone()
    targets[0, 1, 3] = IGNORED
    return tokens[:, :, :-1].contiguous(), targets


def loss_of(logits, targets):
    V = logits.shape[2]
    return F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1), ignore_index=IGNORED)


def train(model, tokens, targets):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    decay = ADAMW["weight_decay"]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    betas = (ADAMW["beta1"], ADAMW["beta2"])
    optimizer = torch.optim.AdamW(groups, lr=ADAMW["lr"], betas=betas, eps=ADAMW["eps"])
    losses, norms = [], []
    for x, y in zip(tokens, targets):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), ADAMW["clip"]).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def named(model, pick):
    tensors = {}
    for name, parameter, transposed in model.names():
        value = pick(parameter).detach().float()
        tensors[name] = (value.T if transposed else value).contiguous().clone()
    return tensors


def write(name, model, config):
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    length = config.get("n_positions") or config["max_position_embeddings"]
    tokens, targets = make_batches(config["vocab_size"], length)
    randomize(model)
    save_file(named(model, lambda p: p), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    model = model.double()
    logits = model(tokens[0])
    loss = loss_of(logits, targets[0])
    loss.backward()
    save_file(named(model, lambda p: p.grad), folder / "gradients.safetensors", {"format": "pt"})
    save_file({"logits": logits.detach().float()}, folder / "logits.safetensors")

    losses, norms = train(model, tokens, targets)
    numbers = {
        "torch": torch.__version__,
        "tokens": tokens.tolist(),
        "targets": targets.tolist(),
        "loss": loss.item(),
        "adamw": ADAMW,
        "losses": losses,
        "gradient_norms": norms,
    }
    (folder / "numbers.json").write_text(json.dumps(numbers) + "\n")
    print(f"{name}: loss {loss.item():.6f}, then {losses[-1]:.6f}; gradient norm {norms[0]:.3f}")


def main():
    torch.manual_seed(2026)
    write("gpt2", Gpt2(GPT2), GPT2)
    write("llama", Llama(LLAMA), LLAMA)


if __name__ == "__main__":
    main()
