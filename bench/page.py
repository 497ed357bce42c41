#!/usr/bin/env python3
"""One page of a report: its figures as tables, every operator under the roofline, a step's time beside PyTorch's.

    build/default/bin/tinygpt bench --peers --json report.json
    bench/page.py report.json [FOLDER]

writes cpu.md with roofline.svg and step-time.svg into the folder (default: bench/results).
"""
import json
import math
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from drawing import Drawing, spread, width_of  # noqa: E402  (the path above must come first)

# What an operator is, by what its name contains; the first that fits. Ours first, then PyTorch's.
KINDS = (("between operators", ("between",)), ("element-wise passes", ("layer_norm",)),
         ("attention", ("attention",)), ("loss", ("loss", "_softmax")),
         ("optimizer", ("adamw", "gradient norm", "clip", "zeroing", "optimizer", "foreach", "vector_norm")),
         ("matrix products", ("qkv", "proj", "up ", "down", "head", "mm", "linear", "matmul")))
ORDER = ("matrix products", "attention", "element-wise passes", "loss", "optimizer", "between operators")
COLOURS = ("accent", "second", "third", "fourth", "dim", "line")


def kind_of(name):
    for kind, parts in KINDS:
        if any(part in name.lower() for part in parts):
            return kind
    return "element-wise passes"


def roofline(report, folder):
    """Operations a byte across, speed upwards, both logarithmic. Below the ridge memory is the limit."""
    machine = report["machine"]
    peak, bandwidth = machine["peak_gflops"], machine["bandwidth_gbs"]
    # An operator without a multiply-add to speak of stands below, by its bytes.
    rows = [o for o in report["step_operators"] if o["flops"] > 0 and o["median"] > 0]
    bytes_only = [o for o in report["step_operators"] if o["flops"] == 0 and o["bytes"] > 0 and o["median"] > 1e-4]
    d = Drawing(700, 440, "Roofline: operators of a training step under what arithmetic and memory allow")
    left, right, top, bottom = 60, 480, 40, 330
    x0, x1 = 0, math.log2(max(max(o["flops"] / o["bytes"] for o in rows), peak / bandwidth) * 2)
    y1, y0 = math.log2(peak * 1.5), math.log2(bandwidth)

    def at(intensity, speed):
        return (left + (math.log2(intensity) - x0) / (x1 - x0) * (right - left),
                bottom - (math.log2(speed) - y0) / (y1 - y0) * (bottom - top))
    d.text(8, 18, "GFLOP/s", 13)
    for k in range(math.ceil(y0), math.floor(y1) + 1):
        d.line(left, at(1, 2.0 ** k)[1], right, at(1, 2.0 ** k)[1], "soft")
        d.text(left - 8, at(1, 2.0 ** k)[1] + 4, "%d" % 2 ** k, 12, "dim", "end")
    for k in range(0, math.floor(x1) + 1, 1 if x1 < 9 else 2):
        d.text(at(2.0 ** k, 2.0 ** y0)[0], bottom + 18, "%d" % 2 ** k, 12, "dim", "middle")
    ridge = peak / bandwidth
    d.line(left, bottom, right, bottom)
    d.polyline([at(1, bandwidth), at(ridge, peak), at(2.0 ** x1, peak)], "ink", 2)
    d.text(at(2.0 ** x1, peak)[0], at(1, peak)[1] - 8, "arithmetic: %.0f" % peak, 12, "dim", "end")
    d.text(at(3, 3 * bandwidth)[0] + 10, at(3, 3 * bandwidth)[1] + 12, "memory: %.0f GB/s" % bandwidth, 12, "dim")
    d.text((left + right) / 2, bottom + 38, "operations for each byte of the operands", 13, "ink", "middle")
    places = sorted(((at(o["flops"] / o["bytes"], o["flops"] / o["median"] * 1e-9), o) for o in rows),
                    key=lambda place: place[0][1])
    labels = spread([p[1] + 4 for p, _ in places], 16, bottom + 30)
    for y, ((px, py), o) in zip(labels, places):
        colour = COLOURS[ORDER.index(kind_of(o["name"]))]
        d.line(px, py, right + 10, y - 4, "soft")
        d.circle(px, py, 4.5, colour)
        d.text(right + 14, y, "%s: %.0f%%" % (o["name"], 100 * o["least_seconds"] / o["median"]), 12, colour)
    words = ["%s %.0f" % (o["name"], o["bytes"] / o["median"] * 1e-9) for o in bytes_only]
    d.text(8, bottom + 64, "Operators that only move numbers, in GB/s (what lies in a cache may come faster):", 12,
           "dim")
    x, y = 8, bottom + 82
    for word in words:
        if x + width_of(word, 12) > 690:
            x, y = 8, y + 16
        d.text(x, y, word, 12, "third")
        x += width_of(word, 12) + 14
    d.height = int(y + 12)
    d.save(folder, "roofline")


def by_kind(operators, key):
    seconds = dict.fromkeys(ORDER, 0.0)
    for o in operators:
        seconds[kind_of(o["name"])] += o[key]
    return seconds


def step_time(report, folder):
    bars = [("what the machine allows", by_kind(report["step_operators"], "least_seconds")),
            ("tinygpt", by_kind(report["step_operators"], "median"))]
    if report["pytorch_step_operators"]:
        bars.append(("PyTorch", by_kind(report["pytorch_step_operators"], "median")))
    longest = max(sum(parts.values()) for _, parts in bars)
    d = Drawing(700, 60 + 46 * len(bars) + 50, "Time of one training step by kinds of operators, beside PyTorch's")
    left, width = 190, 440
    for i, (who, parts) in enumerate(bars):
        x, y = left, 20 + 46 * i
        d.text(left - 10, y + 20, who, 13, "ink", "end", bold=who == "tinygpt")
        for kind, colour in zip(ORDER, COLOURS):
            w = width * parts[kind] / longest
            if w > 0.3:
                d.rect(x, y, w, 30, colour, "page", 0)
            if w > 40:
                d.text(x + w / 2, y + 20, "%.0f" % (parts[kind] * 1e3), 12, "page", "middle", bold=True)
            x += w
        d.text(x + 8, y + 20, "%.0f ms" % (sum(parts.values()) * 1e3), 13, "ink", bold=True)
    x, y = 20, 20 + 46 * len(bars) + 24
    for kind, colour in zip(ORDER, COLOURS):
        if x + width_of(kind, 13) + 30 > 690:
            x, y = 20, y + 22
        d.rect(x, y - 11, 13, 13, colour, "page", 0)
        d.text(x + 19, y, kind, 13)
        x += width_of(kind, 13) + 34
    d.save(folder, "step-time")


def number(value):
    return "%.0f" % value if value >= 1000 else "%.4g" % value


def section_table(name, rows):
    """A column for each program that any of the rows has; ours first, then the others and our speed to theirs."""
    others = list(dict.fromkeys(f["who"] for row in rows for f in row["figures"][1:]))
    head = ["", "tinygpt", "from", "to", "of limit"] + [word for who in others for word in (who, "ratio")]
    lines = ["## %s, %s" % (name[0].upper() + name[1:], rows[0]["unit"]), "", "| " + " | ".join(head) + " |",
             "|---|" + "--:|" * (len(head) - 1)]
    for row in rows:
        ours = row["figures"][0]
        cells = [row["name"], number(ours["median"]), number(ours["min"]), number(ours["max"]),
                 "%.0f%%" % (100 * ours["median"] / row["limit"]) if row["limit"] > 0 else ""]
        for who in others:
            figure = next((f for f in row["figures"] if f["who"] == who), None)
            cells += [number(figure["median"]), "%.2f x" % (ours["median"] / figure["median"])] if figure else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return lines + [""]


def page(report, folder):
    machine = report["machine"]
    lines = ["# The processor, measured", "",
             "Written by `bench/page.py` from `tinygpt bench --peers --json` on %s: %s, %d threads, %s."
             % (time.strftime("%Y-%m-%d"), machine["processor"], machine["threads"], machine["compiler"]),
             "Peak %.0f GFLOP/s, reads %.1f GB/s from memory, both measured. Medians; `bench/README.md` says what each "
             "number is." % (machine["peak_gflops"], machine["bandwidth_gbs"]), "",
             "![Operators of a training step under the roofline](roofline.svg)", "",
             "![A training step by kinds of operators, beside PyTorch's](step-time.svg)", ""]
    for name in dict.fromkeys(row["section"] for row in report["rows"]):
        lines += section_table(name, [row for row in report["rows"] if row["section"] == name])
    lines += ["## The step by operator", "", "| operator | calls | ms | at the limit, ms | of limit |",
              "|---|--:|--:|--:|--:|"]
    for o in report["step_operators"]:
        share = "%.0f%%" % (100 * o["least_seconds"] / o["median"]) if o["least_seconds"] > 0 else ""
        lines.append("| %s | %d | %.2f | %.2f | %s |" % (o["name"], o["calls"], o["median"] * 1e3,
                                                         o["least_seconds"] * 1e3, share))
    with open(os.path.join(folder, "cpu.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            report = json.load(file)
    except (OSError, ValueError) as problem:
        raise SystemExit("bench/page.py: %s" % problem)
    if not report.get("step_operators"):
        raise SystemExit("bench/page.py: %s has no step by operator: tinygpt bench --only step on the cpu writes one"
                         % sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) == 3 else os.path.join(ROOT, "bench", "results")
    try:
        roofline(report, folder)
        step_time(report, folder)
        page(report, folder)
    except (KeyError, TypeError, ValueError) as problem:
        raise SystemExit("bench/page.py: %s is no report of tinygpt bench: %r" % (sys.argv[1], problem))


if __name__ == "__main__":
    main()
