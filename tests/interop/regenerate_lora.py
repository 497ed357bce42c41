"""Writes the numbers that our adapters are tested against: the tiny models of regenerate.py, frozen,
with LoRA adapters beside every linear layer in plain PyTorch; their loss, every gradient and ten
steps of AdamW over the adapters alone.

    python -m venv venv && venv/bin/pip install torch==2.13.0 safetensors numpy
    venv/bin/python tests/interop/regenerate_lora.py

It reads tests/interop/gpt2 and llama, and changes nothing there but the folder lora.
"""

import json

import torch
import torch.nn as nn
from safetensors.torch import load_file, save_file

import regenerate as base

RANK, ALPHA = 3, 5
ADAMW = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0}


class LoraLinear(nn.Module):
    """out = x W^T + b + (alpha / rank) (x A^T) B^T, W and b frozen."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear
        self.a = nn.Parameter(torch.randn(RANK, linear.in_features, dtype=torch.float32) * 0.2)
        self.b = nn.Parameter(torch.randn(linear.out_features, RANK, dtype=torch.float32) * 0.2)

    def forward(self, x):
        return self.linear(x) + (ALPHA / RANK) * (x @ self.a.T) @ self.b.T


def load(model, folder):
    tensors = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for name, parameter, transposed in model.names():
            parameter.copy_(tensors[name].T if transposed else tensors[name])


def adapt(model):
    """Puts an adapter beside every linear layer of the blocks; gives them by PEFT's names."""
    weights = {id(parameter): name for name, parameter, _ in model.names()}
    for p in model.parameters():
        p.requires_grad_(False)
    adapters = {}
    for block in model.blocks:
        for child, linear in list(block.named_children()):
            if isinstance(linear, nn.Linear):
                adapter = LoraLinear(linear)
                setattr(block, child, adapter)
                module = weights[id(linear.weight)].removesuffix(".weight")
                adapters["base_model.model." + module] = adapter
    return adapters


def halves(adapters, pick):
    tensors = {}
    for module, adapter in adapters.items():
        tensors[module + ".lora_A.weight"] = pick(adapter.a).detach().float().contiguous().clone()
        tensors[module + ".lora_B.weight"] = pick(adapter.b).detach().float().contiguous().clone()
    return tensors


def train(model, parameters, tokens, targets):
    options = {"lr": ADAMW["lr"], "betas": (ADAMW["beta1"], ADAMW["beta2"]), "eps": ADAMW["eps"]}
    optimizer = torch.optim.AdamW(parameters, weight_decay=ADAMW["weight_decay"], **options)
    losses, norms = [], []
    for x, y in zip(tokens, targets):
        optimizer.zero_grad()
        loss = base.loss_of(model(x), y)
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(parameters, ADAMW["clip"]).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def write(name, kind, config):
    folder = base.FOLDER / name
    model = kind(config)
    load(model, folder)
    adapters = adapt(model)
    numbers = json.loads((folder / "numbers.json").read_text())
    tokens, targets = torch.tensor(numbers["tokens"]), torch.tensor(numbers["targets"])
    out = folder / "lora"
    out.mkdir(exist_ok=True)
    save_file(halves(adapters, lambda p: p), out / "adapter_model.safetensors", {"format": "pt"})
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none"}
    (out / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")

    model = model.double()
    loss = base.loss_of(model(tokens[0]), targets[0])
    loss.backward()
    save_file(halves(adapters, lambda p: p.grad), out / "gradients.safetensors", {"format": "pt"})
    parameters = [p for a in adapters.values() for p in (a.a, a.b)]
    losses, norms = train(model, parameters, tokens, targets)
    values = {"torch": torch.__version__, "loss": loss.item(), "adamw": ADAMW}
    values |= {"losses": losses, "gradient_norms": norms}
    (out / "numbers.json").write_text(json.dumps(values) + "\n")
    print(f"{name}: {len(adapters)} adapters, loss {loss.item():.6f}, then {losses[-1]:.6f}")


def main():
    torch.manual_seed(19)
    write("gpt2", base.Gpt2, base.GPT2)
    write("llama", base.Llama, base.LLAMA)


if __name__ == "__main__":
    main()
