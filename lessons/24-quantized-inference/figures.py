"""The figures of lesson 24."""
from drawing import Drawing, bar_chart, course_map, output_folder


def dot_figure(folder):
    d = Drawing(690, 200, "A block of weights times a block of x: 32 products of integers, then one product of scales")
    for y, name, scale, values, fill in ((24, "weight", "d", ("15", "0", "8", "...", "11", "6"), "fill"),
                                         (92, "x", "d", ("127", "-50", "0", "...", "30", "90"), "warm")):
        d.text(14, y + 23, name, 14, bold=True)
        d.box(84, y, 52, 34, scale, "green", bold=True)
        for i, value in enumerate(values):
            d.box(144 + 50 * i, y, 46, 34, value, fill, mono=True)
    d.arrow(448, 41, 488, 66)
    d.arrow(448, 109, 488, 84)
    d.box(492, 54, 92, 42, "integers", "soft", bold=True)
    d.text(538, 118, "added exactly", 13, "dim", "middle")
    d.line(110, 128, 110, 168, "third", 1.6)
    d.line(110, 168, 612, 168, "third", 1.6)
    d.arrow(612, 168, 640, 96, "third")
    d.text(250, 160, "two scales, once for 32 values", 13, "third")
    d.arrow(586, 75, 616, 75)
    d.box(618, 54, 60, 42, "float", "green")
    d.save(folder, "dot")


def offset_figure(folder):
    d = Drawing(690, 190, "Byte i of a Q4_0 block holds value i in its low half and value i + 16 in its high half")
    d.text(14, 24, "16 bytes of a block", 14, "ink", bold=True)
    for i, (high, low) in enumerate((("11", "15"), ("6", "0"), ("8", "8"), ("8", "8"))):
        x = 14 + 124 * i
        d.box(x, 34, 56, 34, high, "warm", mono=True)
        d.box(x + 56, 34, 56, 34, low, "fill", mono=True)
        d.text(x + 28, 86, "value %d" % (i + 16), 12, "second", "middle")
        d.text(x + 84, 86, "value %d" % i, 12, "accent", "middle")
    d.text(516, 56, "...", 16)
    d.text(560, 48, "high: q >> 4", 13, "second")
    d.text(560, 66, "low: q & 15", 13, "accent")
    d.text(14, 124, "stored", 13, "dim")
    d.text(14, 164, "weight / d", 13, "dim")
    for i, (stored, weight) in enumerate(((0, -8), (4, -4), (8, 0), (11, 3), (15, 7))):
        x = 110 + 64 * i
        d.box(x, 106, 54, 28, "%d" % stored, "soft", mono=True)
        d.box(x, 146, 54, 28, "%d" % weight, "green", mono=True)
    d.text(446, 124, "8 too large, each of them:", 13)
    d.text(446, 146, "take 8 times the sum of x", 13, "second", bold=True)
    d.text(446, 168, "off the integer sum", 13, "second", bold=True)
    d.save(folder, "offset")


def tiles_figure(folder):
    d = Drawing(690, 264, "In the file a row's values lie side by side; repacked, four values of each of 16 rows do")
    d.text(14, 22, "in the file", 14, "ink", bold=True)
    fills = ("fill", "warm", "green", "soft")
    for r in range(4):
        d.text(14, 54 + 34 * r, "row %d" % r, 13, "dim")
        for g in range(3):
            d.box(66 + 66 * g, 36 + 34 * r, 62, 28, "%d-%d" % (4 * g, 4 * g + 3), fills[r], mono=True, size=12)
        d.text(266, 55 + 34 * r, "...", 14)
    d.text(66, 186, "... 16 rows", 13, "dim")
    d.arrow(292, 100, 328, 100)
    d.text(344, 22, "repacked: one register", 14, "ink", bold=True)
    for g in range(3):
        for r in range(4):
            d.box(344 + 66 * r, 36 + 52 * g, 62, 30, "%d-%d" % (4 * g, 4 * g + 3), fills[r], mono=True, size=12)
        d.text(614, 56 + 52 * g, "... 16 rows", 13, "dim")
        d.text(344, 81 + 52 * g, "times x %d-%d in every lane" % (4 * g, 4 * g + 3), 12, "second")
    for r in range(4):
        d.arrow(375 + 66 * r, 196, 375 + 66 * r, 218)
        d.box(344 + 66 * r, 220, 62, 30, "sum %d" % r, fills[r], size=12)
    d.text(612, 232, "one lane,", 12, "third")
    d.text(612, 248, "one row", 12, "third")
    d.save(folder, "tiles")


def file_figure(folder):
    d = Drawing(690, 176, "A GGUF file: counts, settings, descriptions of tensors, zeros, and data at multiples of 32")
    parts = (("GGUF, 3\ncounts", 74, "soft"), ("settings", 92, "fill"),
             ("tensors:\nname, sizes,\ntype, offset", 112, "fill"),
             ("zeros", 48, "soft"), ("data of the\nfirst tensor", 108, "green"), ("zeros", 48, "soft"),
             ("data of the\nsecond", 108, "green"), ("zeros", 48, "soft"))
    x = 14
    starts = []
    for words, width, fill in parts:
        d.box(x, 44, width, 64, words, fill, size=12)
        starts.append(x)
        x += width + 2
    for i, name in ((4, "offset 0"), (6, "offset 96")):
        d.line(starts[i], 36, starts[i], 124, "second", 1.6)
        d.text(starts[i] + 4, 126, name, 12, "second")
    d.text(starts[4], 28, "multiples of 32 bytes", 13, "second")
    d.text(14, 152, "A program maps the file into memory, and uses the data where they lie.", 13, "dim")
    d.save(folder, "file")


def words_figure(folder):
    d = Drawing(690, 176, "Words of four values, in blocks of 34 bytes, and the lanes that take them")
    d.text(14, 22, "a row of the weight", 14, "ink", bold=True)
    x = 14
    for block in range(2):
        d.box(x, 34, 30, 40, "d", "green", bold=True)
        for word in range(8):
            number = 8 * block + word
            d.box(x + 32 + 36 * word, 34, 34, 40, "%d" % number, "warm" if block else "fill", mono=True, size=13)
            if word in (1, 7):
                d.text(x + 49 + 36 * word, 92, "lane %d" % number, 11, "dim", "middle")
        x += 328
    d.line(46, 76, 46, 110, "second")
    d.text(46, 126, "byte 2: even, no multiple of 4", 12, "second")
    d.line(342, 76, 342, 110, "dim")
    d.text(342, 126, "byte 34: the next block", 12, "dim")
    d.text(14, 160, "A word is loaded as two halves. 32 lanes have four blocks at a time; then they come round.", 13)
    d.save(folder, "words")


def bytes_figure(folder):
    """110 million weights; a block of 32 takes 128, 34 or 18 bytes."""
    weights = 109.5e6
    bars = [(name, weights / 32 * size / 1e6) for name, size in (("F32", 128), ("Q8_0", 34), ("Q4_0", 18))]
    bar_chart(folder, "bytes", "What one new token reads of a model of 110 million weights, in megabytes", bars,
              "megabytes for each token, 110 million weights", form="%.0f")


def main():
    folder = output_folder()
    course_map(folder, 24, "quantized-inference")
    bytes_figure(folder)
    dot_figure(folder)
    offset_figure(folder)
    tiles_figure(folder)
    file_figure(folder)
    words_figure(folder)


main()
