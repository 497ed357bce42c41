"""The figures of lesson 11. Counts are computed here; measured numbers come from measured.json."""
import json
import os

from drawing import Drawing, bar_chart, course_map, line_chart, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))
V, MAX_T, L, NH, C = 50257, 1024, 12, 12, 768  # gpt2-124m


def machine_figure(folder):
    d = Drawing(700, 640, "Every tensor of a GPT-2 with its shape, from tokens at the top to the loss at the bottom")
    x = 250  # the stream

    def note(y, name, shape, colour="dim"):
        d.text(x + 16, y, name, 13, "accent", bold=True, mono=True)
        d.text(x + 16, y + 16, shape, 12, colour, mono=True)

    def parameter(y, words, shape, tip=x - 6):
        d.box(20, y - 17, 150, 34, words, "warm", size=13, mono=True)
        d.arrow(172, y, tip, y, "second")
        d.text(20, y + 31, shape, 11, "dim", mono=True)

    d.text(x, 20, "tokens [B, T]", 13, "ink", "middle", mono=True)
    d.line(x, 28, x, 560, "accent", 5)
    parameter(48, "wte", "[V, C]")
    parameter(104, "wpe", "[max_T, C]")
    note(132, "embedded", "[B, T, C]")
    d.rect(196, 166, 494, 284, "soft", "line", 8)
    d.line(x, 166, x, 450, "accent", 5)
    d.text(682, 186, "one of L blocks", 13, "ink", "end", bold=True)

    def branch(y, parts):  # parts: name, shape of the result, parameters, what is saved beside the result
        left, wide = 300, 84
        d.line(x, y, left - 22, y, "accent", 1.8)
        d.arrow(left - 22, y, left - 4, y, "accent")
        for i, (name, shape, weights, saved) in enumerate(parts):
            bx = left + i * (wide + 12)
            d.box(bx, y - 17, wide, 34, name, "fill", size=13)
            d.text(bx + wide / 2, y - 24, shape, 10.5, "dim", "middle", mono=True)
            for k, (words, colour) in enumerate([(w, "second") for w in weights] + [(w, "dim") for w in saved]):
                d.text(bx + wide / 2, y + 31 + 13 * k, words, 10.5, colour, "middle", mono=True)
            if i:
                d.arrow(bx - 12, y, bx - 1, y, "dim")
        end = left + len(parts) * (wide + 12) - 12 - wide / 2
        d.polyline([(end, y + 50), (end, y + 66), (x + 10, y + 66)], "accent", 1.8)
        d.arrow(x + 24, y + 66, x + 8, y + 66, "accent")
        d.circle(x, y + 66, 9, "accent")
        d.text(x, y + 70.5, "+", 14, "page", "middle", bold=True)

    branch(232, (("norm1", "[B,T,C]", ("[C] [C]",), ("2 of [B,T]",)), ("qkv", "[B,T,3C]", ("[3C,C]", "[3C]"), ()),
                 ("attention", "[B,T,C]", (), ("[B,NH,T]",)), ("proj", "[B,T,C]", ("[C,C]", "[C]"), ())))
    d.text(x - 14, 302, "mid", 13, "accent", "end", bold=True, mono=True)
    branch(362, (("norm2", "[B,T,C]", ("[C] [C]",), ("2 of [B,T]",)), ("up", "[B,T,4C]", ("[4C,C]", "[4C]"), ()),
                 ("gelu", "[B,T,4C]", (), ()), ("down", "[B,T,C]", ("[C,4C]", "[C]"), ())))
    d.text(x - 14, 432, "out", 13, "accent", "end", bold=True, mono=True)
    parameter(486, "norm_f", "[C] [C]")
    note(484, "norm_f", "[B, T, C], and 2 of [B, T]")
    parameter(560, "wte", "[V, C], the same")
    note(556, "logits", "[B, T, V]")
    d.arrow(x, 562, x, 604, "accent", 2)
    d.text(x, 622, "losses [B, T], and their mean", 13, "ink", "middle", mono=True)
    d.text(690, 596, "orange: parameters", 12, "second", "end")
    d.text(690, 614, "grey: what each part leaves", 12, "dim", "end")
    d.text(690, 632, "for the backward pass", 12, "dim", "end")
    d.save(folder, "machine")


def tied_figure(folder):
    d = Drawing(660, 190, "One table serves at both ends, and collects two gradients")
    d.box(250, 66, 160, 52, "wte\n[V, C]", "warm", size=14, bold=True)
    d.box(20, 20, 150, 40, "embedding: a row\nfor each token", "fill", size=12)
    d.box(490, 20, 150, 40, "head: all rows\ntimes norm_f", "fill", size=12)
    d.arrow(262, 64, 174, 40, "accent")
    d.arrow(398, 64, 486, 40, "accent")
    d.arrow(110, 62, 248, 104, "second")
    d.arrow(550, 62, 412, 104, "second")
    d.text(20, 126, "+= dstream, at the rows", 13, "second")
    d.text(20, 143, "of the tokens that came", 13, "second")
    d.text(640, 126, "+= dlogits^T norm_f,", 13, "second", "end")
    d.text(640, 143, "in every row", 13, "second", "end")
    d.text(330, 176, "dwte holds the sum of both", 14, "ink", "middle", bold=True)
    d.save(folder, "tied")


def parameters_figure(folder):
    bars = [("token embedding and head", V * C / 1e6), ("positions", MAX_T * C / 1e6),
            ("attention", L * (4 * C * C + 4 * C) / 1e6), ("MLP", L * (8 * C * C + 5 * C) / 1e6),
            ("norms", (2 * L + 1) * 2 * C / 1e6)]
    bar_chart(folder, "parameters", "Where the 124 million parameters of the small GPT-2 are", bars,
              "millions of parameters, gpt2-124m", form="%.2f")


def bytes_figure(folder):
    n, N = 124439808, 4 * 1024
    activations = N * (L * (16 * C + 4 + NH) + 4 * C + 6 + max(V, 8 * C)) * 4
    bars = [("parameters", 4 * n / 2 ** 20), ("gradients", 4 * n / 2 ** 20), ("AdamW's moments", 8 * n / 2 ** 20),
            ("activations", activations / 2 ** 20)]
    bar_chart(folder, "bytes", "Where the memory goes when the small GPT-2 is trained", bars,
              "MiB, 4 texts of 1,024 tokens", colours={"activations": "second"}, form="%.0f")


def backward_figure(folder):
    d = Drawing(700, 224, "The gradient goes back along the stream and through each branch, and adds up there")
    y = 40
    d.line(40, y, 660, y, "second", 5)
    d.arrow(60, y, 24, y, "second", 5)
    d.text(660, y - 14, "dstream = gradient of out", 13, "second", "end", bold=True)
    d.text(40, y - 14, "gradient of x", 13, "second", bold=True)
    for left, names, buffers in ((370, ("norm2", "up", "gelu", "down"), ("dnorm", "dup", "dact")),
                                 (50, ("norm1", "qkv", "attention", "proj"), ("dnorm", "dqkv", "datt"))):
        for i, name in enumerate(names):
            bx = left + 74 * i
            d.box(bx, 104, 64, 32, name, "fill", size=12)
            if i:
                d.arrow(bx - 1, 120, bx - 9, 120, "second", 1.4)
                d.text(bx - 5, 158, buffers[i - 1], 11, "ink", "middle", mono=True)
        last = left + 74 * 3 + 32
        d.arrow(last, y + 3, last, 102, "second")
        d.text(last - 6, 78, "unchanged", 12, "dim", "end")
        first = left + 32
        d.arrow(first, 102, first, y + 12, "second")
        d.circle(first, y, 10, "second")
        d.text(first, y + 5, "+", 15, "page", "middle", bold=True)
        d.text(first + 8, 78, "+=", 13, "second", mono=True)
    d.text(350, 186, "dnorm, dup, dact, datt, dqkv: set to zero before the one call that adds to them", 13, "dim",
           "middle")
    d.text(350, 208, "dstream: never set to zero in a block", 13, "dim", "middle")
    d.save(folder, "backward")


def step_figure(folder):
    d = Drawing(560, 214, "A step that waits once at its end, and one that waits in the middle")

    def row(y, words, host, device, colour):
        d.text(14, y - 10, words, 13, "ink", bold=True)
        d.text(14, y + 15, "host", 12, "dim")
        d.text(14, y + 43, "device", 12, "dim")
        for x, w, text in host:
            d.box(x, y, w, 22, text, "warm" if text == "wait" else "soft", size=11)
        for x, w, text in device:
            d.box(x, y + 28, w, 22, text, "fill", size=11)

    row(34, "copy_out last", [(70, 90, "launch forward"), (162, 100, "launch backward"), (264, 246, "wait")],
        [(84, 150, "forward"), (236, 270, "backward")], "accent")
    row(134, "copy_out in the middle", [(70, 90, "launch forward"), (162, 76, "wait"), (240, 100, "launch backward")],
        [(84, 150, "forward"), (256, 270, "backward")], "accent")
    d.rect(235, 162, 20, 22, None, "second", 0, dash=True)
    d.text(245, 202, "idle", 12, "second", "middle", bold=True)
    d.save(folder, "step")


def overfit_figures(folder):
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        measured = json.load(file)
    rows = measured["overfit"]["rows"]
    names = ("right", "no embedding", "no head", "no stream")
    line_chart(folder, "overfit", "One batch, learned by heart: the right gradient, and three that miss a part",
               {name: [(row[0], row[i + 1]) for row in rows] for i, name in enumerate(names)}, "steps",
               "nats per token", height=300)
    rows = measured["stream"]["rows"]
    line_chart(folder, "depth", "The size of the stream behind each of 24 blocks, before the first step",
               {"divided": [(row[0], row[1]) for row in rows], "not divided": [(row[0], row[2]) for row in rows]},
               "block", "root mean square of the stream", height=280)


def main():
    folder = output_folder()
    course_map(folder, 11, "gpt")
    machine_figure(folder)
    tied_figure(folder)
    parameters_figure(folder)
    bytes_figure(folder)
    backward_figure(folder)
    step_figure(folder)
    overfit_figures(folder)


main()
