"""llama.cpp opens our GGUF files, by way of the package node-llama-cpp: GPT-2- and LLaMA-shaped, in F32, Q8_0 and Q4_0.

In F32 its greedy continuations of five prompts are ours, token by token. In the quantized formats the weights are the
same to the bit (check_gguf.py), and the distributions of the next token are compared. They differ because llama.cpp
multiplies quantized weights with activations that it rounds to 8 bits, 32 values a block, and our float path does not:
a value is off by at most 1/254 of the largest in its block, so that a product's result is off by a few thousandths of
its size, and logits of a few units by about a hundredth. A probability p then moves by about p (1 - p) / 100, at most
0.0025, and a few such errors in a row may add up. Measured: 0.0045 at most and 5.4e-6 nats in the mean; F32, where only
the order of sums and GPT-2's GELU (from a table in half precision) differ, 5e-5 and 3.3e-8. LIMITS leaves room for
other processors.
"""
import pathlib
import subprocess
import sys
import tempfile

import lines
import numpy
from peers import BUILD, FAMILIES, HERE, exchange, make_corpus, our_ids, read_json, require, tinygpt, train, write_json
from safetensors.numpy import load_file

PROMPTS = ["the cat ", "a fox followed", "Mara waited for the quiet", "der B\u00e4r found 3", "\u732b didn't like nobody, and"]
COUNT = 48
KINDS = ("f32", "q8_0", "q4_0")
# The largest difference of any token's probability, and the mean divergence (Kullback-Leibler, nats) over all places.
LIMITS = {"f32": (5e-4, 1e-6), "q8_0": (0.02, 1e-4), "q4_0": (0.02, 1e-4)}


def ask_llama(folder, request):
    asked, answered = folder / "request.json", folder / "result.json"
    command = ["node", str(HERE / "llama.mjs"), str(BUILD / "interop"), str(write_json(asked, request)), str(answered)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=240)
    if done.returncode != 0:
        sys.exit("node-llama-cpp: " + done.stdout.decode("utf-8", "replace")[-4000:])
    return read_json(answered)


def our_continuations(folder, model, prompts):
    exchange("continue", model, write_json(folder / "prompts.json", prompts), COUNT, folder / "continued.json")
    return read_json(folder / "continued.json")


def our_probabilities(folder, file, paths):
    exchange("probabilities", file, write_json(folder / "paths.json", paths), folder / "rows.safetensors")
    rows = load_file(folder / "rows.safetensors")
    return [rows[str(i)].astype(numpy.float64) for i in range(len(paths))]


def divergences(ours, theirs):
    """Of every place: sum of p log(p / q), p ours."""
    smallest = 1e-12
    return (ours * (numpy.log(ours + smallest) - numpy.log(theirs + smallest))).sum(axis=1)


def check_family(folder, corpus, family, steps):
    model = train(corpus, folder, family, steps)
    files = {kind: folder / ("%s-%s.gguf" % (family, kind)) for kind in KINDS}
    for kind, file in files.items():
        tinygpt("export", model, "--type", kind, "--out", file)
    prompts = our_ids(model, PROMPTS)
    written = our_continuations(folder, model, prompts)
    paths = [(prompt + new)[:60] for prompt, new in zip(prompts, written)]
    texts = lines.multilingual_lines(500, seed=7)
    request = [{"file": str(files[kind]), "texts": texts if kind == "f32" else [],
                "prompts": prompts if kind == "f32" else [], "count": COUNT, "paths": paths} for kind in KINDS]
    answers = dict(zip(KINDS, ask_llama(folder, request)))
    for text, ours, theirs in zip(texts, our_ids(model, texts), answers["f32"]["ids"]):
        require(ours == theirs, "%s: %r: our ids %s, llama.cpp's %s" % (family, text, ours, theirs))
    print("%s: %d lines in many scripts: the same ids" % (family, len(texts)))
    for prompt, ours, theirs in zip(PROMPTS, written, answers["f32"]["continuations"]):
        require(ours == theirs, "%s: after %r we write %s and llama.cpp %s" % (family, prompt, ours, theirs))
    print("%s: %d prompts continued greedily by %d tokens: the same tokens" % (family, len(PROMPTS), COUNT))
    for kind in KINDS:
        compare(family, kind, our_probabilities(folder, files[kind], paths), answers[kind]["probabilities"])


def compare(family, kind, ours, theirs):
    ours, theirs = numpy.concatenate(ours), numpy.concatenate([numpy.array(rows) for rows in theirs])
    require(abs(theirs.sum(axis=1) - 1).max() < 1e-3, "llama.cpp's probabilities do not add up to 1")
    most, mean = abs(ours - theirs).max(), divergences(ours, theirs).mean()
    agree = (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()
    print("%s, %s: %d distributions: a probability differs by %.2g at most, the divergence is %.2g nats in the mean; "
          "the likeliest token is the same in %.1f%%" % (family, kind, len(ours), most, mean, 100 * agree))
    limits = LIMITS[kind]
    require(most < limits[0] and mean < limits[1], "more than %g and %g" % limits)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        corpus = make_corpus(folder)
        for family in FAMILIES:
            check_family(folder, corpus, family, 250)


if __name__ == "__main__":
    main()
