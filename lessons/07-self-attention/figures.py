"""The figures of lesson 07. Small numbers are computed here, measured ones come from measured.json."""
import json
import math
import os

from drawing import Drawing, course_map, line_chart, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = ["Tom", "lost", "his", "hat"]
Q = [[0, 0], [1, 1], [2, 0], [1, 0]]
K = [[2, 0], [0, 0], [1, 0], [0, 2]]
V = [[4, 0], [0, 2], [0, 0], [0, 4]]


def product(a, b):
    return [[sum(x * b[i][c] for i, x in enumerate(row)) for c in range(len(b[0]))] for row in a]


def flipped(a):
    return [list(column) for column in zip(*a)]


def softmax(row):
    exps = [math.exp(x - max(row)) for x in row]
    return [e / sum(exps) for e in exps]


SCORES = [[x / math.sqrt(2) for x in row] for row in product(Q, flipped(K))]
P = [softmax(row) for row in SCORES]
OUT = product(P, V)


def mix_figure(folder):
    d = Drawing(640, 214, "A weighted sum: each output row is a mix of all input rows, by one row of weights")
    d.text(186, 22, "the plain mean", 13, "dim", "middle")
    for row, weights, x in ((0, [0.25] * 4, 90), (1, [0.7, 0.0, 0.1, 0.2], 400)):
        d.matrix(x, 52, [weights], 48, 30, "", [], WORDS, [["fill" if w > 0.2 else "soft" for w in weights]],
                 form="%.2f")
        mixed = product([weights], V)[0]
        for i, words in enumerate(WORDS):
            d.matrix(x + 48 * i + 4, 120, [[V[i][0]], [V[i][1]]], 40, 24, form="%d")
            d.line(x + 48 * i + 24, 84, x + 48 * i + 24, 118, "accent", 0.6 + 7 * weights[i])
        d.text(x + 24 * 4, 192, "sum: (%.2f, %.2f)" % tuple(mixed), 14, "second", "middle", bold=True)
    d.text(496, 22, "weights chosen for a purpose", 13, "dim", "middle")
    d.text(78, 72, "weights", 12, "dim", "end")
    d.text(78, 148, "rows", 12, "dim", "end")
    d.save(folder, "mix")


def roles_figure(folder):
    d = Drawing(660, 214, "Three matrices make a query, a key and a value of each token")
    d.box(20, 82, 90, 44, "x\n[T, C]", "soft", size=14)
    for y, name, role, colour, fill in ((16, "Q", "what I look for", "accent", "fill"),
                                        (82, "K", "what I can be found by", "third", "green"),
                                        (148, "V", "what I pass on", "second", "warm")):
        d.arrow(112, 104, 196, y + 22)
        d.box(200, y, 96, 44, "W%s\n[HS, C]" % name.lower(), "soft", size=13)
        d.arrow(298, y + 22, 336, y + 22)
        d.box(340, y, 96, 44, "%s\n[T, HS]" % name, fill, size=13, bold=True)
        d.text(450, y + 27, role, 14, colour)
    d.save(folder, "roles")


def lookup_figure(folder):
    d = Drawing(660, 236, "The query of 'his' is compared with all keys; the values are mixed by its shares")
    d.box(16, 94, 92, 44, "query of 'his'\n(2, 0)", "fill", size=12)
    d.text(202, 24, "keys", 13, "dim", "middle")
    d.text(322, 24, "score", 13, "dim", "middle")
    d.text(428, 24, "share", 13, "dim", "middle")
    d.text(585, 24, "values", 13, "dim", "middle")
    for i, word in enumerate(WORDS):
        y = 38 + 42 * i
        d.arrow(110, 116, 148, y + 16)
        d.box(150, y, 104, 32, "%s (%d, %d)" % (word, *K[i]), "green", size=13)
        d.text(322, y + 21, "%.2f" % SCORES[2][i], 14, "ink", "middle", mono=True)
        d.rect(380, y + 6, max(96 * P[2][i], 1), 20, "accent", None, 2)
        inside = P[2][i] > 0.5
        d.text(388 if inside else 386 + 96 * P[2][i], y + 21, "%.3f" % P[2][i], 13, "page" if inside else "ink",
               mono=True)
        d.box(540, y, 90, 32, "(%d, %d)" % tuple(V[i]), "warm", size=13)
        d.line(484, y + 16, 538, y + 16, "second", 0.6 + 7 * P[2][i])
    d.text(640, 226, "out of 'his': (%.2f, %.2f)" % tuple(OUT[2]), 14, "second", "end", bold=True)
    d.save(folder, "lookup")


def pipeline_figure(folder):
    d = Drawing(680, 200, "From queries and keys to scores, to probabilities, to a mix of values, with shapes")

    def block(x, y, w, h, name, shape, fill):
        d.rect(x, y, w, h, fill, "line", 2)
        d.text(x + w / 2, y + h / 2 - 1, name, 14, "ink", "middle", bold=True)
        d.text(x + w / 2, y + h / 2 + 15, shape, 11, "dim", "middle")
    block(6, 40, 54, 92, "Q", "[T, HS]", "fill")
    d.text(69, 92, "x", 15, "ink", "middle")
    block(78, 60, 92, 54, "K^T", "[HS, T]", "green")
    d.arrow(176, 86, 246, 86)
    d.text(211, 74, "/ sqrt(HS)", 12, "dim", "middle")
    block(252, 40, 92, 92, "S", "[T, T]", "soft")
    d.text(298, 152, "scores", 13, "dim", "middle")
    d.arrow(350, 86, 414, 86)
    d.text(382, 60, "softmax", 12, "dim", "middle")
    d.text(382, 74, "of rows", 12, "dim", "middle")
    block(420, 40, 92, 92, "P", "[T, T]", "soft")
    d.text(466, 152, "rows sum to 1", 13, "dim", "middle")
    d.text(525, 92, "x", 15, "ink", "middle")
    block(538, 40, 54, 92, "V", "[T, HS]", "warm")
    d.text(604, 92, "=", 15, "ink", "middle")
    block(616, 40, 58, 92, "out", "[T, HS]", "fill")
    for x, w in ((6, 54), (252, 92), (420, 92), (616, 58)):
        d.line(x, 64, x + w, 64, "accent", 2)
    d.text(340, 184, "a row belongs to the one that asks, a column to the one that is asked", 13, "accent", "middle")
    d.save(folder, "pipeline")


def scale_figure(folder):
    scores = [1.2, 0.5, 0.1, -0.4, -0.9]
    d = Drawing(640, 190, "The same five scores, times 1 and times 8: the softmax gives nearly all to the best")
    for x, factor, words in ((40, 1, "scores of size 1"), (350, 8, "the same, 8 times as large")):
        p = softmax([factor * s for s in scores])
        d.text(x + 125, 20, words, 14, "ink", "middle", bold=True)
        for i, share in enumerate(p):
            height = 108 * share
            left = x + 52 * i
            d.rect(left, 150 - height, 40, max(height, 1), "accent" if factor == 1 else "second", None, 1)
            d.text(left + 20, 144 - height, "%.3f" % share, 11, "ink", "middle")
            d.text(left + 20, 170, "%.1f" % (factor * scores[i]), 12, "dim", "middle", mono=True)
        d.line(x - 6, 150, x + 254, 150)
    d.save(folder, "scale")


def backward_figure(folder):
    d = Drawing(680, 232, "The five gradients, from out back to Q, K and V, each with its formula and its shape")

    def node(x, y, w, name, shape, fill):
        d.box(x, y, w, 42, "%s\n%s" % (name, shape), fill, size=13, bold=True)
    node(556, 84, 96, "dO", "[T, HS]", "warm")
    node(388, 22, 96, "dV", "[T, HS]", "green")
    node(388, 132, 96, "dP", "[T, T]", "soft")
    node(206, 132, 96, "dS", "[T, T]", "soft")
    node(20, 76, 96, "dQ", "[T, HS]", "green")
    node(20, 182, 96, "dK", "[T, HS]", "green")
    d.arrow(554, 98, 486, 48, "second")
    d.arrow(554, 112, 486, 148, "second")
    d.arrow(386, 153, 304, 153, "second")
    d.arrow(204, 146, 118, 102, "second")
    d.arrow(204, 160, 118, 198, "second")
    d.text(536, 56, "P^T dO", 14, "second", mono=True)
    d.text(536, 150, "dO V^T", 14, "second", mono=True)
    d.text(345, 146, "softmax", 13, "second", "middle")
    d.text(345, 171, "by rows", 13, "second", "middle")
    d.text(168, 106, "dS K / sqrt(HS)", 14, "second", mono=True)
    d.text(150, 216, "dS^T Q / sqrt(HS)", 14, "second", mono=True)
    d.save(folder, "backward")


def row_sum_figure(folder):
    p, dp = P[2], [4.0, 0.0, 0.0, 0.0]
    mean = sum(a * b for a, b in zip(p, dp))
    d = Drawing(640, 218, "Back through the softmax: what each key is better than the mean, times its share")
    names = (("p", p, "%.3f", "soft"), ("dp", dp, "%.3f", "soft"), ("dp - %.3f" % mean, [x - mean for x in dp], "%.3f",
                                                                  "warm"),
             ("ds", [a * (x - mean) for a, x in zip(p, dp)], "%.3f", "green"))
    for row, (name, values, form, fill) in enumerate(names):
        y = 34 + 38 * row
        d.text(152, y + 21, name, 14, "ink", "end", mono=True)
        d.matrix(170, y, [values], 90, 30, "", [], WORDS if row == 0 else [], [[fill] * 4], form=form)
    d.text(546, 55, "sums to 1", 13, "dim")
    d.text(546, 169, "sums to 0", 13, "dim")
    d.text(350, 208, "mean of dp, weighted with p: %.3f" % mean, 13, "second", "middle")
    d.save(folder, "row_sum")


def kernels_figure(folder):
    d = Drawing(680, 186, "Three kernels: one warp for a score, one warp for a row, one block for a row of the output")
    for x, title, words, fill in ((14, "attention_scores", "one warp: one score\n32 lanes share the HS terms", "fill"),
                                  (238, "masked_softmax", "one warp: one row of P\nno barrier needed", "green"),
                                  (462, "weighted_sum", "one block: one row of out\nweights in shared memory", "warm")):
        d.text(x + 102, 24, title, 14, "ink", "middle", bold=True, mono=True)
        d.box(x, 36, 204, 56, words, fill, size=13)
    d.arrow(220, 64, 236, 64)
    d.arrow(444, 64, 460, 64)
    d.text(228, 124, "S to memory and back", 12, "dim", "middle")
    d.text(452, 124, "P to memory and back", 12, "dim", "middle")
    d.line(228, 72, 228, 110, "line", 1, dash=True)
    d.line(452, 72, 452, 110, "line", 1, dash=True)
    d.text(340, 166, "T x T numbers each time: 64 MiB for 4,096 tokens", 13, "second", "middle")
    d.save(folder, "kernels")


def measured_figures(folder):
    path = os.path.join(HERE, "measured.json")
    with open(path, encoding="utf-8") as file:
        measured = json.load(file)
    rows = measured["saturate"]["rows"]
    line_chart(folder, "saturate", "The largest of 64 probabilities against the head size, with and without the scale",
               {"divided": [(r[0], r[1]) for r in rows], "not divided": [(r[0], r[4]) for r in rows]}, "head size HS",
               "largest probability", log_x=True, height=280)
    rows = measured["steps"]["rows"]
    names = ("plain mean", "not divided", "divided")
    line_chart(folder, "steps", "Loss of three ways to mix, on new tables",
               {name: [(r[0], r[i + 1]) for r in rows] for i, name in enumerate(names)}, "steps", "nats", height=280)
    look = measured["look"]
    d = Drawing(680, 268, "Who looks at whom: rows watch, columns are looked at; before and after training")
    for x, key, title in ((170, "before", "before training"), (448, "after", "after training")):
        names = look["rows"] if key == "before" else [""] * len(look["rows"])
        d.text(x + 105, 20, title, 14, "ink", "middle", bold=True)
        d.heat(x, 52, look[key], 35, 33, names, look["columns"], form="%.2f")
    d.save(folder, "look")


def main():
    folder = output_folder()
    course_map(folder, 7, "self-attention")
    mix_figure(folder)
    roles_figure(folder)
    lookup_figure(folder)
    pipeline_figure(folder)
    scale_figure(folder)
    backward_figure(folder)
    row_sum_figure(folder)
    kernels_figure(folder)
    if os.path.exists(os.path.join(HERE, "measured.json")):
        measured_figures(folder)


main()
