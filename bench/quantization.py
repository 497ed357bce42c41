#!/usr/bin/env python3
"""A trained model under every quantization method: bytes, perplexity on held-out text, divergence from the float model.

    bench/quantization.py --program build/default/bin/tinygpt --model models/nano --data data/tinytales --context 128

Writes bench/results/quantization.md, and bench/results/quantization.tsv, which lesson 21 draws. The calibration text is
the corpus's training split, the held-out one its validation split. Results that are there for the same model are kept
in --work, so that a run that was stopped goes on.
"""
import argparse
import hashlib
import json
import math
import os
import platform
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
NEAREST, SEARCHED, GPTQ, AWQ = "round to nearest", "nearest, searched scales", "GPTQ", "AWQ"
# (name, weights that share a scale, options); a group of 0 is a whole row.
METHODS = [("8 bits (Q8_0)", 32, ["--method", "q8_0"])]
for group in (32, 128, 0):
    METHODS.append((NEAREST, group, ["--method", "q4_0"]))
    if group == 32:
        METHODS.append((SEARCHED, group, ["--method", "q4_0", "--scales", "searched"]))
    METHODS.append((GPTQ, group, ["--method", "gptq"]))
    METHODS.append((AWQ, group, ["--method", "awq"]))
    if group == 32:
        METHODS.append(("GPTQ as in lesson 21", group,
                        ["--method", "gptq", "--order", "natural", "--scales", "absmax"]))
        METHODS.append(("AWQ, absmax scales", group, ["--method", "awq", "--scales", "absmax"]))


def run(arguments, *words):
    """What the program prints as JSON."""
    done = subprocess.run([arguments.program] + [str(word) for word in words] + ["--json", "--threads",
                                                                                str(arguments.threads)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return json.loads(done.stdout)


def evaluate(arguments, model):
    return run(arguments, "eval", "--model", model, "--reference", arguments.model, "--data", arguments.data,
               "--context", arguments.context, "--tokens", arguments.tokens)


def measure(arguments, group, options):
    out = os.path.join(arguments.work, "quantized")
    report = run(arguments, "quantize", "--model", arguments.model, "--out", out, "--overwrite", "--context",
                 arguments.context, "--sequences", arguments.sequences, "--calibration", arguments.data, "--group",
                 group, *options)
    result = evaluate(arguments, out)
    linears = [m for m in report["matrices"] if m["name"] not in ("wte", "head")]
    result["bytes"] = report["bytes"]
    result["bits"] = 8 * sum(m["bytes"] for m in linears) / sum(m["values"] for m in linears)
    result["output_error"] = sum(m["output_error"] for m in linears) / len(linears)
    result["float_bytes"] = report["float_bytes"]
    return result


def key_of(arguments, what):
    with open(os.path.join(arguments.model, "model.safetensors"), "rb") as file:
        model = hashlib.sha256(file.read()).hexdigest()
    return json.dumps([model, arguments.data, arguments.context, arguments.tokens, arguments.sequences, what])


def remembered(arguments, what, compute):
    path = os.path.join(arguments.work, "results.json")
    results = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    key = key_of(arguments, what)
    if key not in results:
        results[key] = compute()
        with open(path, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    return results[key]


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def group_text(group):
    return "row" if group == 0 else str(group)


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
        shares = ["", ""]
        if group in nearest and name not in (NEAREST, METHODS[0][0]):
            shares = ["%.0f %%" % (100 * regained(plain, nearest[group], r, field))
                      for field in ("perplexity", "divergence")]
        yield "| %s | %s | %.2f | %.2f | %.3f %% | %.5f | %+.4f %% | %s | %.6f | %s |" % (
            name, group_text(group), r["bits"], r["bytes"] / 1e6, 100 * r["output_error"], r["perplexity"], change,
            shares[0], r["divergence"], shares[1])


def write(arguments, plain, rows, about):
    folder = os.path.join(ROOT, "bench", "results")
    with open(os.path.join(folder, "quantization.tsv"), "w", encoding="utf-8") as file:
        file.write("method\tgroup\tbits\tbytes\toutput_error\tperplexity\tdivergence\n")
        file.write("float\t\t32\t%d\t0\t%.6f\t0\n" % (rows[0][2]["float_bytes"], plain["perplexity"]))
        for name, group, r in rows:
            file.write("%s\t%s\t%.4f\t%d\t%.6f\t%.6f\t%.7f\n" % (
                name, group_text(group), r["bits"], r["bytes"], r["output_error"], r["perplexity"], r["divergence"]))
    words = about + [""] + list(table(plain, rows))
    with open(os.path.join(folder, "quantization.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(words) + "\n")


def about_text(arguments, info, plain):
    parameters = "{:,}".format(info["parameters"]["total"])
    corpus = os.path.basename(os.path.normpath(arguments.data))
    return [
        "# Quantization, measured",
        "",
        "Written by `bench/quantization.py`. One model of %s parameters (%s, %d layers, width %d), trained on %s%s."
        % (parameters, info["config"]["family"], info["config"]["layers"], info["config"]["width"], corpus,
           "; " + arguments.note if arguments.note else ""),
        "Held-out text: %d tokens in windows of %d; calibration: %d windows of the training text."
        % (plain["tokens"], arguments.context, arguments.sequences),
        "Processor: %s. The token embedding, which is the head as well, is in Q8_0 in every row but the first; norms,"
        % processor(),
        "biases and positions are floats.",
        "",
        "`output error` is the squared change of the linear layers' outputs over the calibration text, as a share of",
        "the outputs' squares, averaged over layers. `divergence` is Kullback and Leibler's, in nats per token, of the",
        "model's predictions from the float model's. `regained` is the share of what round to nearest loses at the",
        "same group size. A perplexity can change by luck: to first order, a change of the weights moves the loss by",
        "its gradient times the change, which is of either sign. A divergence has no such term."]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "default", "bin", "tinygpt"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--tokens", type=int, default=40000)
    parser.add_argument("--sequences", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", default="/tmp/tinygpt-quantization")
    parser.add_argument("--note", default="", help="how the model was trained")
    return parser.parse_args()


def main():
    arguments = parse()
    os.makedirs(arguments.work, exist_ok=True)
    info = json.loads(subprocess.run([arguments.program, "info", arguments.model, "--json"], capture_output=True,
                                     text=True, check=True).stdout)
    plain = remembered(arguments, "float", lambda: evaluate(arguments, arguments.model))
    rows = []
    for name, group, options in METHODS:
        rows.append((name, group, remembered(arguments, [group, options],
                                             lambda: measure(arguments, group, options))))
        print("%-26s %-4s perplexity %.5f divergence %.6f" % (name, group_text(group), rows[-1][2]["perplexity"],
                                                              rows[-1][2]["divergence"]), flush=True)
    write(arguments, plain, rows, about_text(arguments, info, plain))


if __name__ == "__main__":
    main()
