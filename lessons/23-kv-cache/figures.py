"""The figures of lesson 23 that nothing has to be measured for."""
from drawing import Drawing, course_map, output_folder


def work_figure(folder):
    d = Drawing(660, 236, "Rows computed for each of five new tokens: without a cache a triangle, with one the "
                          "prompt's three and then a single row each")
    for x, title, cached in ((24, "without a cache: 25 rows", False), (356, "with a cache: 7 rows", True)):
        d.text(x, 24, title, 14, "ink", bold=True)
        for step in range(5):
            for row in range(3 + step):
                new = not cached or step == 0 or row == 2 + step
                d.rect(x + 34 + 26 * row, 40 + 32 * step, 24, 24, "warm" if new else "green", "line", 2)
            d.text(x + 26, 57 + 32 * step, "%d" % (step + 1), 13, "dim", "end")
    d.rect(24, 208, 14, 14, "warm", "line", 2)
    d.text(44, 220, "runs through the model", 13, "dim")
    d.rect(220, 208, 14, 14, "green", "line", 2)
    d.text(240, 220, "key and value read from the cache", 13, "dim")
    d.save(folder, "work")


def cache_figure(folder):
    d = Drawing(660, 226, "The cache of one layer: three sequences of different length, one row for each position; the "
                          "new tokens go behind the last")
    lengths = (5, 2, 7)
    for s, length in enumerate(lengths):
        y = 34 + 54 * s
        d.text(12, y + 20, "sequence %d" % s, 13, "dim")
        for p in range(10):
            fill = "fill" if p < length else "warm" if p == length else None
            d.rect(104 + 44 * p, y, 42, 30, fill or "page", "line", 0, dash=fill is None)
            if p == length:
                d.text(104 + 44 * p + 21, y + 20, "new", 12, "second", "middle", bold=True)
        d.text(556, y + 20, "position %d" % length, 13, "second")
    for p in range(10):
        d.text(104 + 44 * p + 21, 24, "%d" % p, 12, "dim", "middle")
    d.text(104, 212, "one pass: three rows, each to a place of its own, each looking at its own past", 13, "dim")
    d.save(folder, "cache")


def phases_figure(folder):
    d = Drawing(660, 190, "Prefill reads the weights once for all tokens of the prompt; decode reads them once for "
                          "each new token")
    d.text(24, 24, "prefill: weights once for 6 tokens", 14, "accent", bold=True)
    d.box(24, 40, 84, 112, "weights", "fill")
    d.matrix(140, 40, [[""] * 6 for _ in range(4)], cell=20, height=28, fills=[["warm"] * 6 for _ in range(4)])
    d.text(140, 176, "a matrix product", 13, "dim")
    d.text(340, 24, "decode: weights once for each token", 14, "second", bold=True)
    for i in range(3):
        d.box(340 + 106 * i, 40, 56, 112, "weights", "fill", size=12)
        d.matrix(402 + 106 * i, 40, [[""]] * 4, cell=20, height=28, fills=[["warm"]] * 4)
    d.text(340, 176, "a matrix times a vector, again and again", 13, "dim")
    d.save(folder, "phases")


def split_figure(folder):
    d = Drawing(660, 258, "256 keys cut into four stretches with a warp each; then one warp combines what they have "
                          "summed")
    for i in range(4):
        x = 30 + 152 * i
        d.rect(x, 34, 144, 30, "fill", "line", 2)
        d.text(x + 72, 54, "keys %d to %d" % (64 * i, 64 * i + 63), 12, "ink", "middle", mono=True)
        d.arrow(x + 72, 66, x + 72, 92)
        d.box(x + 10, 94, 124, 66, "warp %d\nlargest m, sum l\nsum of p v" % i, "soft", size=12, bold=True)
        d.arrow(x + 72, 162, 330 + (i - 1.5) * 46, 196)
    d.box(210, 198, 240, 46, "weights exp(m - max m)\nadd, divide by the sum", "green", size=13, bold=True)
    d.text(30, 22, "one query of one head", 13, "dim")
    d.save(folder, "split")


def accept_figure(folder):
    d = Drawing(690, 252, "Bars of p and q for three tokens: their overlap stands, what p has more is drawn from")
    p, q = (0.5, 0.3, 0.2), (0.2, 0.7, 0.1)
    y0, high = 200, 230
    for i, word in enumerate(("cat", "dog", "sun")):
        x = 40 + 130 * i
        both = min(p[i], q[i])
        d.rect(x, y0 - high * both, 44, high * both, "green", "line", 0)
        if p[i] > q[i]:
            d.rect(x, y0 - high * p[i], 44, high * (p[i] - both), "warm", "second", 0)
        else:
            d.rect(x, y0 - high * q[i], 44, high * (q[i] - both), None, "line", 0, dash=True)
        d.text(x + 22, 222, word, 14, "ink", "middle", mono=True)
        d.text(x + 52, y0 - high * p[i] + 5, "p %.1f" % p[i], 12, "second")
        d.text(x + 52, y0 - high * q[i] + (5 if abs(p[i] - q[i]) > 0.15 else 18), "q %.1f" % q[i], 12, "dim")
    d.line(30, y0, 410, y0)
    for i, (fill, words, more) in enumerate((("green", "drafted, and it stands", "min(p, q), together 0.6"),
                                             ("warm", "drawn when the draft is refused", "max(0, p - q), together 0.4"),
                                             (None, "drafted, and refused", "max(0, q - p), together 0.4"))):
        d.rect(432, 40 + 58 * i, 16, 16, fill or "page", "second" if fill == "warm" else "line", 2, dash=fill is None)
        d.text(456, 53 + 58 * i, words, 13, "ink")
        d.text(456, 72 + 58 * i, more, 12, "dim")
    d.save(folder, "accept")


def draft_figure(folder):
    d = Drawing(660, 208, "The draft writes four tokens one by one; the model reads them in one pass, keeps two and "
                          "draws the third itself")
    words = ("dog", "sat", "on", "my")
    d.text(16, 52, "draft", 14, "ink", bold=True)
    d.text(16, 128, "model", 14, "ink", bold=True)
    d.box(90, 32, 62, 32, "The", "soft", mono=True)
    d.box(90, 108, 62, 32, "The", "soft", mono=True)
    for i, word in enumerate(words):
        x = 180 + 92 * i
        d.arrow(x - 26, 48, x - 3, 48)
        d.box(x, 32, 62, 32, word, "fill", mono=True)
        d.arrow(x + 31, 66, x + 31, 104)
        d.box(x, 108, 62, 32, word, "green" if i < 2 else "page", mono=True)
        if i == 2:
            d.line(x + 4, 112, x + 58, 136, "second", 2)
            d.box(x, 156, 62, 32, "the", "warm", mono=True)
            d.arrow(x + 31, 142, x + 31, 154, "second")
        if i == 3:
            d.line(x + 4, 112, x + 58, 136, "line", 2)
    d.text(562, 52, "4 small passes", 12, "dim")
    d.text(562, 128, "1 large pass", 12, "dim")
    d.text(90, 177, "three new tokens at the price of one", 13, "second", bold=True)
    d.save(folder, "draft")


def main():
    folder = output_folder()
    course_map(folder, 23, "kv-cache")
    work_figure(folder)
    cache_figure(folder)
    phases_figure(folder)
    split_figure(folder)
    accept_figure(folder)
    draft_figure(folder)


main()
