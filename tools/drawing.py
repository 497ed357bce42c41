"""Figures as SVG, readable in light and dark themes, the same bytes each time.

    from drawing import Drawing
    d = Drawing(640, 200, "What the picture shows, for those who cannot see it")
    d.matrix(40, 40, [[1, 0], [0, 1]], title="one-hot")
    d.arrow(200, 80, 260, 80)
    d.text(270, 84, "row 1")
    d.save(folder, "lookup")

Beyond boxes, arrows, matrices and tokens there are heat (shaded matrix) and number_line; line_chart, bar_chart and
course_map make whole figures. tools/refresh-lessons finds words that leave the page or lie on each other;
tools/render-figures shows figures on a light and on a dark page.

Colours are names: ink, dim, accent, second, third, fill, soft. Sizes are pixels of a page 700 wide.
"""
import os
import sys

# For light and dark. Of the Okabe-Ito colours, which colour-blind readers tell apart.
COLOURS = {"ink": ("#1f2328", "#e6edf3"), "dim": ("#59636e", "#9198a1"), "line": ("#8c959f", "#6e7681"),
           "accent": ("#0072b2", "#56b4e9"), "second": ("#d55e00", "#ff9d57"), "third": ("#009e73", "#3fd0a4"),
           "fourth": ("#8a3ffc", "#c4a1ff"), "fill": ("#ddeefa", "#16344a"), "warm": ("#fde5d4", "#4a2a14"),
           "green": ("#d8f2e8", "#123d30"), "soft": ("#eef1f4", "#262c36"), "page": ("#ffffff", "#0d1117")}
SERIES = ("accent", "second", "third", "fourth", "dim")
FONT = "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"


def style():
    light = "".join(".f-%s{fill:%s}.s-%s{stroke:%s}" % (n, c[0], n, c[0]) for n, c in COLOURS.items())
    dark = "".join(".f-%s{fill:%s}.s-%s{stroke:%s}" % (n, c[1], n, c[1]) for n, c in COLOURS.items())
    return "text{font-family:%s}.m{font-family:%s}%s@media(prefers-color-scheme:dark){%s}" % (FONT, MONO, light, dark)


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def width_of(text, size=14, mono=False):
    """About how wide a text is: a little more than any common font makes it."""
    if mono:
        return 0.62 * size * len(str(text))
    narrow, wide = "iljt.,:;'|!()[]fI ", "mwMW@%"
    return size * sum(0.33 if c in narrow else 0.9 if c in wide else 0.6 for c in str(text))


def num(value):
    """A coordinate without needless digits."""
    return ("%.2f" % value).rstrip("0").rstrip(".")


class Drawing:
    def __init__(self, width, height, description):
        self.width, self.height, self.description = width, height, description
        self.parts = []

    def text(self, x, y, words, size=14, colour="ink", anchor="start", bold=False, mono=False):
        extra = ' font-weight="600"' if bold else ""
        self.parts.append('<text x="%s" y="%s" font-size="%s" text-anchor="%s" class="f-%s%s"%s>%s</text>'
                          % (num(x), num(y), size, anchor, colour, " m" if mono else "", extra, escape(words)))

    def rect(self, x, y, w, h, fill="soft", stroke="line", radius=4, dash=False):
        self.parts.append('<rect x="%s" y="%s" width="%s" height="%s" rx="%s" class="f-%s s-%s"%s%s/>'
                          % (num(x), num(y), num(w), num(h), radius, fill or "page", stroke or fill,
                             '' if fill else ' fill-opacity="0"', ' stroke-dasharray="4 3"' if dash else ""))

    def line(self, x1, y1, x2, y2, colour="line", width=1.2, dash=False):
        self.parts.append('<line x1="%s" y1="%s" x2="%s" y2="%s" class="s-%s" stroke-width="%s"%s/>'
                          % (num(x1), num(y1), num(x2), num(y2), colour, width,
                             ' stroke-dasharray="5 4"' if dash else ""))

    def arrow(self, x1, y1, x2, y2, colour="dim", width=1.6):
        """With its head at the second point."""
        length = max(((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5, 1e-9)
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        self.line(x1, y1, x2 - 6 * ux, y2 - 6 * uy, colour, width)
        points = [(x2, y2), (x2 - 9 * ux - 4 * uy, y2 - 9 * uy + 4 * ux), (x2 - 9 * ux + 4 * uy, y2 - 9 * uy - 4 * ux)]
        self.parts.append('<polygon points="%s" class="f-%s"/>'
                          % (" ".join("%s,%s" % (num(a), num(b)) for a, b in points), colour))

    def polyline(self, points, colour="accent", width=2, dash=False):
        self.parts.append('<polyline points="%s" fill="none" class="s-%s" stroke-width="%s"%s/>'
                          % (" ".join("%s,%s" % (num(x), num(y)) for x, y in points), colour, width,
                             ' stroke-dasharray="5 4"' if dash else ""))

    def circle(self, x, y, radius=4, colour="accent"):
        self.parts.append('<circle cx="%s" cy="%s" r="%s" class="f-%s"/>' % (num(x), num(y), num(radius), colour))

    def box(self, x, y, w, h, words, fill="soft", stroke="line", size=14, bold=False, mono=False):
        """A box with centred lines of text."""
        self.rect(x, y, w, h, fill, stroke)
        lines = words.split("\n")
        top = y + h / 2 - (len(lines) - 1) * size * 0.62 + size * 0.35
        for i, words_i in enumerate(lines):
            self.text(x + w / 2, top + i * size * 1.24, words_i, size, "ink", "middle", bold and i == 0, mono)

    def matrix(self, x, y, rows, cell=34, height=None, title="", row_names=(), col_names=(), fills=None, size=13,
               form="%s"):
        """A grid of values. fills[r][c] is a colour, or None. Returns (right edge, bottom edge)."""
        height = height or cell
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                fill = (fills[r][c] if fills else None) or "soft"
                self.rect(x + c * cell, y + r * height, cell, height, fill, "line", 0)
                if value is not None and value != "":
                    self.text(x + (c + 0.5) * cell, y + (r + 0.5) * height + size * 0.35,
                              form % value if not isinstance(value, str) else value, size, "ink", "middle", mono=True)
        for r, name in enumerate(row_names):
            self.text(x - 8, y + (r + 0.5) * height + size * 0.35, name, size, "dim", "end")
        for c, name in enumerate(col_names):
            self.text(x + (c + 0.5) * cell, y - 7, name, size, "dim", "middle")
        if title:
            self.text(x, y - (24 if col_names else 9), title, 14, "ink", bold=True)
        return x + len(rows[0]) * cell, y + len(rows) * height

    def tokens(self, x, y, words, fill="fill", size=15, gap=6, mono=True):
        """Words in boxes, side by side. Returns the middle of each."""
        middles = []
        for word in words:
            w = width_of(word, size, mono) + 14
            self.box(x, y, w, size * 1.9, word, fill, "line", size, mono=mono)
            middles.append(x + w / 2)
            x += w + gap
        return middles

    def number_line(self, x, y, w, low, high, step, marks=(), form="%g"):
        """From low to high, a tick at each step. marks: (value, words, colour), written above in rows that are free."""
        def at(value):
            return x + w * (value - low) / (high - low)
        self.line(x, y, x + w, y, "line", 1.6)
        for k in range(int(round((high - low) / step)) + 1):
            value = low + k * step
            self.line(at(value), y, at(value), y + 5)
            self.text(at(value), y + 19, form % value, 12, "dim", "middle")
        rows = []  # where the last words of each row end
        for value, words, colour in sorted(marks, key=lambda mark: mark[0]):
            half = width_of(words, 12) / 2
            row = next((r for r, end in enumerate(rows) if end < at(value) - half), len(rows))
            rows[row:row + 1] = [at(value) + half + 4]
            self.line(at(value), y - 10 - 16 * row, at(value), y, colour)
            self.circle(at(value), y, 4, colour)
            self.text(at(value), y - 14 - 16 * row, words, 12, colour, "middle", bold=True)
        return at

    def heat(self, x, y, rows, cell=34, height=None, row_names=(), col_names=(), form="%.2f", colour="accent"):
        """A grid of values whose shade says how large they are; negative ones in the second colour."""
        height, largest = height or cell, max([abs(v) for row in rows for v in row] + [1e-300])
        self.matrix(x, y, [[""] * len(row) for row in rows], cell, height, "", row_names, col_names)
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                self.parts.append('<rect x="%s" y="%s" width="%s" height="%s" fill-opacity="%s" class="f-%s"/>'
                                  % (num(x + c * cell), num(y + r * height), num(cell), num(height),
                                     num(0.65 * abs(value) / largest), colour if value >= 0 else "second"))
                if form:
                    self.text(x + (c + 0.5) * cell, y + (r + 0.5) * height + 4, form % value, 12, "ink", "middle",
                              mono=True)
        return x + len(rows[0]) * cell, y + len(rows) * height

    def svg(self):
        return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">'
                '<title>%s</title><style>%s</style>\n%s\n</svg>\n'
                % (self.width, self.height, self.width, self.height, escape(self.description), style(),
                   "\n".join(self.parts)))

    def save(self, folder, name):
        with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as file:
            file.write(self.svg())


def nice_ticks(low, high, count=5):
    """Round numbers from low to high."""
    span = (high - low) or 1
    step = 10.0 ** len(str(int(span / count))) / 10 if span / count >= 1 else 1.0
    while step > span / count:
        step /= 10
    for factor in (1, 2, 5, 10):
        if span / (step * factor) <= count:
            step *= factor
            break
    first = int(low / step + (1 - 1e-9 if low > 0 else 0))
    return [round(k * step, 10) for k in range(first, int(high / step + 1e-9) + 1)]


def spread(positions, gap, limit):
    """Ascending positions, moved apart to the gap, none of them below the limit."""
    placed = []
    for y in positions:
        placed.append(max(y, placed[-1] + gap) if placed else y)
    for i in range(len(placed) - 1, -1, -1):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def label(value):
    return "%g" % value


def line_chart(folder, name, description, series, x_title, y_title, log_x=False, y_zero=True, width=640, height=340,
               marks=True, reference=None):
    """series: {label: [(x, y), ...]}. reference: (y, label), a dashed line across."""
    import math
    d = Drawing(width, height, description)
    left, right, top, bottom = 62, width - 120, 24, height - 52
    fx = math.log10 if log_x else float
    xs = [fx(x) for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points] + ([reference[0]] if reference else [])
    x0, x1 = min(xs), max(xs)
    y0, y1 = (0 if y_zero else min(ys)), max(ys)
    y0, y1 = (y0 - (0 if y_zero else 0.06 * (y1 - y0)), y1 + 0.06 * (y1 - y0))

    def at(x, y):
        return (left + (fx(x) - x0) / ((x1 - x0) or 1) * (right - left),
                bottom - (y - y0) / ((y1 - y0) or 1) * (bottom - top))
    for tick in nice_ticks(y0, y1):
        if tick < y0:
            continue
        y = at(10 ** x0 if log_x else x0, tick)[1]
        d.line(left, y, right, y, "soft")
        d.text(left - 8, y + 4, label(tick), 12, "dim", "end")
    ticks = sorted({x for points in series.values() for x, _ in points}) if log_x else nice_ticks(x0, x1, 6)
    last = -1e9
    for tick in ticks:
        x = at(tick, y0)[0]
        if x - last > 36:
            d.text(x, bottom + 18, label(tick), 12, "dim", "middle")
            d.line(x, bottom, x, bottom + 4)
            last = x
    d.line(left, bottom, right, bottom)
    d.text((left + right) / 2, height - 12, x_title, 13, "ink", "middle")
    d.text(8, 14, y_title, 13, "ink")
    if reference:
        y = at(10 ** x0 if log_x else x0, reference[0])[1]
        d.line(left, y, right, y, "dim", 1.4, dash=True)
        d.text(right + 8, y + 4, reference[1], 12, "dim")
    ends = []
    for colour, (words, points) in zip(SERIES * 3, series.items()):
        d.polyline([at(x, y) for x, y in points], colour)
        if marks:
            for x, y in points:
                d.circle(*at(x, y), 3, colour)
        ends.append((at(*points[-1])[1] + 4, words, colour))
    for y, (_, words, colour) in zip(spread([end[0] for end in sorted(ends)], 14, bottom + 4), sorted(ends)):
        d.text(right + 8, y, words, 12, colour, bold=True)
    d.save(folder, name)


def bar_chart(folder, name, description, bars, unit, width=640, colours=None, form="%g"):
    """bars: [(label, value)]: horizontal, with the value at the end of each."""
    room = max(width_of(words, 13) for words, _ in bars) + 16
    d = Drawing(width, 30 * len(bars) + 34, description)
    most = max(value for _, value in bars)
    for i, (words, value) in enumerate(bars):
        y = 10 + 30 * i
        length = (width - room - 90) * value / most
        d.text(room - 8, y + 15, words, 13, "ink", "end")
        d.rect(room, y, max(length, 1), 20, (colours or {}).get(words, "accent"), None, 2)
        d.text(room + length + 6, y + 15, form % value, 13, "ink")
    d.text(room, 30 * len(bars) + 24, unit, 12, "dim")
    d.save(folder, name)


PARTS = (("Text becomes numbers", range(0, 3)), ("Numbers that learn", range(3, 7)), ("The transformer", range(7, 13)),
         ("Training", range(13, 18)), ("Adapt", range(18, 21)), ("Compress and serve", range(21, 26)),
         ("Use", range(26, 29)))


def course_map(folder, lesson, title):
    """The course as a line of stops, with one of them lit."""
    d = Drawing(700, 92, "The course's 29 lessons in seven parts; this is lesson %02d, %s" % (lesson, title))
    x = 12
    for words, stops in PARTS:
        w = 21.5 * len(stops) + 4
        here = lesson in stops
        if here:
            room = width_of(words, 12) * 0.6  # bold
            d.text(min(max(x + w / 2, room), 700 - room), 18, words, 12, "accent", "middle", bold=True)
        for i, number in enumerate(stops):
            cx = x + 10.75 + 21.5 * i
            if number == lesson:
                d.circle(cx, 44, 12, "accent")
                d.text(cx, 48, "%02d" % number, 11, "page", "middle", bold=True)
                room = 6 + width_of(title, 14) / 2
                d.text(min(max(cx, room), 700 - room), 78, title, 14, "ink", "middle", bold=True)
            else:
                d.circle(cx, 44, 8, "line" if number < lesson else "soft")
        x += w + 6
    d.save(folder, "map")


def output_folder():
    """Where a lesson's figures.py writes: its first argument, or figures/ beside it."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    folder = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "figures")
    os.makedirs(folder, exist_ok=True)
    return folder
