#!/usr/bin/env python3
"""The programs that `tinygpt bench --peers` measures beside this one: one command sets them up.

    bench/peers.py set-up [--build FOLDER]       installs what is missing, once; minutes, and about two gigabytes
    bench/peers.py measure --build FOLDER --json FILE [--rounds N] [--threads N]

PyTorch, tiktoken and tokenizers come as for the tests of tests/interop, pinned, into a virtual environment in the build
folder; llama.cpp's llama-bench is compiled for this machine in bench/.llama. `measure` is what the benchmark calls: it
writes the rows of bench/encoding.py and bench/llama_cpp.py to the file, each measured in turn with this program.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import llama_cpp  # the scripts beside this one

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
INTEROP = os.path.join(ROOT, "tests", "interop", "interop.py")


def set_up(build):
    done = subprocess.run([sys.executable, INTEROP, "set-up", build], env=dict(os.environ, TINYGPT_INTEROP="1"),
                          stdout=sys.stderr)
    if done.returncode != 0:
        raise SystemExit("bench/peers.py: the Python packages could not be installed; the line above says why")
    llama_cpp.build_llama_bench()


def measure(build, rounds, threads):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for script, more in (("encoding.py", []), ("llama_cpp.py", ["--threads", str(threads)])):
            result = os.path.join(folder, script + ".json")
            command = [sys.executable, os.path.join(ROOT, "bench", script), "--build", build, "--rounds", str(rounds),
                       "--json", result] + more
            if subprocess.run(command, stdout=sys.stderr).returncode != 0:
                raise SystemExit("bench/peers.py: %s failed" % script)
            with open(result, encoding="utf-8") as file:
                rows += json.load(file)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("set-up", "measure"))
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "default"))
    parser.add_argument("--json")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    build = os.path.realpath(a.build)
    if a.what == "set-up":
        set_up(build)
        return
    if a.json is None:
        parser.error("measure needs --json FILE")
    rows = measure(build, a.rounds, a.threads)
    with open(a.json, "w", encoding="utf-8") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    main()
