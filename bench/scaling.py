#!/usr/bin/env python3
"""What a training step costs as one size grows and all others stay, beside the laws of lesson 10's ledgers.

    bench/scaling.py [--write] [--rounds N] [--build FOLDER]

Time should follow the operations that the ledger counts: straight in depth and batch, nearly the square in width, in
length a straight part plus attention's square; and it should halve on two threads. The dashed lines are these laws,
tied to what is measured at one shape, so that only their form is compared. Memory is compared with the ledger's bytes,
and the script fails where they are more than 5% apart. Each shape runs in a process of its own.
--write draws bench/results/scaling-*.svg and records the figures in bench/results/scaling.md.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
RESULTS = os.path.join(ROOT, "bench", "results")
sys.path.insert(0, os.path.join(ROOT, "tools"))

from drawing import Drawing  # noqa: E402  (the path above must come first)

BASE = {"layers": 4, "width": 256, "batch": 4, "time": 256}
SWEEPS = (("length", "time", (64, 128, 256, 512, 1024, 2048), {"batch": 1}),
          ("width", "width", (64, 128, 256, 384, 512, 768), {}),
          ("depth", "layers", (1, 2, 4, 8, 16), {}),
          ("batch", "batch", (1, 2, 4, 8, 16), {}))
TIED_TO = {"length": 256, "width": 256, "depth": 4, "batch": 4}  # where the law is laid through what is measured
ALLOWED = 0.05  # memory


def measure(program, shape, threads, rounds):
    command = [program, "--threads", str(threads), "--rounds", str(rounds)]
    for name, value in shape.items():
        command += ["--" + name, str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        raise SystemExit("bench/scaling.py: %s" % done.stderr.strip())
    return json.loads(done.stdout)


def sweep(program, name, option, values, shape, threads, rounds):
    """Rows of (value, what was measured, seconds by the law)."""
    measured = []
    for value in values:
        measured.append((value, measure(program, dict(BASE, **shape, **{option: value}), threads, rounds)))
        print("%-7s %5d  %9.2f ms  %7.1f MB" % (name, value, measured[-1][1]["median"] * 1e3,
                                                measured[-1][1]["bytes"] * 1e-6), flush=True)
    tied = next(m for value, m in measured if value == TIED_TO[name])
    return [(value, m, m["flops"] * tied["median"] / tied["flops"]) for value, m in measured]


def thread_sweep(program, rounds):
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= len(os.sched_getaffinity(0))]
    measured = [(n, measure(program, BASE, n, rounds)) for n in counts]
    return [(n, m, measured[0][1]["median"] / n) for n, m in measured]


def number(value):
    return "%.0f" % value if value >= 100 else "%.3g" % value


def panel(d, left, top, width, height, title, points, law, unit):
    """points and law: (x, y), both axes logarithmic."""
    import math
    xs = [math.log2(x) for x, _ in points]
    ys = [math.log2(y) for _, y in points + law]
    x0, x1 = min(xs), max(max(xs), min(xs) + 1e-9)
    y0, y1 = min(ys) - 0.3, max(ys) + 0.3

    def at(x, y):
        return (left + (math.log2(x) - x0) / (x1 - x0) * width, top + (y1 - math.log2(y)) / (y1 - y0) * height)
    d.text(left, top - 26, title, 14, "ink", bold=True)
    d.text(left - 44, top - 8, unit, 12, "dim")
    step = max(1, math.ceil((y1 - y0) / 5))
    for k in range(math.ceil(y0), math.floor(y1) + 1, step):
        y = at(points[0][0], 2.0 ** k)[1]
        d.line(left, y, left + width, y, "soft")
        d.text(left - 6, y + 4, number(2.0 ** k), 12, "dim", "end")
    last = -1e9
    for x, _ in points:
        if at(x, 2.0 ** y0)[0] - last > 34:
            last = at(x, 2.0 ** y0)[0]
            d.text(last, top + height + 16, str(x), 12, "dim", "middle")
    d.line(left, top + height, left + width, top + height)
    d.polyline([at(x, y) for x, y in law], "second", 1.6, dash=True)
    for x, y in points:
        d.circle(*at(x, y), 4, "accent")


def draw(name, description, sweeps, value_of, law_of, unit, legend):
    d = Drawing(700, 460, description)
    for i, (title, rows) in enumerate(sweeps):
        panel(d, 62 + 232 * (i % 3), 56 + 210 * (i // 3), 160, 130, title, [(v, value_of(m)) for v, m, _ in rows],
              [(v, law_of(m, law)) for v, m, law in rows], unit)
    d.circle(66, 446, 4, "accent")
    d.text(78, 450, "measured", 13)
    d.polyline([(160, 446), (196, 446)], "second", 1.6, dash=True)
    d.text(204, 450, legend, 13)
    d.save(RESULTS, name)


def table(title, rows):
    lines = ["## " + title, "", "| %s | step, ms | from | to | by the law, ms | measured to law | MB | ledger, MB | "
             "measured to ledger |" % title.lower(), "|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for value, m, law in rows:
        lines.append("| %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f | %.3f |" % (
            value, m["median"] * 1e3, m["min"] * 1e3, m["max"] * 1e3, law * 1e3, m["median"] / law, m["bytes"] * 1e-6,
            m["ledger_bytes"] * 1e-6, m["bytes"] / m["ledger_bytes"]))
    return lines + [""]


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(": ")[1].strip() for line in file if line.startswith("model name")),
                    platform.machine())


def write(sweeps, threads):
    draw("scaling-time", "Time of a training step against length, width, depth, batch and threads, each beside its law",
         sweeps, lambda m: m["median"] * 1e3, lambda m, law: law * 1e3, "ms", "the law: operations of the ledger")
    draw("scaling-memory", "Memory of a training against length, width, depth and batch, each beside the ledger",
         sweeps[:-1], lambda m: m["bytes"] * 1e-6, lambda m, _: m["ledger_bytes"] * 1e-6, "MB", "the ledger's bytes")
    lines = ["# Cost against size", "",
             "Written by `bench/scaling.py` on %s: %s, %d threads. A GPT-2 shape of %d layers, width %d," % (
                 time.strftime("%Y-%m-%d"), processor(), threads, BASE["layers"], BASE["width"]),
             "heads of 64, vocabulary 256, batches of %d x %d tokens (length: of 1); one of these grows at a time." % (
                 BASE["batch"], BASE["time"]),
             "A step is the median of several. Memory is what the process takes more than before the model was made.",
             "",
             "![Time against size, beside the laws](scaling-time.svg)", "",
             "![Memory against size, beside the ledger](scaling-memory.svg)", ""]
    for title, rows in sweeps:
        lines += table(title.capitalize(), rows)
    with open(os.path.join(RESULTS, "scaling.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines).rstrip() + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="record and draw the result")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "default"), help="where bench-scaling is")
    arguments = parser.parse_args()
    program = os.path.join(arguments.build, "bin", "bench-scaling")
    if not os.path.exists(program):
        raise SystemExit("bench/scaling.py: there is no %s: cmake --build %s --target bench-scaling"
                         % (program, arguments.build))
    threads = min(2, len(os.sched_getaffinity(0)))
    sweeps = [(name, sweep(program, name, option, values, shape, threads, arguments.rounds))
              for name, option, values, shape in SWEEPS]
    sweeps.append(("threads", thread_sweep(program, arguments.rounds)))
    if arguments.write:
        write(sweeps, threads)
    wrong = [(name, value) for name, rows in sweeps for value, m, _ in rows
             if abs(m["bytes"] / m["ledger_bytes"] - 1) > ALLOWED]
    for name, value in wrong:
        print("memory is more than %.0f%% from the ledger: %s %d" % (100 * ALLOWED, name, value))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
