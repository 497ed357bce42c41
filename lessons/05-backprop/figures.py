"""The figures of lesson 05. Measured numbers come from measured.json."""
import json
import math
import os

from drawing import Drawing, course_map, line_chart, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))


def chain_figure(folder):
    d = Drawing(640, 150, "Values flow forward, gradients flow back through the same boxes")
    names = ("x", "linear", "GELU", "linear", "loss")
    for i, name in enumerate(names):
        d.box(14 + 126 * i, 52, 84, 42, name, "soft" if i in (0, 4) else "fill", size=14)
        if i < 4:
            d.arrow(100 + 126 * i, 64, 138 + 126 * i, 64, "accent")
            d.arrow(138 + 126 * i, 84, 100 + 126 * i, 84, "second")
    d.text(14, 34, "forward: values", 13, "accent", bold=True)
    d.text(14, 124, "backward: by how much the loss changes if this value grows", 13, "second", bold=True)
    d.save(folder, "chain")


def factors_figure(folder):
    d = Drawing(640, 170, "A product passes the gradient of its output to both factors, times the other factor")
    d.box(30, 20, 130, 42, "x[n, c]", "fill", mono=True)
    d.box(30, 104, 130, 42, "weight[o, c]", "fill", mono=True)
    d.box(260, 60, 60, 46, "times", "soft", size=14)
    d.box(430, 60, 170, 46, "out[n, o]", "soft", mono=True)
    d.arrow(162, 36, 258, 72, "accent")
    d.arrow(162, 130, 258, 94, "accent")
    d.arrow(322, 76, 428, 76, "accent")
    d.arrow(428, 92, 322, 92, "second")
    d.text(376, 112, "dout[n, o]", 13, "second", "middle", mono=True)
    d.text(170, 22, "gets dout times weight", 13, "second")
    d.text(170, 160, "gets dout times x", 13, "second")
    d.save(folder, "factors")


def shapes_figure(folder):
    d = Drawing(660, 212, "The three gradients of a linear layer as products of matrices, with their shapes")

    def block(x, y, w, h, name, shape, fill):
        d.rect(x, y, w, h, fill, "line", 2)
        d.text(x + w / 2, y + h / 2 - 2, name, 14, "ink", "middle", bold=True)
        d.text(x + w / 2, y + h / 2 + 15, shape, 11, "dim", "middle")

    block(20, 20, 60, 70, "dX", "[N, C]", "green")
    d.text(88, 60, "+=", 15)
    block(116, 20, 80, 70, "dY", "[N, OC]", "warm")
    d.text(204, 60, "x", 15)
    block(222, 20, 60, 80, "W", "[OC, C]", "fill")
    block(20, 118, 60, 80, "dW", "[OC, C]", "green")
    d.text(88, 162, "+=", 15)
    block(116, 118, 70, 80, "dY^T", "[OC, N]", "warm")
    d.text(194, 162, "x", 15)
    block(212, 118, 60, 70, "X", "[N, C]", "fill")
    block(370, 50, 80, 46, "db", "[OC]", "green")
    d.text(460, 78, "+=", 15)
    d.text(488, 78, "the column sums of", 13)
    block(488, 92, 80, 70, "dY", "[N, OC]", "warm")
    d.save(folder, "shapes")


def gelu(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def gelu_figure(folder):
    xs = [i / 10 for i in range(-40, 31)]
    slope = [(x, (gelu(x + 1e-4) - gelu(x - 1e-4)) / 2e-4) for x in xs]
    line_chart(folder, "gelu", "GELU and its slope", {"GELU": [(x, gelu(x)) for x in xs], "slope": slope}, "x", "",
               y_zero=False, marks=False, height=280)


def differences_figure(folder):
    d = Drawing(640, 200, "The slope by central differences: two points, one step to each side")
    points = [(60 + 5.2 * i, 170 - (0.0023 * (i - 8) ** 2.2 if i > 8 else 0.0) * 4.6) for i in range(0, 100, 2)]
    d.polyline(points, "accent", 2)
    a, b = points[22], points[38]
    d.line(*a, *b, "second", 2)
    for (x, y), words in ((a, "loss(w - step)"), (b, "loss(w + step)")):
        d.circle(x, y, 5, "second")
        d.line(x, y + 6, x, 178, "line", 1, dash=True)
        d.text(x - 10, y - 12, words, 13, "ink", "end")
    d.text((a[0] + b[0]) / 2, 194, "2 steps", 12, "dim", "middle")
    d.text(60, 22, "slope = difference of the losses / 2 steps", 14, "second")
    d.save(folder, "differences")


def measured_figures(folder):
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        measured = json.load(file)
    line_chart(folder, "sweep", "Validation loss after 1,500 steps against the learning rate",
               {"loss": [tuple(row) for row in measured["sweep"]["rows"]]}, "learning rate", "nats per character",
               log_x=True, y_zero=False, height=300)
    rows = measured["overfit"]["rows"]
    line_chart(folder, "overfit", "Training and validation loss of a model that learns by heart",
               {"training text": [(r[0], r[1]) for r in rows], "validation": [(r[0], r[2]) for r in rows]}, "steps",
               "nats per character", height=300)


def main():
    folder = output_folder()
    course_map(folder, 5, "backprop")
    chain_figure(folder)
    factors_figure(folder)
    shapes_figure(folder)
    gelu_figure(folder)
    differences_figure(folder)
    measured_figures(folder)


main()
