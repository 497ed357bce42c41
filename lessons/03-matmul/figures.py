"""The figures of lesson 03. Measured numbers come from measured.json."""
import json
import math
import os

from drawing import Drawing, bar_chart, course_map, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))


def product_figure(folder):
    d = Drawing(640, 210, "One output is a row of x times a row of the weight, added up")
    x = [[1, 0, 2], [0, 1, 1], [2, 1, 0], [1, 1, 1]]
    w = [[0.5, -1.0, 0.25], [1.0, 0.0, -0.5]]
    out = [[sum(a * b for a, b in zip(row, weight)) + bias for weight, bias in zip(w, (0.1, 0.2))] for row in x]
    lit = [["fill" if r == 0 else None for _ in range(3)] for r in range(4)]
    d.matrix(60, 50, x, 36, 32, "x [4, 3]", ["a", "cat", "sat", "."], [], lit, form="%d")
    d.matrix(260, 50, w, 52, 32, "weight [2, 3]", [], [], [["warm"] * 3, [None] * 3], form="%.2f")
    d.matrix(500, 50, out, 56, 32, "out [4, 2]", [], [], [["green", None]] + [[None, None]] * 3, form="%.2f")
    d.text(190, 100, "x", 18, "dim")
    d.text(450, 100, "=", 18, "dim")
    d.text(260, 140, "rows times rows; bias 0.10, 0.20", 13, "dim")
    d.text(60, 202, "1.10 = 0.10 + 1 x 0.50 + 0 x -1.00 + 2 x 0.25", 13, "ink", mono=True)
    d.save(folder, "product")


def order_figure(folder):
    d = Drawing(640, 190, "Down a column every step is a jump; along a row neighbours come together")
    for left, title, column in ((20, "innermost over k: down a column of b", True),
                                (340, "innermost over n: along a row of b", False)):
        d.text(left, 20, title, 13, "ink", bold=True)
        for r in range(5):
            for c in range(8):
                hit = c == 2 if column else r == 2
                fill = ("second" if column else "third") if hit else "soft"
                d.rect(left + 32 * c, 34 + 26 * r, 32, 26, fill, "line", 0)
        d.text(left, 182, "5 places, 5 pieces of memory" if column else "8 places, one piece of memory", 13, "dim")
    d.save(folder, "order")


def cache_figure(folder):
    d = Drawing(640, 150, "The memories of a processor: each is larger and slower than the one before")
    for i, (name, size, note) in enumerate((("registers", "1 KB", "no wait"), ("first cache", "32 KB", "a few cycles"),
                                            ("second cache", "512 KB", "a dozen cycles"),
                                            ("main memory", "gigabytes", "hundreds of cycles"))):
        w = 90 + 34 * i
        x = 14 + sum(90 + 34 * k + 18 for k in range(i))
        d.box(x, 60 - 12 * i, w, 44 + 12 * i, name + "\n" + size, "fill" if i < 2 else "soft", size=13, bold=True)
        d.text(x + w / 2, 132, note, 12, "dim", "middle")
        if i < 3:
            d.arrow(x + w + 16, 84, x + w + 2, 84)
    d.save(folder, "memories")


def tile_figure(folder):
    d = Drawing(640, 244, "A tile of out needs a row of tiles of a and a column of tiles of b")
    for left, top, cols, rows, name, hit, colour in (
            (20, 30, 6, 5, "a [M, K]", lambda r, c: r == 2, "fill"),
            (230, 30, 5, 6, "b [K, N]", lambda r, c: c == 3, "warm"),
            (430, 30, 5, 5, "out [M, N]", lambda r, c: (r, c) == (2, 3), "green")):
        d.text(left, 20, name, 14, "ink", bold=True)
        for r in range(rows):
            for c in range(cols):
                d.rect(left + 30 * c, top + 30 * r, 30, 30, colour if hit(r, c) else "soft", "line", 0)
    d.text(20, 234, "each square is a tile of T x T numbers: a value of it is fetched once and used T times", 13, "dim")
    d.save(folder, "tiles")


def warp_figure(folder):
    d = Drawing(640, 196, "Neighbouring threads in neighbouring rows jump; in neighbouring columns they share pieces")
    for top, title, spread, note in (
            (30, "neighbours in neighbouring rows of a: 32 sectors", True,
             "4 of the 32 threads: each has a sector of its own, 32 bytes moved for 4 used"),
            (122, "neighbours in neighbouring columns of b: 4 sectors", False,
             "32 threads share 4 sectors of 8 numbers: all that is moved is used")):
        d.text(16, top - 8, title, 13, "ink", bold=True)
        step = 150 if spread else 17  # from one thread's number to the next one's
        for i in range(4 if spread else 32):
            d.circle(28.5 + step * i, top + 10, 7, "accent")
            d.text(28.5 + step * i, top + 13.5, str(i), 9, "page", "middle")
        for sector in range(4):  # of 8 numbers, 32 bytes
            for k in range(8):
                hit = k == 0 or not spread
                d.rect(20 + (150 if spread else 136) * sector + 17 * k, top + 26, 17, 20,
                       ("second" if spread else "third") if hit else "soft", "line", 0)
        d.text(16, top + 64, note, 12, "dim")
    d.save(folder, "coalescing")


def measured_figures(folder):
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        measured = json.load(file)
    rows = measured["speed"]["rows"]
    colours = {name: "third" if "tinygpt" in name else "line" if "peak" in name else "accent" for name, _ in rows}
    bar_chart(folder, "speed", "Speed of a 512 x 512 product in GFLOP/s", [tuple(row) for row in rows], "GFLOP/s",
              colours=colours, form="%.1f")
    roofline_figure(folder, measured["profile"]["rows"])


def roofline_figure(folder, rows):
    """The roof of a laptop GPU of 192 GB/s and 5.5 TFLOP/s, and where each kernel stands under it."""
    d = Drawing(640, 320, "A roofline: below the ridge memory is the limit, beyond it arithmetic")
    left, bottom, right, top = 70, 270, 600, 30

    def at(x, y):
        return left + (math.log2(x) + 3) / 10 * (right - left), bottom - (math.log2(y) - 4) / 9.5 * (bottom - top)
    ridge = 5500 / 192
    d.polyline([at(0.125, 24), at(ridge, 5500), at(128, 5500)], "ink", 2)
    for y in (32, 128, 512, 2048):
        d.text(left - 8, at(1, y)[1] + 4, str(y), 12, "dim", "end")
        d.line(left, at(1, y)[1], right, at(1, y)[1], "soft")
    for x in (0.25, 1, 4, 16, 64):
        d.text(at(x, 32)[0], bottom + 18, "%g" % x, 12, "dim", "middle")
    d.text(8, 16, "GFLOP/s at most", 13)
    d.text((left + right) / 2, 308, "FLOPs for each byte that threads load", 13, "ink", "middle")
    seen = set()
    for name, _, _, intensity in rows:
        if intensity in seen:
            continue
        seen.add(intensity)
        y = min(192 * intensity, 5500)
        d.circle(*at(intensity, y), 6, "second")
        words = "naive, coalesced" if intensity < 1 else name
        d.text(at(intensity, y)[0] + 12, at(intensity, y)[1] + 14, "%s: %.0f" % (words, y), 13, "second", bold=True)
    d.text(at(64, 5500)[0], at(64, 5500)[1] - 10, "5,500: arithmetic", 12, "dim", "middle")
    d.save(folder, "roofline")


def main():
    folder = output_folder()
    course_map(folder, 3, "matmul")
    product_figure(folder)
    order_figure(folder)
    cache_figure(folder)
    tile_figure(folder)
    warp_figure(folder)
    measured_figures(folder)


main()
