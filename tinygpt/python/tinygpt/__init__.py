"""Build, train and look into small GPTs.

    import tinygpt
    model = tinygpt.Model.load("models/demo")
    print(model.generate("Once upon a time").text)
    trace = model.trace(model.tokenizer.encode("Tom had a red ball."))
    trace["h.0.attention"]  # [heads, T, T]

Text becomes integers in `Tokenizer`, training text lies in a `Corpus`, `Config` is the shape of a `Model`, `Trainer`
trains it (or an `Adapter` beside it), `Trace` is every tensor of one forward pass, `quantize` shows what eight or four
bits keep of an array, and `Model.quantize` rounds a whole model. Arrays are NumPy's. Whatever is wrong with a file or a
value raises `tinygpt.Error`, a wrong type raises `TypeError`.
"""
from dataclasses import dataclass as _dataclass
from typing import Any as _Any, Optional as _Optional

from tinygpt._core import (Adapter, Config, Corpus, Error, Model, Quantized, Step, Tokenizer, Trace, Trainer,
                           config_names, floor, quantize, sampling_distribution, set_threads, stories)

__all__ = ["Adapter", "Config", "Corpus", "Error", "Generation", "Model", "Quantized", "Step", "Tokenizer", "Trace",
           "Trainer", "config_names", "floor", "quantize", "sampling_distribution", "set_threads", "stories"]


@_dataclass(frozen=True)
class Generation:
    """What a model wrote."""
    tokens: _Any  # int32 [n]: the new tokens
    probabilities: _Any  # float32 [n]: what the model gave to each, before temperature and cuts
    distributions: _Any  # float32 [n, V]: what it gave to every token, where that was asked for; else None
    text: _Optional[str]  # the tokens as text; None without a tokenizer


def _generate(self, prompt, max_tokens=64, *, temperature=0.8, top_k=0, top_p=1.0, seed=1, stop_token=None,
              distributions=False, on_token=None):
    """Continues a prompt: a text, or ids [T] (at least one). Gives a Generation.

    stop_token ends the text and is not part of it (the model's eos_token where it is not given; -1: none).
    on_token(id) is called with each new token and ends the text by returning False. Ctrl-C ends it, too.
    """
    tokens, probabilities, kept = self._generate(prompt, max_tokens, temperature, top_k, top_p, seed, stop_token,
                                                 distributions, on_token)
    text = self.tokenizer.decode(tokens) if self.tokenizer is not None else None
    return Generation(tokens, probabilities, kept, text)


_generate.__name__ = "generate"
_generate.__qualname__ = "Model.generate"
Model.generate = _generate
