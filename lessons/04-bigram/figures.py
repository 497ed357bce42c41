"""The figures of lesson 04. Numbers are computed here, or come from measured.json."""
import json
import math
import os

from drawing import Drawing, course_map, line_chart, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = ["a", "cat", "sat", "."]
TEXT = [0, 1, 2, 3, 0, 1, 3]


def counts_figure(folder):
    counts = [[0] * 4 for _ in range(4)]
    for a, b in zip(TEXT, TEXT[1:]):
        counts[a][b] += 1
    shares = [[(c + 1) / (sum(row) + 4) for c in row] for row in counts]
    d = Drawing(640, 236, "Counts of pairs of words become a table of probabilities, row by row")
    d.tokens(40, 12, [WORDS[t] for t in TEXT])
    shade = [["fill" if c else None for c in row] for row in counts]
    d.matrix(70, 86, counts, 44, 32, "", WORDS, WORDS, shade, form="%d")
    d.arrow(268, 150, 340, 150)
    d.text(304, 136, "+ 1 each", 12, "dim", "middle")
    d.text(304, 168, "/ row sum", 12, "dim", "middle")
    d.matrix(396, 86, shares, 54, 32, "", WORDS, WORDS, shade, form="%.3f")
    d.text(158, 230, "how often w follows v", 12, "dim", "middle")
    d.text(504, 230, "each row sums to 1", 12, "dim", "middle")
    d.save(folder, "counts")


def softmax_figure(folder):
    logits = [2.0, 1.0, 0.0, -1.0]
    exps = [math.exp(x) for x in logits]
    d = Drawing(640, 216, "Logits, their exponentials, and the exponentials divided by their sum")
    for column, (title, values, form) in enumerate((("logits", logits, "%.1f"), ("exp", exps, "%.3f"),
                                                    ("probabilities", [e / sum(exps) for e in exps], "%.3f"))):
        left = 40 + 212 * column
        d.text(left + 70, 22, title, 14, "ink", "middle", bold=True)
        scale = 106 / max(values)
        for i, value in enumerate(values):
            x = left + 36 * i
            height = abs(value) * scale * (0.5 if column == 0 else 1)
            base = 160 if column else 130
            top = base - height if value > 0 else base
            d.rect(x, top, 26, max(height, 1), ("accent" if i == 1 else "line"), None, 1)
            d.text(x + 13, top - 6, form % value, 11, "ink", "middle")
            d.text(x + 13, 206, WORDS[i], 13, "dim", "middle", mono=True)
        if column < 2:
            d.arrow(left + 158, 100, left + 198, 100)
    d.save(folder, "softmax")


def loss_figure(folder):
    points = [(p / 100, -math.log(p / 100)) for p in range(1, 101)]
    line_chart(folder, "loss", "The loss, minus the logarithm of the probability of what came", {"-log p": points},
               "probability that the model gave to what came", "loss in nats", height=280, marks=False)


def gradient_figure(folder):
    logits, target = [2.0, 1.0, 0.0, -1.0], 1
    total = sum(math.exp(x) for x in logits)
    p = [math.exp(x) / total for x in logits]
    d = Drawing(640, 190, "The gradient of the loss: probability minus one at the target")
    for i in range(4):
        x = 70 + 150 * i
        g = p[i] - (i == target)
        d.text(x, 24, WORDS[i], 15, "ink", "middle", bold=i == target, mono=True)
        d.text(x, 46, "%.3f - %d" % (p[i], i == target), 13, "dim", "middle")
        colour = "second" if g > 0 else "third"
        if abs(g) > 0.2:
            d.arrow(x, 106, x, 106 + 70 * g, colour, 3)
        else:  # too short for a head
            d.rect(x - 1.5, 106, 3, 70 * g, colour, None, 0)
        d.text(x, 178 if g > 0 else 128, "%+.3f" % g, 13, colour, "middle", bold=True)
        d.line(x - 40, 106, x + 40, 106)
    d.save(folder, "gradient")


def reduction_figure(folder):
    d = Drawing(640, 226, "A block of eight threads reduces a row: strided loads, then halves")
    values = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3]
    d.text(20, 20, "a row of 16 values, 8 threads: thread i takes values i and i + 8", 13)
    for i, value in enumerate(values):
        d.box(20 + 37 * i, 32, 33, 26, str(value), "fill" if i % 8 == 2 else "soft", mono=True)
    level = [max(values[i], values[i + 8]) for i in range(8)]
    y, half = 84, 8
    while True:
        for i in range(half):
            d.box(20 + 37 * i, y, 33, 26, str(level[i]), "fill" if half == 8 and i == 2 else "soft", mono=True)
        words = {8: "its own largest, one for each thread", 4: "thread i takes over from thread i + 4", 2: "i + 2",
                 1: "i + 1: the row's largest"}[half]
        d.text(30 + 37 * max(half, 4), y + 18, words, 12, "dim")
        if half == 1:
            break
        half //= 2
        level = [max(level[i], level[i + half]) for i in range(half)]
        y += 36
    d.save(folder, "reduction")


def online_figure(folder):
    d = Drawing(640, 152, "Merging two parts of a row: the sums are rescaled to the larger maximum, then added")
    d.box(20, 20, 190, 50, "largest 3\nsum of exp(x - 3) = 1.20", "fill", size=13)
    d.box(20, 90, 190, 50, "largest 5\nsum of exp(x - 5) = 1.05", "fill", size=13)
    d.arrow(212, 45, 292, 70)
    d.arrow(212, 115, 292, 90)
    d.text(256, 44, "x exp(3 - 5)", 12, "second")
    d.text(256, 130, "x exp(0)", 12, "second")
    d.box(296, 54, 320, 52, "largest 5\n1.20 x %.3f + 1.05 = %.3f" % (math.exp(-2), 1.2 * math.exp(-2) + 1.05),
          "green", size=13)
    d.save(folder, "online")


def splits_figure(folder):
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        measured = json.load(file)
    names = measured["columns"][1:]
    series = {name: [(row[0], row[i + 1]) for row in measured["rows"]] for i, name in enumerate(names)}
    line_chart(folder, "splits", "Loss against the size of the training text: training, validation, leaked validation",
               series, "bytes of training text", "nats per byte", log_x=True, y_zero=False)


def main():
    folder = output_folder()
    course_map(folder, 4, "bigram")
    counts_figure(folder)
    softmax_figure(folder)
    loss_figure(folder)
    gradient_figure(folder)
    reduction_figure(folder)
    online_figure(folder)
    splits_figure(folder)


main()
