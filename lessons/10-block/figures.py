"""The figures of lesson 10 that nothing is measured for; the charts are written by the lesson's program."""
import math

from drawing import Drawing, course_map, line_chart, output_folder

ROW = [1, 7, 7, 9]
MEAN, VARIANCE = 6, 9


def normalise_figure(folder):
    d = Drawing(640, 250, "Four numbers: their mean is taken off, then they are divided by their deviation")
    steps = (("x", ROW, "mean 6"), ("x - mean", [x - MEAN for x in ROW], "mean 0, variance 9"),
             ("divided by 3", [(x - MEAN) / math.sqrt(VARIANCE) for x in ROW], "mean 0, variance 1"))
    for i, (title, values, words) in enumerate(steps):
        y = 46 + 82 * i
        d.text(14, y + 4, title, 14, "ink", bold=True)
        at = d.number_line(140, y, 330, -6, 10, 2)
        for value in sorted(set(values)):
            d.circle(at(value), y, 6 if values.count(value) == 2 else 4.5, "accent")
        d.line(at(sum(values) / 4), y - 22, at(sum(values) / 4), y + 2, "second", 2)
        d.text(492, y + 4, words, 13, "second")
    d.text(140, 18, "the larger dot stands for the two 7s; the stroke is the mean", 12, "dim")
    d.save(folder, "normalise")


def block_figure(folder):
    d = Drawing(700, 250, "A pre-norm block: two branches leave the residual stream, and are added back to it")
    y = 196
    d.text(14, y - 10, "x", 15, "ink", bold=True, mono=True)
    d.arrow(14, y, 686, y, "accent", 3)
    d.text(686, y + 26, "to the next block", 12, "dim", "end")
    d.text(14, y + 34, "the residual stream: nothing stands on it but additions", 13, "accent")
    branches = ((50, ("norm", "attention", "dropout")),
                (336, ("norm", "linear", "GELU or\nSwiGLU", "linear", "dropout")))
    for left, parts in branches:
        w = 58 if len(parts) == 5 else 74
        right = left + (w - 2) * len(parts) + 8
        d.circle(left, y, 4, "accent")
        d.line(left, y, left, 96, "second", 2)
        x = left + 8
        d.arrow(left, 96, x, 96, "second", 2)
        for part in parts:
            d.box(x, 70, w - 6, 52, part, "warm" if part == "norm" else "soft", size=11)
            x += w - 2
        x_end = x + 4
        d.line(x - 4, 96, x_end, 96, "second", 2)
        d.arrow(x_end, 96, x_end, y - 12, "second", 2)
        d.circle(x_end, y, 11, "accent")
        d.text(x_end, y + 5, "+", 15, "page", "middle", bold=True)
        d.text((left + right) / 2 + 4, 56, "branch: attention" if len(parts) == 3 else "branch: MLP", 13, "second",
               "middle", bold=True)
    d.text(14, 26, "one block, pre-norm", 14, "ink", bold=True)
    d.save(folder, "block")


def chain_figure(folder):
    d = Drawing(660, 206, "Back through layers alone slopes multiply; with residuals a way without layers remains")

    def layers(y, count):
        for i in range(count):
            d.box(150 + 104 * i, y, 62, 34, "x 0.5", "soft", size=14, mono=True)

    d.text(14, 46, "layers alone", 14, "ink", bold=True)
    layers(24, 4)
    for i in range(5):
        d.arrow(146 + 104 * i + (4 if i == 4 else 0), 41, 108 + 104 * i + 4, 41, "second", 2)
    d.text(576, 46, "dout", 13, "second", mono=True)
    d.text(150, 84, "0.5 x 0.5 x 0.5 x 0.5 = 0.0625; after 32 layers, less than a billionth", 13, "dim")
    d.text(14, 134, "with residuals", 14, "ink", bold=True)
    layers(112, 4)
    d.arrow(566, 173, 60, 173, "accent", 3)
    for i in range(4):
        x = 150 + 104 * i
        d.line(x + 76, 173, x + 76, 129, "second", 1.6)
        d.arrow(x + 76, 129, x + 64, 129, "second", 1.6)
        d.line(x - 2, 129, x - 14, 129, "second", 1.6)
        d.arrow(x - 14, 129, x - 14, 170, "second", 1.6)
    d.text(576, 178, "dout", 13, "accent", mono=True)
    d.text(150, 198, "1 along the stream, whatever the layers do", 13, "dim")
    d.save(folder, "chain")


def ways_figure(folder):
    d = Drawing(660, 208, "x[c] reaches the normalised row three ways: directly, through the mean, and through rstd")
    d.box(20, 82, 66, 40, "x[c]", "fill", mono=True)
    d.box(190, 20, 110, 40, "mean", "warm")
    d.box(190, 144, 110, 40, "rstd", "warm")
    d.box(440, 82, 190, 40, "xhat[0], ..., xhat[C-1]", "green", size=13, mono=True)
    d.arrow(88, 102, 438, 102, "accent", 2)
    d.arrow(88, 94, 188, 44, "second", 2)
    d.arrow(302, 44, 450, 80, "second", 2)
    d.arrow(88, 110, 188, 160, "third", 2)
    d.arrow(302, 160, 450, 124, "third", 2)
    d.text(262, 94, "one xhat, by rstd", 13, "accent", "middle")
    d.text(400, 44, "all of them down alike: - average(g)", 13, "second")
    d.text(392, 168, "all of them along xhat:", 13, "third")
    d.text(392, 186, "- xhat average(g xhat)", 13, "third")
    d.save(folder, "ways")


def silu(z):
    return z / (1 + math.exp(-z))


def silu_figure(folder):
    zs = [i / 10 for i in range(-60, 41)]
    slope = [(z, (silu(z + 1e-4) - silu(z - 1e-4)) / 2e-4) for z in zs]
    line_chart(folder, "silu", "silu and its slope", {"silu": [(z, silu(z)) for z in zs], "slope": slope}, "z", "",
               y_zero=False, marks=False, height=270)


def swiglu_figure(folder):
    d = Drawing(640, 160, "SwiGLU: the first half of a row, bent by silu, multiplies the second half")
    d.text(14, 34, "x, a row of 2 H", 13, "dim")
    d.matrix(20, 48, [["gate 0", "gate 1", "gate 2", "up 0", "up 1", "up 2"]], 66, 34,
             fills=[["warm"] * 3 + ["fill"] * 3], size=12)
    d.line(119, 84, 119, 118, "second", 2)
    d.arrow(119, 118, 158, 118, "second", 2)
    d.box(160, 100, 64, 36, "silu", "soft")
    d.arrow(226, 118, 304, 118, "second", 2)
    d.arrow(317, 84, 317, 104, "accent", 2)
    d.circle(317, 118, 12, "accent")
    d.text(317, 123, "x", 14, "page", "middle", bold=True)
    d.arrow(331, 118, 420, 118)
    d.matrix(424, 101, [["out 0", "out 1", "out 2"]], 66, 34, fills=[["green"] * 3], size=12)
    d.save(folder, "swiglu")


def dropout_figure(folder):
    d = Drawing(640, 168, "Dropout with p = 0.5: some values become 0, the others twice as large")
    xs = [2, -1, 3, 1, -2, 4, 1, 2]
    kept = [1, 0, 1, 1, 0, 0, 1, 0]
    for row, (name, values) in enumerate((("x", xs), ("mask", kept), ("out", [x * k * 2 for x, k in zip(xs, kept)]))):
        d.text(14, 40 + 46 * row, name, 14, "ink", bold=True)
        shade = [["soft" if not k else "fill" if row < 2 else "green" for k in kept]]
        d.matrix(80, 20 + 46 * row, [values], 46, 30, fills=shade, form="%d")
    d.text(466, 40, "p = 0.5", 13, "dim")
    d.text(466, 86, "from (seed, stream, i)", 13, "dim")
    d.text(466, 132, "x / (1 - p), or 0", 13, "dim")
    d.text(80, 162, "backward asks for the same mask again: nothing is stored", 12, "dim")
    d.save(folder, "dropout-mask")


def warp_figure(folder):
    d = Drawing(660, 210, "One warp for each row: each lane adds its own values, five exchanges make one sum of 32")
    d.text(14, 22, "a row of 64, lanes 0 to 31", 13, "ink", bold=True)
    for half in range(2):
        for i in range(8):
            name = (0, 1, 2, 3, None, 29, 30, 31)[i]
            fill = "fill" if name == 1 else "soft"
            d.box(14 + 39 * i + 318 * half, 34, 36, 26, "..." if name is None else str(name), fill, size=12, mono=True)
    d.text(14, 80, "one load of the warp: 32 neighbours", 12, "dim")
    d.text(332, 80, "the next load", 12, "dim")
    d.text(14, 116, "then warp_sum: every lane adds what the lane at a distance has", 13, "ink", bold=True)
    for k, distance in enumerate((16, 8, 4, 2, 1)):
        d.box(14 + 96 * k, 130, 84, 30, "lane ^ %d" % distance, "warm", size=12, mono=True)
        d.text(56 + 96 * k, 178, "%d values" % (64 // distance), 12, "dim", "middle")
    d.arrow(484, 145, 512, 145)
    d.text(518, 142, "all 32 lanes", 13, "third")
    d.text(518, 158, "have the sum", 13, "third")
    d.text(14, 202, "no shared memory, no barrier: the lanes of a warp exchange registers", 12, "dim")
    d.save(folder, "warp")


def stages_figure(folder):
    d = Drawing(660, 240, "Two stages: blocks share the rows and write partial sums, a second kernel adds these up")
    d.text(96, 20, "dout * xhat, [N, C]", 13, "ink", "middle", bold=True)
    colours = ("fill", "warm", "green")
    for r in range(9):
        d.matrix(30, 30 + 20 * r, [[""] * 4], 34, 20, fills=[[colours[r % 3]] * 4])
        d.text(174, 44 + 20 * r, "piece %d" % (r % 3), 12, "dim")
    d.arrow(240, 121, 312, 121)
    d.text(388, 78, "partial sums", 13, "ink", "middle", bold=True)
    for j in range(3):
        d.matrix(320, 88 + 22 * j, [[""] * 4], 34, 22, fills=[[colours[j]] * 4])
    d.arrow(462, 121, 512, 121)
    d.text(578, 100, "dweight += ", 13, "ink", "middle", bold=True)
    d.matrix(516, 110, [[""] * 4], 30, 22, fills=[["soft"] * 4])
    d.text(388, 180, "first stage: with =, each", 12, "dim", "middle")
    d.text(388, 196, "block into its own row", 12, "dim", "middle")
    d.text(578, 158, "second stage: one", 12, "dim", "middle")
    d.text(578, 174, "thread a column", 12, "dim", "middle")
    d.text(30, 230, "each line here is eight rows, one for each thread of a column", 12, "dim")
    d.save(folder, "stages")


def orders_figure(folder):
    d = Drawing(640, 190, "Pre-norm puts the norm into the branch, post-norm puts it on the stream")
    for left, title, parts in ((20, "pre-norm", ("norm", "layer")), (340, "post-norm", ("layer",))):
        on_stream = title == "post-norm"
        d.text(left, 24, title, 14, "ink", bold=True)
        d.text(left + 100, 24, "x + f(norm(x))" if not on_stream else "norm(x + f(x))", 13, "dim", mono=True)
        plus = left + (186 if not on_stream else 140)
        d.arrow(left, 150, plus - 12, 150, "accent", 3)
        d.line(left + 20, 150, left + 20, 76, "second", 2)
        x = left + 36
        d.arrow(left + 20, 76, x, 76, "second", 2)
        for part in parts:
            d.box(x, 58, 62, 36, part, "warm" if part == "norm" else "soft", size=13)
            x += 66
        d.line(x - 4, 76, plus, 76, "second", 2)
        d.arrow(plus, 76, plus, 137, "second", 2)
        d.circle(plus, 150, 11, "accent")
        d.text(plus, 155, "+", 15, "page", "middle", bold=True)
        if on_stream:
            d.arrow(plus + 13, 150, plus + 32, 150, "accent", 3)
            d.box(plus + 34, 132, 62, 36, "norm", "warm", size=13)
            d.arrow(plus + 98, 150, plus + 130, 150, "accent", 3)
        else:
            d.arrow(plus + 13, 150, plus + 70, 150, "accent", 3)
    d.save(folder, "orders-wiring")


def main():
    folder = output_folder()
    course_map(folder, 10, "block")
    normalise_figure(folder)
    block_figure(folder)
    chain_figure(folder)
    ways_figure(folder)
    silu_figure(folder)
    swiglu_figure(folder)
    dropout_figure(folder)
    warp_figure(folder)
    stages_figure(folder)
    orders_figure(folder)


main()
