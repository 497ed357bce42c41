"""What the checks share: our programs, and models that were trained for a moment."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import lines

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
FAMILIES = ("gpt2", "llama")
# Rows of 64 values divide into the blocks of 32 that quantized files keep.
SHAPE = ["--config", "nano-cpu", "--layers", "2", "--heads", "4", "--width", "64", "--hidden", "128", "--context", "64"]


def require(ok, what):
    """For what `assert` would say, without Python's option that switches it off."""
    if not ok:
        sys.exit("different: " + what)


def run(program, *words):
    environment = dict(os.environ, OMP_WAIT_POLICY="passive")
    done = subprocess.run([str(BUILD / "bin" / program)] + [str(word) for word in words], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit("%s %s: %s" % (program, " ".join(map(str, words)), done.stdout.decode("utf-8", "replace")))
    return done.stdout.decode("utf-8", "replace")


def tinygpt(*words):
    return run("tinygpt", *words)


def exchange(*words):
    return run("interop_exchange", *words)


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def our_ids(model, texts):
    """Our tokenizer's ids of each text; `model` is a folder with a tokenizer.json, or a GGUF file."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = pathlib.Path(folder, "texts.json"), pathlib.Path(folder, "ids.json")
        exchange("encode", model, write_json(asked, texts), answered)
        return read_json(answered)


def cut_digits(path):
    """Makes a tokenizer.json one that cuts out each digit before it splits, as SmolLM's does."""
    tokenizer = read_json(path)
    digits = {"type": "Digits", "individual_digits": True}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, tokenizer["pre_tokenizer"]]}
    write_json(path, tokenizer)


def make_corpus(folder, name="corpus", digits=False):
    """Stories to learn from, and lines in many scripts so that the tokenizer learns pairs of their bytes."""
    text = lines.stories(3000) + "\n".join(lines.multilingual_lines(300, seed=3))
    (folder / "text.txt").write_text(text, encoding="utf-8")
    tinygpt("tokenizer", "train", "--vocab-size", 640, "--input", folder / "text.txt", "--out",
            folder / "tokenizer.json")
    if digits:
        cut_digits(folder / "tokenizer.json")
    tinygpt("data", folder / "text.txt", "--out", folder / name, "--tokenizer", folder / "tokenizer.json")
    return folder / name


def train(corpus, folder, family, steps, *more):
    tinygpt("train", "--data", corpus, "--out", folder / family, "--family", family, *SHAPE, "--steps", steps,
            "--threads", 2, "--lr", "3e-3", "--eval-tokens", 1024, "--last-eval-tokens", 1024, *more)
    return folder / family
