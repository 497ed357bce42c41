#!/usr/bin/env python3
"""Prompts and texts beside llama.cpp, on the same GGUF files, in turn.

    bench/llama_cpp.py [--write] [--rounds N] [--threads N] [--llama-bench PROGRAM] [--build FOLDER] [--json FILE]

A model of random weights in the shape of 110M LLaMA is written as Q8_0, Q4_0 and F32. Reading a prompt of 256 tokens
and writing 64 are timed with build/default/bin/bench-inference and with llama.cpp's own llama-bench, one round of each
in turn. llama-bench is compiled, once, for this machine, from the source that the npm package node-llama-cpp carries:
that needs npm, git and cmake, some minutes, and is kept in bench/.llama. --write records the result in
bench/results/llama_cpp.md. On a machine that does other work, too, the figures say little.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PACKAGE = "node-llama-cpp@3.22.1"
FOLDER = os.path.join(ROOT, "bench", ".llama")
TYPES = ("q8_0", "q4_0", "f32")
PROMPT, TEXT = 256, 64
AIMS = {("q8_0", "decode"): 2.0, ("q4_0", "decode"): 1.5}
PREFILL_AIM = 1.5  # times the best of llama.cpp's formats


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode != 0:
        raise SystemExit("%s failed:\n%s" % (" ".join(command), done.stdout[-2000:]))
    return done.stdout


def build_llama_bench():
    program = os.path.join(FOLDER, "build", "bin", "llama-bench")
    if os.path.exists(program):
        return program
    for tool in ("npm", "git", "cmake"):
        if shutil.which(tool) is None:
            raise SystemExit("bench/llama_cpp.py: %s is needed to build llama-bench; or name one: --llama-bench" % tool)
    print("building llama-bench, once; this takes some minutes", flush=True)
    os.makedirs(FOLDER, exist_ok=True)
    run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", FOLDER, PACKAGE)
    bundle = os.path.join(FOLDER, "node_modules", "node-llama-cpp", "llama", "gitRelease.bundle")
    source = os.path.join(FOLDER, "source")
    if not os.path.isdir(source):
        run("git", "clone", "--quiet", bundle, source)
    run("cmake", "-S", source, "-B", os.path.join(FOLDER, "build"), "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
        "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF")
    run("cmake", "--build", os.path.join(FOLDER, "build"), "--target", "llama-bench", "--parallel", "2")
    return program


def one_of_theirs(program, model, threads):
    """(prefill, decode) tokens a second, and which version said so."""
    output = subprocess.run([program, "-m", model, "-t", str(threads), "-p", str(PROMPT), "-n", str(TEXT), "-r", "1",
                             "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    tests = json.loads(output)
    prefill = next(t["avg_ts"] for t in tests if t["n_prompt"] and not t["n_gen"])
    decode = next(t["avg_ts"] for t in tests if t["n_gen"] and not t["n_prompt"])
    return {"prefill": prefill, "decode": decode}, tests[0]["build_commit"]


def one_of_ours(program, model, threads):
    lines = run(program, "run", model, str(threads), "1", str(PROMPT), str(TEXT)).strip().split("\n")
    return json.loads(lines[0]), json.loads(lines[-1])


def measure(arguments, ours, theirs, folder):
    """speeds[type][who][what]: a list, one figure a round."""
    speeds, facts = {}, {"bandwidth": [], "bytes": {}}
    for kind in TYPES:
        run(ours, "write", kind, os.path.join(folder, kind + ".gguf"))
        speeds[kind] = {who: {"prefill": [], "decode": []} for who in ("tinygpt", "llama.cpp")}
    for number in range(arguments.rounds):
        for kind in TYPES:
            model = os.path.join(folder, kind + ".gguf")
            mine, about = one_of_ours(ours, model, arguments.threads)
            other, facts["version"] = one_of_theirs(theirs, model, arguments.threads)
            for who, speed in (("tinygpt", mine), ("llama.cpp", other)):
                for what in speed:
                    speeds[kind][who][what].append(speed[what])
            facts["bandwidth"].append(about["bandwidth"])
            facts["bytes"][kind] = about["weight_bytes"]
        print("round %d of %d" % (number + 1, arguments.rounds), file=sys.stderr, flush=True)
    return speeds, facts


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def row(speeds, kind, what, best):
    mine, other = (speeds[kind][who][what] for who in ("tinygpt", "llama.cpp"))
    ratio = statistics.median(mine) / statistics.median(other)
    cells = [kind.upper(), what]
    cells += ["%.0f (%.0f)" % (statistics.median(x), max(x)) for x in (mine, other)] + ["%.2f" % ratio]
    if what == "prefill":
        cells += ["%.2f" % (statistics.median(mine) / best), "%.1f" % PREFILL_AIM]
    else:
        cells += ["", "%.1f" % AIMS[kind, what] if (kind, what) in AIMS else ""]
    return "| " + " | ".join(cells) + " |"


def page(arguments, speeds, facts):
    best = max(statistics.median(speeds[kind]["llama.cpp"]["prefill"]) for kind in TYPES)
    lines = ["# Beside llama.cpp", "",
             "110M LLaMA (width 768, 12 layers, 12 heads, hidden 2048, vocabulary 32,000), random weights, the same",
             "GGUF files, %d threads, in turn, %d rounds. Tokens a second: median (best). Prompt %d tokens, text %d."
             % (arguments.threads, arguments.rounds, PROMPT, TEXT),
             "`bench/llama_cpp.py --write` writes this file.", "",
             "%s, %s, llama.cpp %s" % (time.strftime("%Y-%m-%d"), processor(), facts["version"]), "",
             "| weights | what | tinygpt | llama.cpp | ratio | to its best format | aim |",
             "|---|---|--:|--:|--:|--:|--:|"]
    lines += [row(speeds, kind, what, best) for what in ("decode", "prefill") for kind in TYPES]
    return "\n".join(lines + limits(arguments, speeds, facts)) + "\n"


def limits(arguments, speeds, facts):
    """What memory allows: nobody decodes faster than the weights can be read."""
    bandwidth = [x * 1e-9 for x in facts["bandwidth"]]
    lines = ["", "Decode reads every weight once a token. Memory gives %.1f GB/s to %d threads: the median of %d "
             "probes in this" % (statistics.median(bandwidth), arguments.threads, len(bandwidth)),
             "run, which found %.1f to %.1f, since other machines share it. The last-level cache gives more. A "
             "program that did" % (min(bandwidth), max(bandwidth)),
             "nothing but read the weights from memory would have the largest ratio to llama.cpp's decode.", "",
             "| weights | bytes | tinygpt reads | llama.cpp reads | largest ratio |", "|---|--:|--:|--:|--:|"]
    for kind in TYPES:
        size = facts["bytes"][kind] * 1e-9
        rates = [size * statistics.median(speeds[kind][who]["decode"]) for who in ("tinygpt", "llama.cpp")]
        cells = ["%.1f GB/s, %.0f%%" % (rate, 100 * rate / statistics.median(bandwidth)) for rate in rates]
        lines.append("| %s | %.1f MB | %s | %s | %.2f |" % (kind.upper(), size * 1000, cells[0], cells[1],
                                                         statistics.median(bandwidth) / rates[1]))
    return lines


def as_report(speeds, facts):
    """The rows of one report of `tinygpt bench`. What memory gives is the limit of writing."""
    report = []
    for what, section in (("decode", "writing, 110M LLaMA"), ("prefill", "reading a prompt, 110M LLaMA")):
        for kind in TYPES:
            figures = [{"who": who, "median": statistics.median(speeds[kind][who][what]),
                        "min": min(speeds[kind][who][what]), "max": max(speeds[kind][who][what])}
                       for who in ("tinygpt", "llama.cpp")]
            reads = facts["bytes"][kind] if what == "decode" else 0
            report.append({"section": section, "name": kind.upper(), "unit": "tokens/s",
                           "limit": statistics.median(facts["bandwidth"]) / reads if reads else 0, "figures": figures})
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="write rows of a report of tinygpt bench to this file, too")
    parser.add_argument("--llama-bench", help="a llama-bench that you have")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "default"), help="where bench-inference is")
    arguments = parser.parse_args()
    ours = os.path.join(arguments.build, "bin", "bench-inference")
    if not os.path.exists(ours):
        raise SystemExit("bench/llama_cpp.py: there is no %s: cmake --build %s --target bench-inference"
                         % (ours, arguments.build))
    theirs = arguments.llama_bench or build_llama_bench()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(arguments, ours, theirs, folder)
    text = page(arguments, *measured)
    print(text, end="")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(as_report(*measured), file)
    if arguments.write:
        with open(os.path.join(ROOT, "bench", "results", "llama_cpp.md"), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
