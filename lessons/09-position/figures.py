"""The figures of lesson 09. Numbers are computed here, or come from measured.json."""
import json
import math
import os

from drawing import Drawing, course_map, nice_ticks, num, output_folder, spread

HERE = os.path.dirname(os.path.abspath(__file__))


def measured():
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        return json.load(file)


def shuffle_figure(folder):
    d = Drawing(660, 196, "Attention without positions: shuffle the tokens, and the same outputs come out shuffled")
    words, order = ["the", "dog", "bites", "the", "man"], [0, 4, 2, 3, 1]
    colours = ["soft", "warm", "green", "soft", "fill"]
    for side, which in ((0, range(5)), (1, order)):
        left = 14 + 336 * side
        for k, token in enumerate(which):
            x = left + 62 * k
            d.box(x, 14, 56, 30, words[token], colours[token], mono=True)
            d.arrow(x + 28, 46, x + 28, 70)
            d.arrow(x + 28, 122, x + 28, 146)
            d.rect(x + 6, 150, 44, 18, colours[token], "line", 2)
        d.box(left, 74, 304, 46, "each looks at all the others", "page", size=14)
        d.text(left + 152, 190, "outputs" if not side else "the same outputs, in the other order", 13, "dim", "middle")
    d.save(folder, "shuffle")


def ways_figure(folder):
    d = Drawing(660, 150, "Where positions come in: added to the embeddings, or turned into queries and keys")
    d.box(14, 62, 92, 40, "tokens", "soft")
    d.arrow(108, 82, 138, 82)
    d.box(140, 62, 104, 40, "embedding", "soft")
    d.arrow(246, 82, 286, 82)
    d.circle(300, 82, 13, "accent")
    d.text(300, 88, "+", 18, "page", "middle", bold=True)
    d.arrow(300, 40, 300, 66, "accent")
    d.text(300, 30, "sinusoidal or learned vector", 13, "accent", "middle", bold=True)
    d.arrow(316, 82, 350, 82)
    d.box(352, 62, 92, 40, "q, k, v", "soft")
    d.arrow(446, 82, 478, 82)
    d.circle(492, 82, 13, "second")
    d.polyline([(492 + 6 * math.cos(a / 10), 82 + 6 * math.sin(a / 10)) for a in range(-10, 38)], "page")
    d.arrow(492, 40, 492, 66, "second")
    d.text(520, 30, "rotary: q and k turned", 13, "second", "middle", bold=True)
    d.arrow(508, 82, 540, 82)
    d.box(542, 62, 104, 40, "attention", "soft")
    d.text(300, 134, "once, before the first block", 12, "dim", "middle")
    d.text(492, 134, "in every block", 12, "dim", "middle")
    d.save(folder, "ways")


def waves_figure(folder):
    places, columns = 64, 32
    d = Drawing(660, 274, "The table of sinusoidal positions: fast waves on the left, slow ones on the right")
    top, left, cell, height = 34, 46, 8, 3.4

    def value(t, c):
        angle = t / 10000 ** (2 * (c // 2) / columns)
        return math.sin(angle) if c % 2 == 0 else math.cos(angle)
    for t in range(places):
        for c in range(columns):
            v = value(t, c)
            d.parts.append('<rect x="%s" y="%s" width="%s" height="%s" fill-opacity="%s" class="f-%s"/>'
                           % (num(left + c * cell), num(top + t * height), cell, height, num(abs(v)),
                              "accent" if v > 0 else "second"))
    d.rect(left, top, columns * cell, places * height, None, "line", 0)
    for t in (0, 16, 32, 48, 63):
        d.text(left - 6, top + (t + 0.5) * height + 4, str(t), 12, "dim", "end")
    d.text(8, 18, "place", 12, "dim")
    d.text(left + columns * cell / 2, top + places * height + 18, "32 columns, in pairs: blue is 1, orange is -1",
           12, "dim", "middle")
    for k, (i, colour) in enumerate(((0, "accent"), (2, "second"), (4, "third"), (6, "fourth"))):
        y = 60 + 54 * k
        d.line(370, y, 642, y, "soft")
        d.polyline([(370 + 272 * t / 256, y - 16 * math.sin(t / 4 / 10000 ** (2 * i / columns)))
                    for t in range(257)], colour)
        wave = 2 * math.pi * 10000 ** (2 * i / columns)
        d.text(370, y - 22, "pair %d: repeats after %.0f places" % (i, wave), 12, colour, bold=True)
    d.text(370, 252, "place 0", 12, "dim")
    d.text(642, 252, "place 64", 12, "dim", "end")
    d.save(folder, "waves")


def point(cx, cy, radius, angle):
    return cx + radius * math.cos(angle), cy - radius * math.sin(angle)


def arc(d, cx, cy, radius, a, b, colour):
    d.polyline([point(cx, cy, radius, a + (b - a) * k / 72) for k in range(73)], colour, 2)


def rotation_figure(folder):
    d = Drawing(660, 244, "A pair of a query turned by its place: a fast pair, and a slow one")
    kinds = ((1.0, "pair 0: 1 radian a place"), (0.1, "a later pair: 0.1 radian a place"))
    for side, (speed, title) in enumerate(kinds):
        cx, cy, r = 140 + 330 * side, 126, 76
        arc(d, cx, cy, r, 0, 2 * math.pi, "line")
        d.text(cx, 18, title, 13, "ink", "middle", bold=True)
        for place in range(4):
            angle = 0.35 + place * speed
            x, y = point(cx, cy, r, angle)
            d.arrow(cx, cy, x, y, "accent" if place == 0 else "second", 2)
            if not side:
                lx, ly = point(cx, cy, r + 15, angle)
                d.text(lx, ly + 5, str(place), 13, "ink", "middle")
        if side:
            x, y = point(cx, cy, r + 12, 0.35)
            d.text(x, y + 8, "0", 13, "ink")
            x, y = point(cx, cy, r + 12, 0.65)
            d.text(x, y, "3", 13, "ink")
    d.text(305, 234, "the same pair of numbers at places 0, 1, 2, 3", 13, "dim", "middle")
    d.save(folder, "rotation")


def distance_figure(folder):
    d = Drawing(660, 206, "Query and key five places later: both have turned on by the same angle")
    for side, (q, k) in enumerate(((3, 1), (8, 6))):
        cx, cy, r = 150 + 330 * side, 96, 72
        arc(d, cx, cy, r, 0, 2 * math.pi, "line")
        qa, ka = 0.2 + 0.5 * q, 0.6 + 0.5 * k
        d.arrow(cx, cy, *point(cx, cy, r, qa), "accent", 2.4)
        d.arrow(cx, cy, *point(cx, cy, r, ka), "second", 2.4)
        arc(d, cx, cy, 26, ka, qa, "third")
        x, y = point(cx, cy, r + 16, qa)
        d.text(x, y + 5, "q", 15, "accent", "middle", bold=True)
        x, y = point(cx, cy, r + 16, ka)
        d.text(x, y + 5, "k", 15, "second", "middle", bold=True)
        d.text(cx, 198, "query at place %d, key at place %d" % (q, k), 13, "dim", "middle")
    d.text(315, 100, "same angle", 13, "third", "middle", bold=True)
    d.save(folder, "distance")


def pairs_figure(folder):
    d = Drawing(660, 180, "A row of queries, keys and values: a head's halves make the pairs, and values stay")
    heads = [("q head 0", "fill"), ("q head 1", "fill"), ("k head 0", "warm"), ("k head 1", "warm"),
             ("v head 0", "soft"), ("v head 1", "soft")]
    left, w = 18, 26
    for h, (name, fill) in enumerate(heads):
        x = left + h * (4 * w + 2)
        for i in range(4):
            d.rect(x + i * w, 62, w, 30, fill, "line", 0)
            d.text(x + (i + 0.5) * w, 82, str(i), 13, "ink", "middle", mono=True)
        d.text(x + 2 * w, 112, name, 13, "dim", "middle")
        if h < 4:
            for i, colour in ((0, "accent"), (1, "second")):
                a, b = x + (i + 0.5) * w, x + (i + 2.5) * w
                rise = 14 + 12 * i
                d.polyline([(a + (b - a) * k / 20, 60 - rise * math.sin(math.pi * k / 20)) for k in range(21)], colour)
    d.line(left, 128, left + 16 * w + 6, 128, "line", 1.6)
    d.text(left + 8 * w, 148, "heads = 4 of them are turned", 13, "ink", "middle")
    d.line(left + 16 * w + 8, 128, left + 24 * w + 10, 128, "line", 1.6)
    d.text(left + 20 * w + 8, 148, "these stay", 13, "ink", "middle")
    d.text(left, 174, "stride = 24 values; HS = 4; pair 0 is (0, 2), pair 1 is (1, 3)", 13, "dim")
    d.save(folder, "pairs")


def backward_figure(folder):
    d = Drawing(660, 204, "Forward turns x by the angle; backward turns the gradient by the same angle the other way")
    for side, (title, start, end, colours, names) in enumerate((
            ("forward", 0.2, 1.1, ("dim", "accent"), ("x", "out")),
            ("backward", 2.3, 1.4, ("dim", "second"), ("dout", "dx")))):
        cx, cy, r = 170 + 310 * side, 124, 66
        arc(d, cx, cy, r, 0, 2 * math.pi, "line")
        d.text(cx, 20, title, 14, "ink", "middle", bold=True)
        for angle, colour, name in zip((start, end), colours, names):
            d.arrow(cx, cy, *point(cx, cy, r, angle), colour, 2.4)
            x, y = point(cx, cy, r + 18, angle)
            d.text(x, y + 4, name, 14, colour, "middle", bold=True, mono=True)
        arc(d, cx, cy, 34, start, end, "third")
        turn = 0.12 if end < start else -0.12
        d.arrow(*point(cx, cy, 34, end + turn), *point(cx, cy, 34, end), "third")
    d.save(folder, "backward")


def length_figure(folder):
    series = measured()["length"]["series"]
    d = Drawing(660, 350, "Loss by place in the text for four kinds of position, up to twice the training length")
    left, right, top, bottom = 52, 552, 30, 298
    values = [v for row in series.values() for v in row]
    low, high = min(values) - 0.1, max(values) + 0.1

    def at(place, loss):
        return left + (right - left) * place / 128, bottom - (bottom - top) * (loss - low) / (high - low)
    d.rect(at(64, 0)[0], top, right - at(64, 0)[0], bottom - top, "soft", None, 0)
    for tick in nice_ticks(low, high):
        d.line(left, at(0, tick)[1], right, at(0, tick)[1], "soft")
        d.text(left - 8, at(0, tick)[1] + 4, "%g" % tick, 12, "dim", "end")
    for place in range(0, 129, 16):
        d.text(at(place, 0)[0], bottom + 18, str(place), 12, "dim", "middle")
    d.line(left, bottom, right, bottom)
    d.line(at(64, 0)[0], top, at(64, 0)[0], bottom, "ink", 1.4, dash=True)
    d.text(at(40, 0)[0], top - 8, "trained on", 13, "ink", "middle")
    d.text(at(96, 0)[0], top - 8, "never seen", 13, "ink", "middle")
    d.text(8, top - 8, "nats per character", 13)
    d.text((left + right) / 2, 342, "place in the text", 13, "ink", "middle")
    ends = []
    for (name, row), colour in zip(series.items(), ("dim", "second", "third", "accent")):
        d.polyline([at(4 * k + 1.5, v) for k, v in enumerate(row)], colour)
        ends.append((at(0, sum(row[-3:]) / 3)[1] + 4, name, colour))
    for y, (_, name, colour) in zip(spread([e[0] for e in sorted(ends)], 15, bottom), sorted(ends)):
        d.text(right + 8, y, name, 13, colour, bold=True)
    d.save(folder, "length")


def vectors_figure(folder):
    rows = measured()["vectors"]["rows"]
    d = Drawing(660, 330, "How alike the learned vectors of two places are: bands where trained, noise beyond place 63")
    left, top, cell = 62, 30, 8.4
    for r, row in enumerate(rows):
        for c, v in enumerate(row):
            d.parts.append('<rect x="%s" y="%s" width="%s" height="%s" fill-opacity="%s" class="f-%s"/>'
                           % (num(left + c * cell), num(top + r * cell), cell, cell, num(min(abs(v), 1)),
                              "accent" if v > 0 else "second"))
    side = len(rows) * cell
    d.rect(left, top, side, side, None, "line", 0)
    middle = side / 2
    d.line(left + middle, top, left + middle, top + side, "ink", 1.4, dash=True)
    d.line(left, top + middle, left + side, top + middle, "ink", 1.4, dash=True)
    for place in (0, 32, 64, 96):
        d.text(left - 6, top + place / 128 * side + 10, str(place), 12, "dim", "end")
        d.text(left + place / 128 * side + 6, top + side + 16, str(place), 12, "dim", "middle")
    d.text(8, 18, "place", 12, "dim")
    x = left + side + 24
    for k, (words, colour) in enumerate((("trained: places 0 to 63", "ink"),
                                         ("neighbours have become alike (blue),", "dim"),
                                         ("places far apart opposite (orange)", "dim"))):
        d.text(x, 90 + 20 * k, words, 14, colour, bold=k == 0)
    for k, (words, colour) in enumerate((("never trained: 64 to 127", "ink"), ("as random as on the first day:", "dim"),
                                         ("each is like itself alone", "dim"))):
        d.text(x, 210 + 20 * k, words, 14, colour, bold=k == 0)
    d.save(folder, "vectors")


def main():
    folder = output_folder()
    course_map(folder, 9, "position")
    shuffle_figure(folder)
    ways_figure(folder)
    waves_figure(folder)
    rotation_figure(folder)
    distance_figure(folder)
    pairs_figure(folder)
    backward_figure(folder)
    vectors_figure(folder)
    length_figure(folder)


main()
