"""The figures of lesson 19 that nothing is measured for; the chart is written by the lesson's program."""
from drawing import Drawing, course_map, output_folder

A, B, SCALE = (0.5, 0.5, 1, 0), (1, 0, -0.5), 2


def adapter_figure(folder):
    d = Drawing(660, 214, "x goes through the frozen weight and, beside it, down through A and up through B; both are "
                          "added")
    d.text(14, 112, "x", 16, "ink", bold=True, mono=True)
    d.text(14, 132, "C numbers", 11, "dim")
    d.line(36, 107, 96, 107, "dim", 1.6)
    d.circle(96, 107, 3, "dim")
    d.line(96, 107, 96, 60, "dim", 1.6)
    d.arrow(96, 60, 170, 60, "dim")
    d.box(170, 30, 250, 60, "W  [OC, C]\nfrozen", "soft", size=15)
    d.line(96, 107, 96, 160, "accent", 1.6)
    d.arrow(96, 160, 150, 160, "accent")
    d.box(150, 134, 86, 52, "A\n[rank, C]", "warm", size=13)
    d.arrow(236, 160, 316, 160, "accent")
    d.text(276, 150, "rank", 12, "accent", "middle")
    d.text(276, 178, "numbers", 12, "accent", "middle")
    d.box(316, 134, 86, 52, "B\n[OC, rank]", "warm", size=13)
    d.arrow(402, 160, 444, 160, "accent")
    d.box(444, 142, 76, 36, "x scale", "fill", size=13)
    d.line(520, 160, 556, 160, "accent", 1.6)
    d.arrow(556, 160, 556, 121, "accent")
    d.line(420, 60, 556, 60, "dim", 1.6)
    d.arrow(556, 60, 556, 93, "dim")
    d.circle(556, 107, 12, "accent")
    d.text(556, 112, "+", 16, "page", "middle", bold=True)
    d.arrow(568, 107, 600, 107, "ink")
    d.text(606, 112, "out", 15, "ink", bold=True, mono=True)
    d.text(150, 206, "learned: a small file", 13, "accent")
    d.text(170, 20, "as it was, for everybody", 13, "dim")
    d.save(folder, "adapter")


def outer_figure(folder):
    d = Drawing(660, 196, "One column times one row is a whole matrix: what rank 1 can add to the weight")
    d.matrix(60, 60, [[b] for b in B], 44, 32, "B", fills=[["warm"]] * 3, form="%g")
    d.text(122, 113, "x", 15, "dim", "middle")
    d.matrix(146, 92, [list(A)], 44, 32, "A", fills=[["warm"] * 4], form="%g")
    d.text(362, 113, "x 2  =", 15, "dim", "middle")
    rows = [[SCALE * a * b + 0.0 for a in A] for b in B]
    fills = [["green" if value else None for value in row] for row in rows]
    d.matrix(400, 60, rows, 54, 32, "what is added to W", fills=fills, form="%g")
    d.text(60, 186, "7 numbers decide 12: every row is a multiple of A, every column one of B", 13, "dim")
    d.save(folder, "outer")


def thin_figure(folder):
    d = Drawing(660, 226, "A square matrix of 768 x 768 beside the two thin ones of rank 8, drawn to scale")
    side = 150
    d.rect(40, 46, side, side, "soft", "line", 0)
    d.text(40 + side / 2, 46 + side / 2 + 5, "W", 18, "ink", "middle", bold=True)
    d.text(40, 34, "768 x 768", 13, "dim")
    d.text(40, 216, "589,824 numbers", 13, "ink")
    d.rect(290, 46, 1.6, side, "accent", None, 0)
    d.text(286, 34, "B", 14, "accent", bold=True)
    d.rect(320, 46, side, 1.6, "accent", None, 0)
    d.text(320, 34, "A", 14, "accent", bold=True)
    d.text(286, 216, "12,288 numbers", 13, "accent")
    d.text(324, 84, "rank 8: A has 8 rows of 768,", 13, "dim")
    d.text(324, 102, "and B 8 columns of 768", 13, "dim")
    d.text(500, 216, "48 times fewer", 13, "second", bold=True)
    d.save(folder, "thin")


def parts_figure(folder):
    d = Drawing(660, 210, "The fused matrix of q, k and v has an adapter for each range of rows; each adds to its "
                          "columns of out")
    names = (("q", 72, "fill"), ("k", 36, "warm"), ("v", 36, "green"))
    y = 34
    d.text(30, 22, "the fused weight's rows", 13, "ink", bold=True)
    for name, high, fill in names:
        d.box(30, y, 150, high, name, fill, size=15, mono=True)
        y += high
    d.text(250, 22, "its adapters", 13, "ink", bold=True)
    for (name, high, fill), top in zip(names, (44, 106, 142)):
        d.box(250, top, 130, 30, name + "_proj", fill, size=13, mono=True)
        d.arrow(250, top + 15, 184, top + 15, "dim")
    d.text(440, 22, "a row of out", 13, "ink", bold=True)
    x = 440
    for name, wide, fill in names:
        d.box(x, 44, wide * 1.3, 34, name, fill, size=14, mono=True)
        x += wide * 1.3
    d.line(440, 98, x, 98, "second", 1.6)
    d.line(440, 92, 440, 104, "second", 1.6)
    d.line(x, 92, x, 104, "second", 1.6)
    d.text((440 + x) / 2, 118, "stride", 13, "second", "middle", mono=True)
    d.line(440 + 108 * 1.3, 140, x, 140, "third", 1.6)
    d.text((440 + 108 * 1.3 + x) / 2, 160, "OC of v", 13, "third", "middle")
    d.text(x, 200, "each adapter adds to its own columns", 12, "dim", "end")
    d.save(folder, "parts")


def backward_figure(folder):
    d = Drawing(660, 220, "The gradient passes through the frozen weight to x but leaves nothing there; A and B "
                          "get theirs")
    d.text(606, 104, "dout", 14, "second", bold=True, mono=True)
    d.line(600, 99, 566, 99, "second", 1.8)
    d.circle(566, 99, 3, "second")
    d.line(566, 99, 566, 56, "second", 1.8)
    d.arrow(566, 56, 430, 56, "second", 1.8)
    d.box(230, 28, 200, 56, "W, frozen\nno dW, no moments", "soft", size=13)
    d.line(230, 56, 100, 56, "second", 1.8)
    d.line(566, 99, 566, 152, "second", 1.8)
    d.arrow(566, 152, 540, 152, "second", 1.8)
    d.box(464, 134, 76, 36, "x scale", "fill", size=13)
    d.arrow(464, 152, 426, 152, "second", 1.8)
    d.box(340, 126, 86, 52, "B", "warm", size=16)
    d.arrow(340, 152, 266, 152, "second", 1.8)
    d.text(304, 142, "dax", 13, "second", "middle", mono=True)
    d.box(180, 126, 86, 52, "A", "warm", size=16)
    d.line(180, 152, 100, 152, "second", 1.8)
    d.arrow(100, 152, 100, 112, "second", 1.8)
    d.arrow(100, 56, 100, 86, "second", 1.8)
    d.circle(100, 99, 12, "second")
    d.text(100, 104, "+", 16, "page", "middle", bold=True)
    d.arrow(88, 99, 54, 99, "second", 1.8)
    d.text(20, 104, "dx", 14, "second", bold=True, mono=True)
    d.arrow(383, 178, 383, 198, "accent")
    d.text(383, 214, "dB", 14, "accent", "middle", bold=True, mono=True)
    d.arrow(223, 178, 223, 198, "accent")
    d.text(223, 214, "dA", 14, "accent", "middle", bold=True, mono=True)
    d.save(folder, "backward")


def fused_figure(folder):
    d = Drawing(660, 218, "A block's tile of out: first along C through x and W, then along the rank through x A^T "
                          "and B, then one store")
    d.text(30, 22, "a block's rows", 13, "ink", bold=True)
    for i in range(5):
        d.box(30 + 44 * i, 34, 40, 40, "x" if i == 2 else "", "fill", size=14, mono=True)
    d.box(30 + 44 * 5 + 14, 34, 40, 40, "ax", "warm", size=13, mono=True)
    d.text(30, 130, "its columns, transposed", 13, "ink", bold=True)
    for i in range(5):
        d.box(30 + 44 * i, 142, 40, 40, "W" if i == 2 else "", "fill", size=14, mono=True)
    d.box(30 + 44 * 5 + 14, 142, 40, 40, "B", "warm", size=13, mono=True)
    d.arrow(30, 108, 244, 108, "accent", 2)
    d.text(137, 98, "along C: frozen += ...", 12, "accent", "middle")
    d.arrow(254, 108, 300, 108, "second", 2)
    d.text(310, 98, "along rank:", 12, "second")
    d.text(310, 114, "adapter += ...", 12, "second")
    d.arrow(420, 106, 476, 106, "dim", 2)
    d.box(480, 70, 160, 72, "bias + frozen\n+ scale x adapter", "green", size=13)
    d.text(560, 164, "one store of out", 13, "third", "middle", bold=True)
    d.text(30, 206, "each box is a tile of 32 x 32 values in shared memory", 12, "dim")
    d.save(folder, "fused")


def switch_figure(folder):
    d = Drawing(660, 190, "One base in memory, with small adapters beside it; each request chooses one, or none")
    d.box(230, 40, 190, 110, "the base\n722 kB", "soft", size=16, bold=True)
    for i, (name, fill) in enumerate((("letters", "warm"), ("recipes", "green"), ("poems", "fill"))):
        y = 34 + 44 * i
        d.box(470, y, 130, 34, name + ", 94 kB", fill, size=12)
        d.line(420, 95, 470, y + 17, "line", 1.2, dash=True)
    for i, name in enumerate(("letters", "none", "poems")):
        y = 34 + 44 * i
        d.box(30, y, 120, 34, "request: " + name, "page", size=12)
        d.arrow(150, y + 17, 228, 95 + 14 * (i - 1), "dim", 1.4)
    d.text(30, 182, "the frozen weights serve everybody", 13, "dim")
    d.save(folder, "switch")


def main():
    folder = output_folder()
    course_map(folder, 19, "lora")
    adapter_figure(folder)
    outer_figure(folder)
    thin_figure(folder)
    parts_figure(folder)
    backward_figure(folder)
    fused_figure(folder)
    switch_figure(folder)


main()
