"""The figures of lesson 14 that nothing has to be measured for: those of the worked example, and of the kernels."""
import math

from drawing import Drawing, course_map, output_folder

WORDS = ("cat", "dog", "sun", ".")
LOGITS = (2.0, 1.0, 1.5, -1.0)


def probabilities(temperature):
    weights = [math.exp((x - max(LOGITS)) / temperature) for x in LOGITS]
    return [w / sum(weights) for w in weights]


def temperature_figure(folder):
    d = Drawing(660, 214, "The same four logits at temperature 0, 0.5, 1 and 2: from one bar to four similar ones")
    for i, temperature in enumerate((0, 0.5, 1, 2)):
        x = 20 + 160 * i
        shares = probabilities(temperature) if temperature else [1, 0, 0, 0]
        d.text(x + 66, 24, "temperature %g" % temperature, 14, "ink", "middle", bold=True)
        for v, share in enumerate(shares):
            h, form = 120 * share, "%.2f" if share > 0.005 else "%.3f"
            d.rect(x + 34 * v, 178 - h, 26, max(h, 1), "accent", None, 2)
            d.text(x + 34 * v + 13, 172 - h, (form % share).lstrip("0") if 0 < share < 1 else "%g" % share, 11,
                   "dim", "middle")
            d.text(x + 34 * v + 13, 196, WORDS[v], 13, "ink", "middle")
        d.line(x - 4, 178, x + 136, 178)
    d.save(folder, "temperature")


def cuts_figure(folder):
    d = Drawing(660, 262, "Tokens sorted by probability with their running sum; top-k 2 and top-p 0.9 cut behind "
                          "different tokens")
    order = sorted(range(4), key=lambda v: -probabilities(1)[v])
    x0, y0, high, wide = 96, 210, 160, 86
    d.text(16, 24, "sorted, likeliest first", 13, "accent", bold=True)
    d.text(230, 24, "running sum", 13, "second", bold=True)
    total, last = 0, None
    for i, v in enumerate(order):
        share = probabilities(1)[v]
        x = x0 + wide * i
        d.rect(x + 14, y0 - high * share, 40, max(high * share, 1), "accent", None, 2)
        d.text(x + 34, y0 - high * share - 6, "%.3f" % share, 12, "accent", "middle")
        d.text(x + 34, y0 + 18, WORDS[v], 14, "ink", "middle")
        total += share
        point = (x + wide - 10, y0 - high * total)
        if last:
            d.line(last[0], last[1], point[0], point[1], "second", 1.4, dash=True)
        d.circle(*point, 4, "second")
        last = point
        if i == 1:  # above it is the threshold
            d.text(point[0] + 24, point[1] + 10, "%.3f" % total, 12, "second")
        elif i:  # the first would stand on its bar
            d.text(point[0] - 4, point[1] - 9, "%.3f" % total, 12, "second", "end")
    d.line(x0, y0, x0 + 4 * wide + 10, y0)
    for words, p, at in (("p = 0.9: three stay", 0.9, 3), ("k = 2: two stay", None, 2)):
        if p:
            d.line(x0, y0 - high * p, x0 + 4 * wide + 10, y0 - high * p, "third", 1.4)
            d.text(x0 + 4 * wide + 18, y0 - high * p + 4, words, 13, "third", bold=True)
        else:
            d.line(x0 + at * wide + 4, 60, x0 + at * wide + 4, y0 + 26, "fourth", 1.6)
            d.text(x0 + at * wide + 4, y0 + 44, words, 13, "fourth", "middle", bold=True)
    d.save(folder, "cuts")


def draw_figure(folder):
    d = Drawing(660, 126, "Four shares side by side on a line from 0 to 1; the number u falls into one of them")
    x, total = 30.0, 0.0
    shares = probabilities(1)
    fills = ("fill", "warm", "green", "soft")
    for v, share in enumerate(shares):
        w = 600 * share
        d.rect(x, 46, w, 36, fills[v], "line", 0)
        d.text(x + w / 2, 69, WORDS[v], 15, "ink", "middle", mono=True)
        total += share
        x += w
        if v < 2:
            d.text(x, 102, "%.3f" % total, 12, "dim", "middle")
    d.text(x - 600 * shares[3] - 2, 102, "%.3f" % (total - shares[3]), 12, "dim", "end")
    d.text(30, 102, "0", 12, "dim", "middle")
    d.text(x + 4, 102, "1", 12, "dim", "middle")
    d.arrow(30 + 600 * 0.6, 22, 30 + 600 * 0.6, 46, "second")
    d.text(30 + 600 * 0.6 + 10, 24, "u = 0.6 draws dog", 13, "second", bold=True)
    d.text(30, 24, "running sums end each share", 13, "dim")
    d.save(folder, "draw")


def argmax_figure(folder):
    d = Drawing(660, 218, "A reduction of pairs: eight threads' largest logits and places, halved three times")
    rows = [[(1.2, 8), (3.5, 1), (0.4, 2), (3.5, 11), (-2.0, 4), (3.5, 13), (2.2, 6), (0.9, 15)]]
    while len(rows[-1]) > 1:
        half = len(rows[-1]) // 2
        rows.append([max(rows[-1][i], rows[-1][i + half], key=lambda pair: (pair[0], -pair[1])) for i in range(half)])
    words = ("each thread's own", "half = 4", "half = 2", "half = 1")
    for r, row in enumerate(rows):
        y = 16 + 52 * r
        d.text(12, y + 20, words[r], 12, "dim")
        for i, (value, place) in enumerate(row):
            x = 128 + 66 * i
            winner = (value, place) == rows[-1][0]
            d.box(x, y, 56, 32, "%.1f @%d" % (value, place), "warm" if winner else "fill", size=11, mono=True)
            if r:
                half = len(row)
                d.arrow(x + 28, y - 20, x + 28, y - 1, "dim")
                d.line(x + 66 * half + 28, y - 20, x + 36, y - 4, "line", 1)
    d.text(280, 16 + 52 * 3 + 20, "three logits are 3.5: place 1 wins, the first", 13, "second", bold=True)
    d.save(folder, "argmax")


def scan_figure(folder):
    d = Drawing(660, 250, "A scan of eight values: after steps with distance 1, 2 and 4 each thread has the sum of all "
                          "values up to its own")
    rows = [[3, 1, 4, 1, 5, 9, 2, 6]]
    distances = (1, 2, 4)
    for distance in distances:
        old = rows[-1]
        rows.append([old[i] + (old[i - distance] if i >= distance else 0) for i in range(8)])
    for r, row in enumerate(rows):
        y = 30 + 58 * r
        d.text(12, y + 20, "values" if r == 0 else "distance %d" % distances[r - 1], 12, "dim")
        for i, value in enumerate(row):
            x = 108 + 66 * i
            done = r == 3 or i < 2 ** r
            d.box(x, y, 46, 30, "%d" % value, "green" if done else "fill", size=14, mono=True)
            if r:
                distance = distances[r - 1]
                d.line(x + 23, y - 28, x + 23, y, "line", 1)
                if i >= distance:
                    d.arrow(x + 23 - 66 * distance, y - 28, x + 14, y - 1, "accent", 1.1)
    d.text(108, 20, "thread 0", 12, "dim")
    d.text(108 + 66 * 7 + 46, 20, "thread 7", 12, "dim", "end")
    d.save(folder, "scan")


def main():
    folder = output_folder()
    course_map(folder, 14, "pretraining")
    temperature_figure(folder)
    cuts_figure(folder)
    draw_figure(folder)
    argmax_figure(folder)
    scan_figure(folder)


main()
