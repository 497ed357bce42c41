"""The figures of lesson 13. Their numbers are computed here; what was measured is drawn by the lesson's program."""
import math

from drawing import Drawing, course_map, line_chart, output_folder

TEXT = ("a", "cat", "sat", ".", "a", "cat", ".")
CELL, SIZE = 58, 14


def window(d, x, y, first, fill, count=3):
    for i, word in enumerate(TEXT[first:first + count]):
        d.box(x + CELL * (first + i), y, CELL - 6, 28, word, fill, "line", SIZE, mono=True)


def batch_figure(folder):
    d = Drawing(640, 234, "Two windows of three tokens in a text of seven, and their targets one place further on")
    x = 150
    d.text(20, 39, "text", 14, "ink", bold=True)
    window(d, x, 20, 0, "soft", 7)
    for row, start in enumerate((0, 3)):
        y = 76 + 80 * row
        d.text(20, y + 19, "row %d, tokens" % row, 14)
        d.text(20, y + 53, "targets", 14, "second")
        window(d, x, y, start, "fill")
        window(d, x, y + 34, start + 1, "warm")
    d.save(folder, "batch")


def moments_figure(folder):
    """A gradient of 1 with noise on it: the running mean starts too low, its correction does not."""
    state, gradients = 12345, []
    for _ in range(60):
        state = (1103515245 * state + 12345) % 2147483648
        gradients.append(1 + 1.6 * (state / 2147483648 - 0.5))
    mean, raw, corrected = 0.0, [], []
    for t, g in enumerate(gradients, 1):
        mean = 0.9 * mean + 0.1 * g
        raw.append((t, mean))
        corrected.append((t, mean / (1 - 0.9 ** t)))
    line_chart(folder, "moments", "A noisy gradient, its running mean from zero, and the mean after bias correction",
               {"gradient": list(enumerate(gradients, 1)), "m": raw, "m, corrected": corrected}, "step", "",
               marks=False, height=280)


def decay_figure(folder):
    d = Drawing(660, 232, "AdamW takes the decay off the weight; with L2 it passes through m and v")
    for row, (name, colour) in enumerate((("AdamW", "third"), ("Adam with L2", "second"))):
        y = 24 + 86 * row
        d.text(14, y + 24, name, 14, colour, bold=True)
        d.box(136, y, 92, 38, "gradient", "soft")
        d.box(282, y, 120, 38, "m, v", "fill")
        d.box(458, y, 88, 38, "weight", "soft")
        d.arrow(230, y + 19, 280, y + 19)
        d.arrow(404, y + 19, 456, y + 19)
    d.box(576, 24, 76, 38, "decay", "green")
    d.arrow(574, 43, 549, 43, "third", 2)
    d.box(136, 184, 92, 38, "decay", "warm")
    d.arrow(182, 182, 182, 151, "second", 2)
    d.text(244, 208, "divided by the root of v, like all that comes this way", 13, "second")
    d.save(folder, "decay")


def clip_figure(folder):
    d = Drawing(660, 236, "Clipping by one norm keeps the direction; clipping each tensor by its own norm turns it")
    ox, oy, unit = 120, 196, 60
    gradient = (3.0, 1.2)  # lengths of the gradients of two tensors
    norm = math.hypot(*gradient)

    def axes(x, title):
        d.text(x - 20, 22, title, 14, "ink", bold=True)
        d.line(x - 10, oy, x + 210, oy)
        d.line(x, oy + 10, x, 60)
        d.text(x + 130, oy + 22, "tensor A", 12, "dim")
        d.text(x - 8, 54, "tensor B", 12, "dim", "end")
        angles = [math.pi / 2 * k / 24 for k in range(25)]
        d.polyline([(x + unit * math.cos(a), oy - unit * math.sin(a)) for a in angles], "dim", 1.2, dash=True)
        d.text(x - 6, oy - unit + 4, "limit", 12, "dim", "end")

    def vector(x, a, b, colour, width=2.4):
        d.arrow(x, oy, x + unit * a, oy - unit * b, colour, width)

    axes(ox, "one norm, one factor")
    vector(ox, *gradient, "dim", 1.4)
    vector(ox, gradient[0] / norm, gradient[1] / norm, "third", 3)
    d.text(ox + unit * 2.2, oy - unit * 1.15, "gradient", 12, "dim", "end")
    d.text(ox + 70, oy - 8, "same direction", 12, "third")
    right = 430
    axes(right, "each tensor by its own")
    vector(right, *gradient, "dim", 1.4)
    vector(right, 1, 1, "second", 3)
    d.text(right + unit * 2.2, oy - unit * 1.15, "gradient", 12, "dim", "end")
    d.text(right + 22, oy - 66, "turned", 12, "second")
    d.save(folder, "clip")


def schedule_figure(folder):
    top, low, warmup, steps = 1.0, 0.01, 15, 150
    points = []
    for s in range(steps + 11):
        if s < warmup:
            rate = top * (s + 1) / (warmup + 1)
        elif s < steps:
            rate = low + (top - low) * 0.5 * (1 + math.cos(math.pi * (s - warmup) / (steps - warmup)))
        else:
            rate = low
        points.append((10 * s, rate))
    line_chart(folder, "schedule", "A learning rate that warms up in a line and falls along a cosine",
               {"rate": points}, "step", "share of the largest rate", marks=False, height=260)


def step_figure(folder):
    d = Drawing(690, 150, "A step: K passes, their mean, one norm, one clip, AdamW for every tensor")
    parts = (("K passes", "next_batch\nforward\nbackward", "fill"), ("mean", "grads +=\n1/K each", "soft"),
             ("norm", "all of grads\ntogether", "soft"), ("clip", "one factor", "soft"),
             ("AdamW", "rate, decay\nof each tensor", "fill"), ("weights", "m, v, step,\nrandom state", "green"))
    for i, (name, words, fill) in enumerate(parts):
        x = 12 + 114 * i
        d.text(x + 48, 24, name, 14, "ink", "middle", bold=True)
        d.box(x, 36, 97, 72, words, fill, size=12)
        if i < 5:
            d.arrow(x + 98, 72, x + 113, 72)
    d.text(12, 138, "zero the gradients first; stop if the norm is not finite", 13, "dim")
    d.text(678, 138, "a checkpoint keeps these", 13, "third", "end")
    d.save(folder, "step")


def stages_figure(folder):
    d = Drawing(660, 214, "Stage one: each block takes the norm of its part. Stage two: one block, the norm of those")
    values = ("2 1 2 0", "3 0 0 4", "1 1 1 1")
    norms = ("3", "5", "2")
    d.text(14, 24, "gradient, in three parts", 13, "dim")
    for i, (part, norm) in enumerate(zip(values, norms)):
        x = 14 + 160 * i
        d.box(x, 34, 144, 32, part, "soft", mono=True)
        d.arrow(x + 72, 68, x + 72, 94)
        d.box(x + 32, 96, 80, 32, norm, "fill", mono=True)
        d.line(x + 72, 128, 246, 162, "dim")
    d.box(206, 164, 80, 34, "%.2f" % math.sqrt(38), "green", mono=True)
    d.text(506, 84, "first launch:", 13, "accent", bold=True)
    d.text(506, 102, "a block for each part", 13, "accent")
    d.text(506, 120, "writes scratch[block]", 13, "accent")
    d.text(306, 178, "second launch: one block,", 13, "third", bold=True)
    d.text(306, 196, "root of 9 + 25 + 4", 13, "third")
    d.save(folder, "stages")


def main():
    folder = output_folder()
    course_map(folder, 13, "training-loop")
    batch_figure(folder)
    moments_figure(folder)
    decay_figure(folder)
    clip_figure(folder)
    schedule_figure(folder)
    step_figure(folder)
    stages_figure(folder)


main()
