#!/usr/bin/env python3
"""Learning a byte-level BPE vocabulary beside Hugging Face's tokenizers: seconds, and what it is worth.

    bench/bpe_training.py [--write] [--rounds N] [--build FOLDER] [--text FILE] [--vocab-size N]

Without a file, a hundred megabytes are put together from the documentation, headers and Python code that this machine
carries (fewer, where it has fewer). Each program reads the same file and writes a tokenizer.json, a round of each in
turn, as a process of its own with two threads. The last twentieth of the text is kept out of learning, and both
vocabularies encode it. The Python package is installed as for the tests of tests/interop, into the build folder.
--write records the result in bench/results/bpe_training.md.
"""
import argparse
import glob
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

import encoding  # the script beside this one

MOST = 100_000_000
PATTERNS = ["/usr/share/doc/**/*", "/usr/share/perl/**/*.p[lm]", "/usr/share/perl/**/*.pod", "/usr/include/**/*.h",
            "/usr/lib/gcc/**/*.h", os.path.join(os.path.dirname(os.__file__), "**", "*.py"),
            "/usr/lib/python3*/**/*.py", "/usr/share/**/*.txt", "/usr/share/**/*.html", "/usr/share/**/*.md"]
THEIRS = """
import sys
import tokenizers
text, out, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = tokenizers.decoders.ByteLevel()
trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=["<|endoftext|>"],
                                         initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
tokenizer.train([text], trainer)
tokenizer.save(out)
"""


def gathered_text():
    paths = sorted({p for pattern in PATTERNS for p in glob.glob(pattern, recursive=True) if os.path.isfile(p)})
    random.Random(1).shuffle(paths)
    parts, size = [], 0
    for path in paths:
        if size < MOST and os.path.getsize(path) < 2_000_000:
            parts.append(encoding.read(path))
            size += len(parts[-1].encode())
    return "".join(parts).encode()[:MOST].decode(errors="ignore")


def seconds_of(command):
    start = time.perf_counter()
    subprocess.run(command, env=dict(os.environ, OMP_NUM_THREADS="2", RAYON_NUM_THREADS="2"), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def tokens_of(tokenizer, held_out):
    import tokenizers
    return len(tokenizers.Tokenizer.from_file(tokenizer).encode(held_out).ids)


def measure(text, build, vocab_size, rounds, folder):
    cut = len(text) - len(text) // 20
    text_file, held_out = os.path.join(folder, "text.txt"), text[cut:]
    with open(text_file, "w", encoding="utf-8", newline="") as file:
        file.write(text[:cut])
    import tokenizers
    ours, theirs = (os.path.join(folder, name) for name in ("ours.json", "theirs.json"))
    programs = {"tinygpt": ([os.path.join(build, "bin", "tinygpt"), "tokenizer", "train", "--vocab-size",
                             str(vocab_size), "--input", text_file, "--out", ours], ours),
                "tokenizers " + tokenizers.__version__:
                    ([sys.executable, "-c", THEIRS, text_file, theirs, str(vocab_size)], theirs)}
    runs = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (command, _) in programs.items():
            runs[name].append(seconds_of(command))
    rows = []
    for name, seconds in runs.items():
        rows.append((name, statistics.median(seconds), min(seconds), max(seconds),
                     len(held_out.encode()) / tokens_of(programs[name][1], held_out)))
        print("%-18s %7.2f s (%.2f to %.2f)  %.3f bytes a token" % rows[-1], flush=True)
    return os.path.getsize(text_file) / 1e6, rows


def write_results(size, vocab_size, rows):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = next((line.split(": ")[1].strip() for line in file if line.startswith("model name")), "unknown")
    lines = ["# Learning a vocabulary, beside others", "",
             "Written by `bench/bpe_training.py` on %s: %s, Python %s." % (
                 time.strftime("%Y-%m-%d"), processor, platform.python_version()),
             "%d tokens from %.0f MB of documentation and code, whole processes with two threads, in turn; bytes a"
             % (vocab_size, size),
             "token on text that neither has seen. tokenizers learns from one line at a time: no token of its goes on",
             "behind a line's end.",
             "",
             "| program | seconds | from | to | bytes a token |", "|---|--:|--:|--:|--:|"]
    lines += ["| %s | %.2f | %.2f | %.2f | %.3f |" % row for row in rows]
    with open(os.path.join(encoding.ROOT, "bench", "results", "bpe_training.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="record the result")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default=os.path.join(encoding.ROOT, "build", "default"))
    parser.add_argument("--text", help="a file, instead of this machine's documentation and code")
    parser.add_argument("--vocab-size", type=int, default=32000)
    a = parser.parse_args()
    build = os.path.realpath(a.build)
    encoding.run_in_interop_environment(build, os.path.realpath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        size, rows = measure(encoding.given(a.text) if a.text else gathered_text(), build, a.vocab_size, a.rounds,
                             folder)
    if a.write:
        write_results(size, a.vocab_size, rows)


if __name__ == "__main__":
    main()
