#!/usr/bin/env python3
"""Encoding beside tiktoken and Hugging Face's tokenizers, with GPT-2's vocabulary, one thread each.

    bench/encoding.py [--write] [--rounds N] [--build FOLDER] [--english FILE] [--mixed FILE] [--json FILE]

Without files, five megabytes of English are put together from the documentation that this machine carries, and five of
mixed scripts and code from its messages in seventeen languages and from Python's own library. The programs encode in
turn, a round of each, and must agree on every id. What they need is installed as for the tests of tests/interop (Python
packages, and the npm package that holds the vocabulary), into the build folder. --write records the result in
bench/results/encoding.md.
"""
import argparse
import glob
import gettext
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
INTEROP = os.path.join(ROOT, "tests", "interop")
BYTES = 5_000_000
LANGUAGES = "ru de ja zh_CN ar hi ko el he th uk fr vi pl ta bn ka".split()


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def given(path):
    """A text that the caller has named."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as problem:
        raise SystemExit("%s: %s" % (path, problem))
    return text if text else sys.exit("%s: there is no text in it" % path)


def cut(text):
    return text.encode()[:BYTES].decode(errors="ignore")


def gathered(patterns, most):
    parts, size = [], 0
    for pattern in patterns:
        for path in sorted(glob.glob(pattern, recursive=True)):
            if size < most and os.path.isfile(path):
                parts.append(read(path))
                size += len(parts[-1])
    return "".join(parts)


def english_text():
    return cut(gathered(["/usr/share/perl/**/*.pod", "/usr/share/common-licenses/*",
                         os.path.join(ROOT, "lessons", "*", "README.md"), "/usr/share/doc/*/copyright",
                         "/usr/share/doc/*/*.txt"], BYTES))


def messages(language, most):
    text = ""
    for path in sorted(glob.glob("/usr/share/locale/%s/LC_MESSAGES/*.mo" % language)):
        try:
            with open(path, "rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog  # the only way to all of them
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        text += "\n".join(message for message in catalog.values() if isinstance(message, str))
        if len(text) > most:
            break
    return text[:most]


def mixed_text():
    parts = [messages(language, 350_000) for language in LANGUAGES]
    parts.append(gathered([os.path.join(os.path.dirname(os.__file__), "*.py")], 1_800_000))
    pieces = [part[i:i + 2000] for part in parts for i in range(0, len(part), 2000)]
    random.Random(1).shuffle(pieces)
    return cut("".join(pieces))


def gpt2_tokenizer(build, folder):
    """GPT-2's vocabulary as its authors laid it out, and as tiktoken wants it."""
    import base64
    sys.argv[1:] = [build]
    sys.path.insert(0, INTEROP)
    import check_tiktoken
    ranks = {}
    for line in check_tiktoken.RANKS.read_text().split("\n"):
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    vocab = {check_tiktoken.spell(token): rank for token, rank in ranks.items()}
    vocab[check_tiktoken.SPECIAL] = len(ranks)
    merges = [check_tiktoken.halves(ranks, token) for token in sorted(ranks, key=ranks.get) if len(token) > 1]
    spelled = ["%s %s" % tuple(map(check_tiktoken.spell, pair)) for pair in merges]
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(vocab, file)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(line + "\n" for line in spelled))
    return ranks


def peers(ranks, folder):
    """Name and function from text to ids, each on one thread."""
    os.environ["RAYON_NUM_THREADS"] = "1"
    import tiktoken
    import tokenizers
    # The pattern as tiktoken itself has it for GPT-2: possessive, and faster than the one in the paper's code.
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
    theirs = tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    face = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(
        os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt")))
    face.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return [("tiktoken %s" % tiktoken.__version__, theirs.encode_ordinary),
            ("tokenizers %s" % tokenizers.__version__, lambda text: face.encode(text).ids)]


def ours(build, folder, text_file, threads):
    """Seconds of this program's encoding: the median of its own three measurements."""
    result = os.path.join(folder, "bench.json")
    subprocess.run([os.path.join(build, "bin", "tinygpt"), "bench", "--only", "tokenizer", "--tokenizer", folder,
                    "--text", text_file, "--rounds", "3", "--threads", str(threads), "--json", result], check=True,
                   stdout=subprocess.DEVNULL)
    with open(result, encoding="utf-8") as file:
        rows = json.load(file)["rows"]
    size = os.path.getsize(text_file) / 1e6
    return [size / row["figures"][0]["median"] for row in rows if row["name"].startswith("encode")]


def check_ids(build, folder, text_file, expected):
    command = [os.path.join(build, "bin", "tinygpt"), "tokenizer", "encode", "--tokenizer", folder, "--no-special",
               "--json", "--input", text_file]
    ids = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if ids != expected:
        raise SystemExit("bench/encoding.py: the ids differ")


def measure(name, text, build, folder, others, rounds):
    text_file = os.path.join(folder, "text.txt")
    with open(text_file, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    seconds = {"tinygpt": [], "tinygpt, two threads": []}
    for _ in range(rounds):
        one, two = ours(build, folder, text_file, 2)
        seconds["tinygpt"].append(one)
        seconds["tinygpt, two threads"].append(two)
        for peer, encode in others:
            start = time.perf_counter()
            ids = encode(text)
            seconds.setdefault(peer, []).append(time.perf_counter() - start)
            check_ids(build, folder, text_file, ids)
    size = len(text.encode()) / 1e6
    print("%s: %.1f MB, %d tokens, the same of all" % (name, size, len(ids)), flush=True)
    rows = []
    for who, times in seconds.items():
        ratio = statistics.median(theirs / mine for theirs, mine in zip(times, seconds["tinygpt"]))
        rows.append((name, who, size / statistics.median(times), size / max(times), size / min(times), ratio))
        print("  %-22s %6.1f MB/s (%.1f to %.1f)   tinygpt is %.2f times as fast" % (rows[-1][1:]))
    return rows


def write_results(rows):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = next((line.split(": ")[1].strip() for line in file if line.startswith("model name")), "unknown")
    lines = ["# Encoding, beside others", "",
             "Written by `bench/encoding.py` on %s: %s, Python %s." % (
                 time.strftime("%Y-%m-%d"), processor, platform.python_version()),
             "GPT-2's vocabulary, one thread unless said; medians of rounds in turn, slowest and fastest behind them. "
             "All give the same ids.", "",
             "| text | program | MB/s | from | to | tinygpt's speed to this |", "|---|---|--:|--:|--:|--:|"]
    lines += ["| %s | %s | %.1f | %.1f | %.1f | %.2f |" % row for row in rows]
    with open(os.path.join(ROOT, "bench", "results", "encoding.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def as_report(rows):
    """The rows of one report of `tinygpt bench`: of each text, ours and the others on one thread."""
    report = []
    for text in dict.fromkeys(row[0] for row in rows):
        figures = [{"who": who, "median": median, "min": slowest, "max": fastest}
                   for name, who, median, slowest, fastest, _ in rows if name == text and "threads" not in who]
        report.append({"section": "GPT-2's tokenizer, one thread", "name": "encode " + text, "unit": "MB/s", "limit": 0,
                       "figures": figures})
    return report


def run_in_interop_environment(build, script):
    """Sets up the Python packages of tests/interop in the build folder and, unless it already is, runs in them."""
    python = os.path.join(build, "interop", "venv", "bin", "python")
    if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
        subprocess.run([sys.executable, os.path.join(INTEROP, "interop.py"), "set-up", build],
                       env=dict(os.environ, TINYGPT_INTEROP="1"), check=True)
        os.execv(python, [python, script] + sys.argv[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="record the result")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "default"))
    parser.add_argument("--english", help="a file, instead of this machine's documentation")
    parser.add_argument("--json", help="write rows of a report of tinygpt bench to this file, too")
    parser.add_argument("--mixed", help="a file, instead of messages and code")
    a = parser.parse_args()
    build = os.path.realpath(a.build)
    run_in_interop_environment(build, os.path.realpath(__file__))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ranks = gpt2_tokenizer(build, folder)
        others = peers(ranks, folder)
        for name, text in (("English", given(a.english) if a.english else english_text()),
                           ("mixed scripts and code", given(a.mixed) if a.mixed else mixed_text())):
            rows += measure(name, text, build, folder, others, a.rounds)
    if a.json:
        with open(a.json, "w", encoding="utf-8") as file:
            json.dump(as_report(rows), file)
    if a.write:
        write_results(rows)


if __name__ == "__main__":
    main()
