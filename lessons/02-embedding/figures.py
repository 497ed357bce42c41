"""The figures of lesson 02. The maps of words are the demo's own output, kept beside this file."""
import json
import math
import os

from drawing import Drawing, course_map, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))


def one_hot_figure(folder):
    d = Drawing(640, 190, "One-hot vectors: every word is as far from every other")
    names = ("cat", "kitten", "tractor", ".")
    rows = [[1 if r == c else 0 for c in range(4)] for r in range(4)]
    d.matrix(90, 40, rows, 38, 32, "one-hot [4, 4]", names, [], [["fill" if v else None for v in row] for row in rows],
             form="%d")
    points = {"cat": (430, 150), "kitten": (580, 150), "tractor": (505, 40)}
    for a, b in (("cat", "kitten"), ("cat", "tractor"), ("kitten", "tractor")):
        d.line(*points[a], *points[b], "second", 1.5)
    for name, (x, y) in points.items():
        d.circle(x, y, 5)
        d.text(x, y + (20 if y > 100 else -10), name, 13, "ink", "middle")
    d.text(505, 140, "1.414", 12, "second", "middle")
    d.text(450, 92, "1.414", 12, "second", "end")
    d.text(560, 92, "1.414", 12, "second")
    d.save(folder, "one_hot")


def lookup_figure(folder):
    d = Drawing(640, 200, "A one-hot row times a table picks one row of the table")
    table = [[0.9, 0.4], [0.8, 0.5], [-0.6, 0.9], [0.1, -1.0]]
    d.matrix(40, 60, [[0, 1, 0, 0]], 36, 32, "kitten", [], [], [[None, "fill", None, None]], form="%d")
    d.text(206, 82, "x", 18, "dim")
    lit = [[None] * 2, ["green"] * 2, [None] * 2, [None] * 2]
    d.matrix(290, 40, table, 50, 32, "table [V, C]", ("cat", "kitten", "tractor", "."), [], lit, form="%.1f")
    d.text(420, 98, "=", 18, "dim")
    d.matrix(470, 76, [[0.8, 0.5]], 50, 32, "row of kitten", [], [], [["green"] * 2], form="%.1f")
    d.text(40, 190, "V multiplications for each value, or none at all: read the row", 13, "dim")
    d.save(folder, "lookup")


def scatter_figure(folder):
    d = Drawing(640, 176, "Backward, the gradients of a repeated token add up in one row")
    tokens = ["cat", "sat", "cat"]
    for i, word in enumerate(tokens):
        d.box(40 + 150 * i, 16, 110, 32, "dout[%d]" % i, "warm", mono=True)
        d.text(95 + 150 * i, 66, word, 13, "dim", "middle", mono=True)
    for i, word in enumerate(("cat", "sat", "tractor")):
        d.box(100 + 170 * i, 124, 140, 34, "dweight[%s]" % word, "green" if i < 2 else "soft", size=12, mono=True)
    d.arrow(95, 74, 150, 122, "second", 2)
    d.arrow(245, 74, 320, 122, "second", 2)
    d.arrow(395, 74, 190, 122, "second", 2)
    d.text(20, 110, "+= twice", 13, "second", bold=True)
    d.save(folder, "scatter")


def window_figure(folder):
    d = Drawing(640, 150, "Skip-gram: a word predicts its neighbours, against random words")
    middles = d.tokens(20, 20, ["the", "cat", "drank", "milk", "on", "the", "mat"])
    for i in (0, 2, 3):
        d.arrow(middles[1], 52, middles[i], 84 if i != 2 else 84, "third", 2)
    d.text(20, 104, "pulled together: words that stood near", 13, "third", bold=True)
    d.tokens(430, 20, ["plough", "yellow"], "warm")
    d.text(430, 72, "drawn at random", 13, "dim")
    d.text(430, 104, "pushed apart", 13, "second", bold=True)
    d.text(20, 138, "center: cat", 13, "dim")
    d.save(folder, "window")


def sigmoid_figure(folder):
    d = Drawing(640, 210, "The pull on a neighbour and the push on a random word, by dot product")
    left, bottom = 60, 170

    def at(x, y):
        return left + (x + 6) * 40, bottom - y * 130
    for y in (0, 0.5, 1):
        d.line(left, at(0, y)[1], left + 480, at(0, y)[1], "soft")
        d.text(left - 8, at(0, y)[1] + 4, "%g" % y, 12, "dim", "end")
    for x in (-6, -3, 0, 3, 6):
        d.text(at(x, 0)[0], bottom + 18, "%d" % x, 12, "dim", "middle")
    xs = [i / 5 for i in range(-30, 31)]
    d.polyline([at(x, 1 - 1 / (1 + math.exp(-x))) for x in xs], "third")
    d.polyline([at(x, 1 / (1 + math.exp(-x))) for x in xs], "second")
    d.text(548, at(6, 0.02)[1], "pull", 13, "third", bold=True)
    d.text(548, at(6, 0.98)[1], "push", 13, "second", bold=True)
    d.text(300, 204, "dot product of the two vectors", 13, "ink", "middle")
    d.save(folder, "sigmoid")


def maps(folder):
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        measured = json.load(file)
    d = Drawing(690, 150, "Cosines of cat, kitten and tractor before and after training")
    for i, (pair, before, after) in enumerate(measured["cosines"]):
        y = 34 + 38 * i
        d.text(150, y + 5, pair, 13, "ink", "end")
        d.line(166, y, 514, y, "soft", 2)
        for value, colour in ((before, "line"), (after, "second" if "tractor" in pair else "third")):
            d.circle(340 + 174 * value, y, 6, colour)
        d.text(532, y + 5, "%.2f to %.2f" % (before, after), 12, "dim")
    for value in (-1, 0, 1):
        d.text(340 + 174 * value, 142, "%d" % value, 12, "dim", "middle")
    d.save(folder, "cosines")


def main():
    folder = output_folder()
    course_map(folder, 2, "embedding")
    one_hot_figure(folder)
    lookup_figure(folder)
    scatter_figure(folder)
    window_figure(folder)
    sigmoid_figure(folder)
    maps(folder)


main()
