"""The figures of lesson 08. Numbers are those of the worked example (lesson-08 worked), computed here again."""
import math

from drawing import Drawing, course_map, output_folder

TOKENS = ["a", "cat", "sat", "."]
QUERIES = [[(1, 0), (2, 0), (2, 0), (2, 1)], [(0, 1), (0, 1), (0, 2), (0, 2)]]
KEYS = [(0, 0), (2, 0), (0, 2), (1, 1)]
VALUES = [(2, 0), (1, 0), (0, 1), (1, 1)]
HIDDEN = float("-inf")


def scores(head):
    return [[(q[0] * k[0] + q[1] * k[1]) / math.sqrt(2) if u <= t else HIDDEN for u, k in enumerate(KEYS)]
            for t, q in enumerate(QUERIES[head])]


def probabilities(head):
    rows = []
    for row in scores(head):
        exps = [math.exp(s) for s in row]
        rows.append([e / sum(exps) for e in exps])
    return rows


def steps_figure(folder):
    d = Drawing(680, 128, "Attention in four steps; the fourth, mask and heads, is this lesson's")
    steps = (("1", "weighted sum\nof the inputs"), ("2", "queries, keys,\nvalues"), ("3", "divide by the\nroot of HS"),
             ("4", "mask the future,\nseveral heads"))
    for i, (number, words) in enumerate(steps):
        x, here = 10 + 168 * i, number == "4"
        d.rect(x, 30, 150, 62, "fill" if here else "soft", "accent" if here else "line", 6)
        for k, line in enumerate(words.split("\n")):
            d.text(x + 75, 57 + 18 * k, line, 14, "ink", "middle", bold=here)
        d.text(x + 4, 22, number, 14, "accent" if here else "dim", bold=True)
        if i < 3:
            d.arrow(x + 152, 61, x + 166, 61)
    d.text(178, 118, "lesson 07", 13, "dim", "middle")
    d.text(589, 118, "this lesson", 13, "accent", "middle", bold=True)
    d.line(10, 104, 496, 104, "line")
    d.line(514, 104, 664, 104, "accent")
    d.save(folder, "steps")


def row_figure(folder):
    d = Drawing(680, 190, "One token's row of qkv with four query heads and two key-value heads: two heads share a key")
    w, top = 76, 64
    names = ["q0", "q1", "q2", "q3", "k0", "k1", "v0", "v1"]
    fills = ["fill", "fill", "warm", "warm", "fill", "warm", "fill", "warm"]
    x = [28 + w * i + (10 if i > 3 else 0) + (10 if i > 5 else 0) for i in range(8)]
    for i, name in enumerate(names):
        d.box(x[i], top, w, 40, name, fills[i], "line", 15, mono=True)
    for first, last, words in ((0, 3, "NH queries"), (4, 5, "NKV keys"), (6, 7, "NKV values")):
        middle = (x[first] + x[last] + w) / 2
        d.text(middle, 24, words, 14, "ink", "middle", bold=True)
        d.line(x[first] + 2, 36, x[last] + w - 2, 36, "dim")
        d.text(middle, 54, "%d x HS numbers" % (last - first + 1), 12, "dim", "middle")
    for q, k, y, colour in ((0, 4, 122, "accent"), (1, 4, 122, "accent"), (2, 5, 146, "second"), (3, 5, 146, "second")):
        d.line(x[q] + w / 2, top + 40, x[q] + w / 2, y, colour, 1.6)
        d.line(x[q] + w / 2, y, x[k] + w / 2, y, colour, 1.6)
        d.arrow(x[k] + w / 2, y, x[k] + w / 2, top + 42, colour)
    d.text(28, 178, "heads 0 and 1 ask k0 and read v0; heads 2 and 3 ask k1 and read v1", 13, "dim")
    d.save(folder, "row")


def mask_figure(folder):
    d = Drawing(660, 232, "The scores of head 0, the future hidden, and the probabilities that softmax makes of them")
    s, p = scores(0), probabilities(0)
    shown = [["-inf" if v == HIDDEN else "%.2f" % v for v in row] for row in s]
    fills = [["warm" if v == HIDDEN else "fill" for v in row] for row in s]
    d.text(164, 18, "scores of head 0, masked", 14, "ink", "middle", bold=True)
    d.matrix(64, 60, shown, 50, 34, "", TOKENS, TOKENS, fills)
    d.text(164, 220, "row: the query; column: the key", 12, "dim", "middle")
    d.arrow(284, 128, 362, 128)
    d.text(323, 116, "softmax", 12, "dim", "middle")
    d.text(323, 148, "row by row", 12, "dim", "middle")
    d.text(520, 18, "probabilities", 14, "ink", "middle", bold=True)
    d.heat(420, 60, p, 50, 34, TOKENS, TOKENS, "%.3f")
    d.text(520, 220, "exp(-inf) is 0: the future weighs nothing", 12, "dim", "middle")
    d.save(folder, "mask")


def two_heads_figure(folder):
    d = Drawing(660, 236, "The same four tokens through two heads: one looks for nouns, the other for verbs")
    for h, (x, words, colour) in enumerate(((64, "head 0 looks for nouns", "accent"),
                                            (420, "head 1 looks for verbs", "second"))):
        p = probabilities(h)
        d.text(x + 100, 18, words, 14, colour, "middle", bold=True)
        d.heat(x, 60, [[v if colour == "accent" else -v for v in row] for row in p], 50, 34, TOKENS, TOKENS, "")
        for t, row in enumerate(p):
            for u, v in enumerate(row):
                d.text(x + 50 * u + 25, 60 + 34 * t + 21, "%.2f" % v, 12, "ink", "middle", mono=True)
    d.text(330, 226, "same keys, same values; different questions", 13, "dim", "middle")
    d.save(folder, "two-heads")


def chain_figure(folder):
    d = Drawing(680, 196, "Forward from queries, keys and values to the output; gradients come back along the same way")
    boxes = {"Q": (20, 22, "Q\n[T, HS]"), "K": (20, 122, "K\n[T, HS]"), "S": (176, 72, "S\n[T, T]"),
             "P": (332, 72, "P\n[T, T]"), "V": (332, 4, "V\n[T, HS]"), "O": (520, 72, "O\n[T, HS]")}
    for name, (x, y, words) in boxes.items():
        d.box(x, y, 96, 50, words, "fill" if name in "QKV" else "soft", "line", 14, bold=True)

    def both(x1, y1, x2, y2, dx=0, dy=5):
        d.arrow(x1 - dx, y1 - dy, x2 - dx, y2 - dy, "accent")
        d.arrow(x2 + dx, y2 + dy, x1 + dx, y1 + dy, "second")
    both(118, 47, 174, 86)
    both(118, 147, 174, 108)
    both(274, 97, 330, 97)
    both(430, 97, 518, 97)
    both(430, 29, 518, 76)
    d.text(272, 144, "S = Q K^T / root of HS", 13, "dim", "middle")
    d.text(404, 168, "P = softmax of each row", 13, "dim", "middle")
    d.text(568, 144, "O = P V", 13, "dim", "middle")
    d.text(20, 192, "forward", 13, "accent", bold=True)
    d.text(96, 192, "backward: dO comes in, dV, dQ and dK come out", 13, "second", bold=True)
    d.save(folder, "chain")


def shapes_figure(folder):
    d = Drawing(680, 236, "The four matrix products of the backward pass with their shapes")

    def block(x, y, w, h, name, shape, fill):
        d.rect(x, y, w, h, fill, "line", 2)
        d.text(x + w / 2, y + h / 2 - 1, name, 14, "ink", "middle", bold=True)
        d.text(x + w / 2, y + h / 2 + 15, shape, 11, "dim", "middle")

    def product(x, y, result, sign, left, right):
        """Each matrix: (name, shape, wide, fill); all are as high as T is."""
        for k, (name, shape, wide, fill) in enumerate((result, left, right)):
            block(x, y, wide, 84, name, shape, fill)
            x += wide
            if k < 2:
                d.text(x + 15, y + 48, sign if k == 0 else "x", 15, "ink", "middle")
                x += 30
    thin, square = 56, 84
    transposed = ("P^T", "[T, T]", square, "soft"), ("dS^T", "[T, T]", square, "soft")
    dv, dq, dk = (("d" + name, "[T, HS]", thin, "green") for name in "VQK")
    dp, ds = ("dP", "[T, T]", square, "green"), ("dS", "[T, T]", square, "soft")
    do = ("dO", "[T, HS]", thin, "warm")
    product(20, 12, dv, "+=", transposed[0], do)
    product(370, 12, dp, "=", do, ("V^T", "[HS, T]", square, "fill"))
    product(20, 126, dq, "+=", ds, ("K", "[T, HS]", thin, "fill"))
    product(370, 126, dk, "+=", transposed[1], ("Q", "[T, HS]", thin, "fill"))
    d.text(20, 230, "dQ and dK get the factor 1 / root of HS, too", 12, "dim")
    d.save(folder, "shapes")


def softmax_gradient_figure(folder):
    """The full stop's query of head 0, with dout = (1, -0.5)."""
    p = probabilities(0)[3]
    dp = [v[0] - 0.5 * v[1] for v in VALUES]
    delta = sum(a * b for a, b in zip(p, dp))
    ds = [a * (b - delta) for a, b in zip(p, dp)]
    d = Drawing(660, 216, "What the output's gradient asks of each key, the mean of it, and the gradient of the scores")
    for x, words, values, colour, low, high in ((56, "dp: what more of this key is worth", dp, "accent", -0.6, 2.1),
                                                (386, "ds = p (dp - delta)", ds, "second", -0.3, 0.2)):
        base = 40 + 120 * high / (high - low)
        for u, value in enumerate(values):
            height = 120 * abs(value) / (high - low)
            d.rect(x + 60 * u, base - height if value > 0 else base, 40, max(height, 1), colour, None, 1)
            y = base + height + 14 if value < 0 else base - height - 5
            if colour == "accent" and 0 < value < delta:  # the dashed line runs there
                y = base + 14
            d.text(x + 60 * u + 20, y, "%.2f" % value, 12, "ink", "middle", mono=True)
            d.text(x + 60 * u + 20, 204, TOKENS[u], 13, "dim", "middle", mono=True)
        d.line(x - 10, base, x + 234, base)
        d.text(x + 110, 18, words, 14, "ink", "middle", bold=True)
        if colour == "accent":
            y = base - 120 * delta / (high - low)
            d.line(x - 10, y, x + 234, y, "third", 1.6, dash=True)
            d.text(x + 240, y + 4, "delta %.2f" % delta, 12, "third", bold=True)
    d.save(folder, "softmax-gradient")


def block_figure(folder):
    d = Drawing(680, 236, "A block for each head and each tile of four queries; each of its four warps has one query")
    d.text(20, 20, "the grid: a block for each", 13, "ink", bold=True)
    d.text(20, 37, "head and tile of queries", 13, "ink", bold=True)
    for h in range(3):
        d.text(88 + 44 * h, 66, "h%d" % h, 12, "dim", "middle")
        for tile in range(4):
            here = h == 1 and tile == 1
            d.rect(68 + 44 * h, 74 + 32 * tile, 40, 28, "fill" if here else "soft", "accent" if here else "line", 3)
    for tile in range(4):
        d.text(60, 93 + 32 * tile, "t %d-%d" % (4 * tile, 4 * tile + 3), 12, "dim", "end")
    d.arrow(156, 120, 246, 100, "accent")
    d.text(262, 20, "one block: queries 4 to 7 of head 1", 13, "ink", bold=True)
    d.text(398, 44, "keys 0 1 2 ...", 12, "dim")
    for w in range(4):
        y = 54 + 36 * w
        d.box(262, y, 122, 28, "warp %d: query %d" % (w, 4 + w), "fill", "accent", 12)
        for u in range(8):
            seen = u <= 4 + w
            d.rect(398 + 30 * u, y, 26, 28, "green" if seen else None, "line", 2, dash=not seen)
    d.text(262, 218, "a warp walks along its keys; its 32 lanes share each dot product", 12, "dim")
    d.save(folder, "block")


def main():
    folder = output_folder()
    course_map(folder, 8, "multi-head")
    steps_figure(folder)
    row_figure(folder)
    mask_figure(folder)
    two_heads_figure(folder)
    chain_figure(folder)
    shapes_figure(folder)
    softmax_gradient_figure(folder)
    block_figure(folder)


main()
