"""The figures of lesson 21. What was measured on a model of 11 million parameters comes from bench/results."""
import csv
import math
import os
import sys

from drawing import Drawing, bar_chart, course_map, output_folder

WEIGHTS = (("cat", 0.85), ("dog", -1.60), ("sun", 0.33), (".", 0.05))


def grid_figure(folder):
    """The four weights on both grids."""
    d = Drawing(680, 236, "Four weights on a line, above the sixteen steps of Q4_0, which reach from -1.6 to 1.4")
    left, width = 40, 600

    def at(value):
        return left + width * (value + 1.8) / 3.6
    y = 66
    d.text(left, 22, "weights", 14, "ink", bold=True)
    d.line(left, y, left + width, y, "line", 1.6)
    for name, value in WEIGHTS:
        d.circle(at(value), y, 5, "accent")
        d.text(at(value), y - (32 if name == "." else 14), "%s %.2f" % (name, value), 12, "ink", "middle")
    y = 156
    d.text(left, 226, "the sixteen steps of Q4_0, 0.2 apart, and their codes", 14, "second", bold=True)
    d.line(left, y, left + width, y, "line", 1.6)
    for code in range(16):
        value = 0.2 * (code - 8)
        d.line(at(value), y - 6, at(value), y + 6, "second", 2)
        d.text(at(value), y + 22, str(code), 12, "dim", "middle", mono=True)
    for _, value in WEIGHTS:
        nearest = 0.2 * math.floor(value / 0.2 + 0.5)
        d.arrow(at(value), 74, at(nearest), y - 9, "dim", 1.3)
    d.text(at(0), y + 44, "zero is code 8", 12, "second", "middle")
    d.text(at(1.4), y + 44, "there is no step 16", 12, "second", "middle")
    d.text(at(-1.6), y + 44, "the farthest is code 0", 12, "second", "middle")
    d.save(folder, "grid")


def block_figure(folder):
    d = Drawing(690, 216, "Q8_0 keeps 32 values in 34 bytes, Q4_0 in 18; in Q4_0 byte i holds values i and i + 16")
    for row, (name, count, words) in enumerate((("Q8_0", 32, "34 bytes for 32 weights: 8.5 bits a weight"),
                                                ("Q4_0", 16, "18 bytes for 32 weights: 4.5 bits a weight"))):
        y = 34 + 76 * row
        d.text(14, y + 20, name, 14, "ink", bold=True)
        d.rect(70, y, 30, 30, "warm")
        d.text(85, y + 19, "d", 13, "ink", "middle", mono=True)
        for i in range(count):
            d.rect(104 + 17.6 * i, y, 17.6, 30, "fill", radius=0)
        d.text(104, y - 8, words, 12, "dim")
    d.text(14, 198, "one byte", 13, "ink")
    d.box(104, 180, 96, 26, "value i + 16", "fill", size=12)
    d.box(200, 180, 96, 26, "value i", "green", size=12)
    d.text(310, 197, "high half, then low half; d is in half precision", 12, "dim")
    d.save(folder, "blocks")


def outlier_figure(folder):
    d = Drawing(670, 190, "With one scale for all, a large weight makes the steps coarse; with one for each group it "
                "does so for its own group only")
    heights = (5, -7, 4, 6, -3, 60, 7, -5, 6, -4, 3, -6, 5, 7, -2, 4)
    for half, (title, groups) in enumerate((("one scale for all", 1), ("one for every four", 4))):
        x0 = 20 + 335 * half
        d.text(x0, 20, title, 14, "ink", bold=True)
        each = 16 // groups
        for g in range(groups):
            part = heights[g * each:(g + 1) * each]
            largest = max(abs(h) for h in part)
            x = x0 + 18 * each * g
            step = 1.1 * largest / 3.5
            for k in range(-3, 4):
                y = 112 - k * step
                if 32 < y < 182:
                    d.line(x, y, x + 18 * each - 4, y, "second", 1)
            for i, h in enumerate(part):
                top = 112 - 1.1 * max(h, 0)
                d.rect(x + 18 * i + 3, top, 8, max(1.1 * abs(h), 1), "accent", None, 1)
    d.save(folder, "outlier")


def pass_on_figure(folder):
    d = Drawing(690, 214, "GPTQ goes through the columns of a row: what is rounded stays, the error moves on to the "
                "columns that are not rounded yet")
    cells = ("rounded", "rounded", "now", "later", "later", "later")
    fills = ("green", "green", "warm", "fill", "fill", "fill")
    x0, y, w = 40, 84, 98
    for i, (words, fill) in enumerate(zip(cells, fills)):
        d.box(x0 + w * i, y, w - 6, 44, words, fill, size=13)
        d.text(x0 + w * i + 46, y + 64, "column %d" % i, 12, "dim", "middle")
    source = x0 + w * 2 + 46
    d.text(source, 22, "error of column 2", 13, "second", "middle")
    d.arrow(source, y - 4, source, 30, "second", 1.6)
    for j in (3, 4, 5):
        d.arrow(source + 60, 34, x0 + w * j + 46, y - 4, "second", 1.6)
    d.text(x0, 186, "how much goes where: U[2, 3], U[2, 4], U[2, 5], from the inverse of the Hessian", 13, "ink")
    d.text(x0, 206, "columns whose inputs come together with column 2's can make up for most of it", 13, "dim")
    d.save(folder, "pass-on")


def scale_figure(folder):
    d = Drawing(690, 206, "AWQ doubles a column and halves its input: the product stays, the rounding error is halved")
    d.text(20, 26, "before", 14, "ink", bold=True)
    d.text(360, 26, "after, s = 2", 14, "ink", bold=True)
    for x, weight, value in ((20, "0.33", "6.0"), (360, "0.66", "3.0")):
        d.box(x, 44, 84, 40, "x  " + value, "fill", mono=True)
        d.text(x + 100, 69, "times", 13, "dim")
        d.box(x + 146, 44, 92, 40, "w  " + weight, "warm", mono=True)
        d.text(x + 250, 69, "= 1.98", 13, "ink", mono=True)
    d.text(20, 116, "rounded to steps of 0.2:", 13, "dim")
    d.text(20, 140, "0.4: output 2.40, off by 0.42", 14, "second", mono=True)
    d.text(360, 116, "rounded to steps of 0.2:", 13, "dim")
    d.text(360, 140, "0.6: output 1.80, off by 0.18", 14, "third", mono=True)
    d.text(20, 190, "the halving of x goes into the norm before the layer: its weight is divided by s", 13, "ink")
    d.save(folder, "scale")


def warp_figure(folder):
    d = Drawing(690, 202, "A warp quantizes a block: each lane has a value, the largest goes to all, and lanes i and "
                "i + 16 make a byte")
    d.text(14, 34, "32 lanes", 13, "ink", bold=True)
    for i in range(32):
        d.rect(96 + 18 * i, 18, 18, 24, "fill" if i < 16 else "green", radius=0)
    d.text(104, 60, "0", 12, "dim", "middle")
    d.text(96 + 18 * 16 + 9, 60, "16", 12, "dim", "middle")
    d.text(96 + 18 * 31 + 9, 60, "31", 12, "dim", "middle")
    d.arrow(384, 48, 384, 82, "second", 1.6)
    d.box(270, 84, 228, 30, "largest magnitude, to all lanes", "warm", size=13)
    d.text(14, 166, "16 bytes", 13, "ink", bold=True)
    for i in range(16):
        d.rect(96 + 18 * i, 150, 18, 12, "green", radius=0)
        d.rect(96 + 18 * i, 162, 18, 12, "fill", radius=0)
    d.arrow(105, 64, 105, 146, "dim", 1.4)
    d.arrow(393, 126, 112, 146, "dim", 1.4)
    d.line(393, 64, 393, 80, "dim", 1.4)
    d.line(393, 114, 393, 126, "dim", 1.4)
    d.text(400, 160, "lane i fetches the code of lane i + 16", 13, "dim")
    d.text(400, 180, "and writes both as one byte", 13, "dim")
    d.save(folder, "warp")


def measured_figure(folder):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
    with open(os.path.join(root, "bench", "results", "quantization.tsv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    names = {"8 bits (Q8_0)": ("Q8_0", "dim"), "round to nearest": ("nearest", "second"),
             "AWQ, no clipping": ("AWQ, no clipping", "accent"), "AWQ": ("AWQ", "fourth"), "GPTQ": ("GPTQ", "third")}
    bars, colours = [], {}
    for model, words in (("plain", "as trained"), ("outliers", "large channels")):
        for row in rows:
            if row["model"] == model and row["method"] in names and row["group"] == "32":
                name, colour = names[row["method"]]
                label = "%s: %s" % (words, name)
                bars.append((label, 1000 * float(row["divergence"])))
                colours[label] = colour
    bar_chart(folder, "measured", "Divergence of a model of 10.7 million parameters from its float twin, by method, "
              "for 32 weights a scale", bars, "divergence from the float model, thousandths of a nat per token", 660,
              colours, "%.3f")


def main():
    folder = output_folder()
    course_map(folder, 21, "quantization")
    grid_figure(folder)
    block_figure(folder)
    outlier_figure(folder)
    pass_on_figure(folder)
    scale_figure(folder)
    warp_figure(folder)
    measured_figure(folder)


if __name__ == "__main__":
    main()
