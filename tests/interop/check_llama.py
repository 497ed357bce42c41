"""llama.cpp opens our GGUF files, by way of the package node-llama-cpp: GPT-2- and LLaMA-shaped, in F32, Q8_0 and Q4_0.

In F32 its greedy continuations of five prompts are ours, token by token, from the model in floats and from the engine
over the file. The weights of the quantized formats are the same to the bit (check_gguf.py), and the distributions of
the next token are compared, twice.

With the engine: both round activations to 8 bits, 32 values a block, before they multiply, so that only the order of
sums differs, until a value lies so near the middle between two steps that this decides how it is rounded. Such a step
is 1/127 of the largest value in its block; a few of them in a pass move a logit by a thousandth of its size, about 10
here (measured: so far lies the likeliest token's above the mean), and a probability p by p (1 - p) 0.01. With room for
ten such steps in a row that is 0.025.

With the model in floats, from the same weights: there all of the rounding differs. The largest value in a block is some
2.5 times the values' deviation, so that a rounded value is off by 2.5 / 127 / sqrt(12) = 0.6% of it, and so is a
product. Nine products lie behind one another in two layers and the head: sqrt(9) * 0.6% = 1.7%, of a logit of 10 that
is 0.17, and a probability is off by p (1 - p) 0.17, at most 0.043.

In F32 only the order of sums differs, and GPT-2's GELU, which comes from a table in half precision. LIMITS holds this,
and README.md what was measured.
"""
import pathlib
import subprocess
import sys
import tempfile

import lines
import numpy
from peers import BUILD, FAMILIES, HERE, exchange, make_corpus, our_ids, read_json, require, tinygpt, train, write_json
from safetensors.numpy import load_file

PROMPTS = ["the cat ", "a fox followed", "Mara waited for the quiet", "der B\u00e4r found 3",
           "\u732b didn't like nobody, and"]
COUNT = 48
KINDS = ("f32", "q8_0", "q4_0")
# The largest difference of any token's probability, and the mean divergence (Kullback-Leibler, nats) over all places.
LIMITS = {
    "engine": {"f32": (1e-3, 1e-5), "q8_0": (0.025, 2e-5), "q4_0": (0.025, 2e-5)},
    "floats": {"f32": (1e-3, 1e-5), "q8_0": (0.045, 2e-4), "q4_0": (0.045, 2e-4)},
}


def ask_llama(folder, request):
    asked, answered = folder / "request.json", folder / "result.json"
    command = ["node", str(HERE / "llama.mjs"), str(BUILD / "interop"), str(write_json(asked, request)), str(answered)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          timeout=240)
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
    """Of every place: the sum of p log(p / q), p ours, once rounding no longer spoils that both add up to 1."""
    smallest = 1e-12
    p, q = (x / x.sum(axis=1, keepdims=True) + smallest for x in (ours, theirs))
    return (p * numpy.log(p / q)).sum(axis=1)


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
    engines = our_continuations(folder, files["f32"], prompts)
    for prompt, ours, cached, theirs in zip(PROMPTS, written, engines, answers["f32"]["continuations"]):
        require(ours == theirs == cached,
                "%s: after %r we write %s, the engine %s, llama.cpp %s" % (family, prompt, ours, cached, theirs))
    print("%s: %d prompts continued greedily by %d tokens: the same tokens" % (family, len(PROMPTS), COUNT))
    for kind in KINDS:
        theirs = answers[kind]["probabilities"]
        compare(family, kind, "engine", our_probabilities(folder, files[kind], paths), theirs)
        tinygpt("import", files[kind], "--out", folder / kind, "--overwrite")
        compare(family, kind, "floats", our_probabilities(folder, folder / kind, paths), theirs)


def compare(family, kind, path, ours, theirs):
    ours, theirs = numpy.concatenate(ours), numpy.concatenate([numpy.array(rows) for rows in theirs])
    require(abs(theirs.sum(axis=1) - 1).max() < 1e-3, "llama.cpp's probabilities do not add up to 1")
    most, mean = abs(ours - theirs).max(), divergences(ours, theirs).mean()
    agree = (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()
    print("%s, %s, our %s: %d distributions: a probability differs by %.2g at most, the divergence is %.2g nats in the "
          "mean; the likeliest token is the same in %.1f%%" % (family, kind, path, len(ours), most, mean, 100 * agree))
    limits = LIMITS[path][kind]
    require(most < limits[0] and mean < limits[1], "more than %g and %g" % limits)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for family in FAMILIES:
            # One tokenizer as GPT-2's, one as SmolLM's: llama.cpp calls them gpt-2 and smollm.
            check_family(folder, make_corpus(folder, family + "-corpus", digits=family == "llama"), family, 250)


if __name__ == "__main__":
    main()
