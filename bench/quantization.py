#!/usr/bin/env python3
"""A trained model under every quantization method: bytes, perplexity on held-out text, divergence from the float model.

    bench/quantization.py --program build/default/bin/tinygpt --model models/nano --data data/tinytales --context 128

Writes bench/results/quantization.md, and bench/results/quantization.tsv, which lesson 21 draws. The calibration text is
the corpus's training split, the held-out one its validation split. Results that are there for the same model are kept
in --work, so that a run that was stopped goes on.
"""
import argparse
import array
import hashlib
import json
import math
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
EIGHT, NEAREST, UNCLIPPED, AWQ, GPTQ = "8 bits (Q8_0)", "round to nearest", "AWQ, no clipping", "AWQ", "GPTQ"
SEARCHED = "nearest, scales searched"
# (name, weights that share a scale, options)
# A scale for 32 weights is a GGUF file's; other groups are written as a folder of rounded floats.
METHODS = [(EIGHT, 32, ["--method", "q8_0"]), ("8 bits", 128, ["--method", "q8_0"])] + [
    (name, group, options) for group in (32, 128) for name, options in (
        (NEAREST, ["--method", "q4_0"]),
        (SEARCHED, ["--method", "q4_0", "--scales", "searched"]),
        (UNCLIPPED, ["--method", "awq", "--scales", "absmax"]),
        (AWQ, ["--method", "awq"]),
        (GPTQ, ["--method", "gptq"]))]
OUTLIERS = (4, 20)  # so many channels behind each norm, so many times as large
# The norms' vectors, and the matrices that read what they make: GPT-2's are [in, out], LLaMA's [out, in].
NORMS = ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias", "input_layernorm.weight",
         "post_attention_layernorm.weight")
READERS_BY_ROWS = ("attn.c_attn.weight", "mlp.c_fc.weight")
READERS_BY_COLUMNS = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")


def run(arguments, *words):
    """What the program prints as JSON."""
    done = subprocess.run([arguments.program] + [str(word) for word in words] + ["--json", "--threads",
                                                                                str(arguments.threads)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return json.loads(done.stdout)


def with_outliers(model, folder):
    """A copy of a model that computes the same: channels of its norms made larger, the columns that read them smaller
    by as much. Large models have such channels by themselves."""
    os.makedirs(folder, exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(os.path.join(model, name), folder)
    with open(os.path.join(model, "model.safetensors"), "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        head, data = file.read(size), bytearray(file.read())
    tensors = json.loads(head)
    count, by = OUTLIERS

    def scale(name, factor, axis):
        """The values of those channels, which lie along this axis."""
        shape, (begin, end) = tensors[name]["shape"], tensors[name]["data_offsets"]
        values = array.array("f", data[begin:end])
        inner = shape[1] if len(shape) == 2 and axis == 0 else 1  # values of a channel that lie together
        period = shape[axis] * inner
        for channel in range(5, shape[axis], shape[axis] // count):
            for start in range(channel * inner, len(values), period):
                for k in range(start, start + inner):
                    values[k] *= factor
        data[begin:end] = values.tobytes()
    for name in tensors:
        if name.endswith(NORMS):
            scale(name, by, 0)
        elif name.endswith(READERS_BY_ROWS):
            scale(name, 1 / by, 0)
        elif name.endswith(READERS_BY_COLUMNS):
            scale(name, 1 / by, 1)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", size) + head + data)


def evaluate(arguments, model, *words, reference=None):
    return run(arguments, "eval", "--model", model, "--reference", reference or arguments.model, "--data",
               arguments.data, "--context", arguments.context, "--tokens", arguments.tokens, *words)


def measure(arguments, model, group, options):
    out = os.path.join(arguments.work, "quantized-%d" % os.getpid() + (".gguf" if group == 32 else ""))
    report = run(arguments, "quantize", "--model", model, "--out", out, "--overwrite", "--context",
                 arguments.context, "--sequences", arguments.sequences, "--calibration", arguments.data, "--group",
                 group, *options)
    result = evaluate(arguments, out, "--floats")
    if group == 32:
        result["integers"] = evaluate(arguments, out)
        os.remove(out)
    else:
        shutil.rmtree(out)
    linears = [m for m in report["matrices"] if m["name"] not in ("wte", "head")]
    result["bytes"] = report["bytes"]
    result["bits"] = 8 * sum(m["bytes"] for m in linears) / sum(m["values"] for m in linears)
    result["output_error"] = sum(m["output_error"] for m in linears) / len(linears)
    result["float_bytes"] = report["float_bytes"]
    return result


def measure_size(arguments, model):
    """One of several models of the same text: what 8 and 4 bits cost it."""
    out = os.path.join(arguments.work, "quantized-%d.gguf" % os.getpid())
    result = {"float": evaluate(arguments, model, reference=model)}
    for method in ("q8_0", "q4_0"):
        run(arguments, "quantize", "--model", model, "--out", out, "--method", method)
        result[method] = evaluate(arguments, out, reference=model)
        os.remove(out)
    return result


def key_of(arguments, what, folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        model = hashlib.sha256(file.read()).hexdigest()
    return json.dumps([model, arguments.data, arguments.context, arguments.tokens, arguments.sequences, what])


def remembered(arguments, what, compute, folder=None):
    """A result, from its file in --work where it has been computed before."""
    key = key_of(arguments, what, folder or arguments.model)
    path = os.path.join(arguments.work, hashlib.sha256(key.encode()).hexdigest()[:16] + ".json")
    if not os.path.exists(path):
        result = compute()
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def regained(plain, nearest, result, field):
    """The share of what rounding to nearest loses that another method wins back."""
    lost = nearest[field] - plain[field]
    return (nearest[field] - result[field]) / lost if lost else math.nan


def table(plain, rows):
    yield ("| method | scale for | bits a weight | MB | output error | perplexity | change | regained | divergence "
           "| regained |")
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    yield "| float | | 32.00 | %.2f | | %.5f | | | | |" % (rows[0][2]["float_bytes"] / 1e6, plain["perplexity"])
    nearest = {group: result for name, group, result in rows if name == NEAREST}
    for name, group, r in rows:
        change = 100 * (r["perplexity"] / plain["perplexity"] - 1)
        luck = 100 * math.sqrt(2 * r["divergence"] / r["tokens"])
        shares = ["", ""]
        if group in nearest and name not in (NEAREST, EIGHT, "8 bits"):
            shares = ["%.0f %%" % (100 * regained(plain, nearest[group], r, field))
                      for field in ("perplexity", "divergence")]
        yield "| %s | %s | %.2f | %.2f | %.3f %% | %.5f | %+.3f ± %.3f %% | %s | %.6f | %s |" % (
            name, group, r["bits"], r["bytes"] / 1e6, 100 * r["output_error"], r["perplexity"], change,
            luck, shares[0], r["divergence"], shares[1])


def table_of_integers(plain, rows):
    yield "| method | floats: perplexity | change | divergence | integers: perplexity | change | divergence |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, _, r in rows:
        if "integers" in r:
            cells = ["%.5f | %+.3f %% | %.6f" % (
                one["perplexity"], 100 * (one["perplexity"] / plain["perplexity"] - 1), one["divergence"])
                     for one in (r, r["integers"])]
            yield "| %s | %s |" % (name, " | ".join(cells))


def table_of_sizes(sizes):
    yield "| parameters | layers | width | float: perplexity | Q8_0 | change | Q4_0 | change | divergence |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for info, r in sizes:
        plain, eight, four = (r[name]["perplexity"] for name in ("float", "q8_0", "q4_0"))
        luck = 100 * math.sqrt(2 * r["q4_0"]["divergence"] / r["q4_0"]["tokens"])
        yield "| {:,} | {} | {} | {:.4f} | {:.4f} | {:+.2f} % | {:.4f} | {:+.2f} ± {:.2f} % | {:.5f} |".format(
            info["parameters"]["total"], info["config"]["layers"], info["config"]["width"], plain, eight,
            100 * (eight / plain - 1), four, 100 * (four / plain - 1), luck, r["q4_0"]["divergence"])


def write(plain, rows, outliers, sizes, about):
    folder = os.path.join(ROOT, "bench", "results")
    with open(os.path.join(folder, "quantization.tsv"), "w", encoding="utf-8") as file:
        file.write("model\tmethod\tgroup\tbits\tbytes\toutput_error\tperplexity\tdivergence\n")
        file.write("plain\tfloat\t\t32\t%d\t0\t%.6f\t0\n" % (rows[0][2]["float_bytes"], plain["perplexity"]))
        for model, some in (("plain", rows), ("outliers", outliers)):
            for name, group, r in some:
                file.write("%s\t%s\t%s\t%.4f\t%d\t%.6f\t%.6f\t%.7f\n" % (
                    model, name, group, r["bits"], r["bytes"], r["output_error"], r["perplexity"],
                    r["divergence"]))
    words = about + ["", "## As it was trained", ""] + list(table(plain, rows))
    words += ["", "## As `generate` computes", "",
              "Above, weights are rounded and then multiplied as floats: what a method does, and no more. `generate`",
              "reads a GGUF file, leaves its weights as integers, and rounds activations to eight bits, 32 to a scale,",
              "to meet them; so does `eval`, unless `--floats` is given. The same files both ways, a scale for 32",
              "weights:",
              ""] + list(table_of_integers(plain, rows))
    if sizes:
        words += ["", "## By size", "",
                  "Models of the same text, trained for as many steps, rounded to nearest and read as `generate` reads",
                  "them.", ""] + list(table_of_sizes(sizes))
    if outliers:
        words += ["", "## With a few large channels", "",
                  "The same model, written so that %d channels behind each norm are %d times as large, and" % OUTLIERS,
                  "the columns that read them as much smaller: it computes the same, up to rounding. Large language",
                  "models have such channels by themselves (Dettmers et al., LLM.int8()); a model of this size has",
                  "none.", ""] + list(table(plain, outliers))
        words += ["", "As `generate` computes:", ""] + list(table_of_integers(plain, outliers))
    with open(os.path.join(folder, "quantization.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(words) + "\n")


def about_text(arguments, info, plain):
    parameters = "{:,}".format(info["parameters"]["total"])
    with open(os.path.join(arguments.data, "corpus.json"), encoding="utf-8") as file:
        corpus = json.load(file)["name"]
    return [
        "# Quantization, measured",
        "",
        "Written by `bench/quantization.py`. One model of %s parameters (%s, %d layers, width %d), trained on %s."
        % (parameters, info["config"]["family"], info["config"]["layers"], info["config"]["width"], corpus),
        "%s." % arguments.note if arguments.note else "",
        "Held-out text: %d tokens in windows of %d; calibration: %d windows of the training text."
        % (plain["tokens"], arguments.context, arguments.sequences),
        "Processor: %s. The token embedding, which is the head as well, is in Q8_0 in every row but the first; norms,"
        % processor(),
        "biases and positions are floats.",
        "",
        "`output error` is the squared change of the linear layers' outputs over the calibration text, as a share of",
        "the outputs' squares, averaged over layers. `divergence` is Kullback and Leibler's, in nats per token, of the",
        "model's predictions from the float model's. `regained` is the share of what round to nearest loses at the",
        "same group size.",
        "",
        "A perplexity changes by luck, too. Predictions that have moved a little, to and fro, are better on some",
        "tokens and worse on others: over N tokens their mean loss is the divergence D more, give or take",
        "sqrt(2 D / N), where the float model's own probabilities are right. That is what stands behind ±. Where",
        "they are not, as in a model that is too sure of itself, predictions that move a little may be better, and",
        "more than 100 % is regained. A divergence compares whole distributions, has far less luck in it, and counts",
        "every move as a loss.",
        "",
        "`scales searched`: those with the least squared error of the weights. AWQ is its search for scales and its",
        "search for clipping together; `no clipping` is the first alone."]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "default", "bin", "tinygpt"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=10 ** 9, help="of the held-out text (default: all)")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", default="/tmp/tinygpt-quantization")
    parser.add_argument("--sizes", nargs="*", default=[], help="other models of the same text, beside --model")
    parser.add_argument("--plain", action="store_true", help="leave out the model with large channels")
    parser.add_argument("--note", default="", help="how the model was trained")
    return parser.parse_args()


def info_of(arguments, model):
    return json.loads(subprocess.run([arguments.program, "info", model, "--json"], capture_output=True, text=True,
                                     check=True).stdout)


def main():
    arguments = parse()
    os.makedirs(arguments.work, exist_ok=True)
    info = info_of(arguments, arguments.model)
    plain = remembered(arguments, "float", lambda: evaluate(arguments, arguments.model))
    both = {"": [], "outliers": []}
    with tempfile.TemporaryDirectory() as folder:
        models = [("", arguments.model)]
        if not arguments.plain:
            with_outliers(arguments.model, folder)
            models.append(("outliers", folder))
        for what, model in models:
            for name, group, options in METHODS:
                result = remembered(arguments, [what, group, options],
                                    lambda: measure(arguments, model, group, options))
                both[what].append((name, group, result))
                print("%-8s %-18s %-4s perplexity %.5f divergence %.6f" % (
                    what, name, group, result["perplexity"], result["divergence"]), flush=True)
    sizes = [(info_of(arguments, model), remembered(arguments, "size", lambda: measure_size(arguments, model), model))
             for model in arguments.sizes + [arguments.model] * bool(arguments.sizes)]
    write(plain, both[""], both["outliers"], sizes, about_text(arguments, info, plain))


if __name__ == "__main__":
    main()
