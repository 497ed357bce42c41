"""The figures of lesson 01. Measured numbers come from measured.json."""
import json
import os

from drawing import Drawing, bar_chart, course_map, line_chart, output_folder

HERE = os.path.dirname(os.path.abspath(__file__))


def bytes_figure(folder):
    d = Drawing(640, 150, "A character is one to four bytes")
    x = 20
    for character, name in (("a", "Latin"), ("\u00e9", "accented"), ("\u044f", "Cyrillic"), ("\u732b", "Chinese"),
                            ("\U0001F600", "emoji")):
        data = character.encode("utf-8")
        width = 36 * len(data)
        d.box(x, 16, width, 36, "emoji" if len(data) == 4 else character, "fill", size=14 if len(data) == 4 else 18)
        for i, byte in enumerate(data):
            d.box(x + 36 * i, 72, 36, 30, str(byte), "soft", size=12, mono=True)
        d.text(x + width / 2, 122, name, 12, "dim", "middle")
        x += width + 34
    d.text(20, 144, "below: the bytes of its UTF-8 form, 0 to 255 each", 13, "dim")
    d.save(folder, "bytes")


def merges_figure(folder):
    d = Drawing(640, 176, "Two merges of the worked example")
    rows = ((list("cat_sat_at_mat"), "14 tokens"),
            (["c", "at", "_", "s", "at", "_", "at", "_", "m", "at"], "10 tokens"),
            (["c", "at_", "s", "at_", "at_", "m", "at"], "7 tokens"))
    for i, (tokens, count) in enumerate(rows):
        y = 14 + 56 * i
        x = 14
        for token in tokens:
            w = 14 + 11 * len(token)
            fill = "green" if token == "at_" else "fill" if token == "at" else "soft"
            d.box(x, y, w, 30, token, fill, size=14, mono=True)
            x += w + 5
        d.text(626, y + 20, count, 13, "dim", "end")
        if i < 2:
            d.text(14, y + 48, ("a + t becomes at", "at + _ becomes at_")[i], 12, "accent")
    d.save(folder, "merges")


def overlap_figure(folder):
    d = Drawing(640, 120, "In aaa the pair a a can be merged once")
    for left, count, words in ((20, 3, "aaa: one merge, one a left over"), (340, 4, "aaaa: two merges")):
        for i in range(count):
            d.box(left + 46 * i, 16, 40, 34, "a", "soft", size=16, mono=True)
        for i in range(0, count - 1, 2):
            d.line(left + 46 * i + 4, 58, left + 46 * i + 82, 58, "third", 3)
        if count == 3:
            d.line(left + 50, 66, left + 128, 66, "second", 3, dash=True)
            d.text(left + 140, 72, "shares the middle a", 12, "second")
        d.text(left, 96, words, 13, "ink")
    d.save(folder, "overlap")


def order_figure(folder):
    d = Drawing(640, 140, "The order of learning decides: b c was learned before a b")
    d.text(20, 24, "learned: first b+c, then a+b", 13, "ink", bold=True)
    for x, tokens, note, colour in ((20, ("a", "b", "c"), "the text", "dim"), (220, ("a", "bc"), "right", "third"),
                                    (420, ("ab", "c"), "wrong: first in the text", "second")):
        left = x
        for token in tokens:
            w = 18 + 12 * len(token)
            d.box(left, 44, w, 34, token, "green" if colour == "third" else "warm" if colour == "second" else "soft",
                  size=16, mono=True)
            left += w + 6
        d.text(x, 102, note, 13, colour, bold=colour != "dim")
    d.text(20, 130, "a model trained on one cutting does not understand the other", 12, "dim")
    d.save(folder, "order")


def histogram_figure(folder):
    d = Drawing(640, 190, "Each block counts into its own table, then adds it to the common one")
    for block in range(3):
        x = 30 + 200 * block
        d.text(x + 70, 20, "block %d" % block, 13, "ink", "middle", bold=True)
        for i in range(5):
            d.rect(x + 28 * i, 30, 24, 24, "fill")
        d.arrow(x + 70, 58, x + 70, 78, "accent")
        d.box(x, 80, 140, 30, "shared counters", "green", size=13)
        d.arrow(x + 70, 112, 300 + (block - 1) * 60, 142, "second")
    d.box(170, 144, 260, 34, "counters in global memory", "warm", size=13)
    d.text(450, 166, "once for each counter", 12, "second")
    d.save(folder, "histogram")


def measured_figures(folder):
    with open(os.path.join(HERE, "measured.json"), encoding="utf-8") as file:
        measured = json.load(file)
    names = measured["columns"][1:]
    line_chart(folder, "vocabulary", "Bytes a token against the size of the vocabulary, in four scripts",
               {names[0]: [(row[0], row[1]) for row in measured["rows"]],
                "the other three": [(row[0], row[2]) for row in measured["rows"]]},
               "tokens in the vocabulary", "bytes a token", height=300)
    bar_chart(folder, "characters", "Tokens for each character of a story, by script",
              [tuple(row) for row in measured["tokens a character"]], "tokens a character", form="%.2f")


def main():
    folder = output_folder()
    course_map(folder, 1, "tokenizer")
    bytes_figure(folder)
    merges_figure(folder)
    overlap_figure(folder)
    order_figure(folder)
    histogram_figure(folder)
    measured_figures(folder)


main()
