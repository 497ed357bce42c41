"""`tinygpt plot`: curves of trainings as SVG and as PNG."""
import json
import os
import re
import shutil
import struct
import unittest
import xml.dom.minidom
import zlib

from program import ProgramTest


def read_png(path):
    """Width, height, and the pixels, three bytes each: of the kind that has eight bits a channel."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    assert depth == 8 and colour in (2, 6) and not interlaced
    channels = 3 if colour == 2 else 4
    lines, row, pixels = zlib.decompress(packed), bytes(channels * width), []
    for y in range(height):
        start = y * (channels * width + 1)
        row = unfiltered(lines[start], lines[start + 1:start + 1 + channels * width], row, channels)
        pixels += [row[x:x + 3] for x in range(0, len(row), channels)]
    return width, height, pixels


def unfiltered(kind, line, above, channels):
    """A line of a PNG, from what was left of it when its guess from left and above was taken away."""
    row = bytearray(line)
    for i, value in enumerate(line):
        a, c = (row[i - channels], above[i - channels]) if i >= channels else (0, 0)
        b = above[i]
        nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
        row[i] = (value + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
    return bytes(row)


class PlotTest(ProgramTest):
    def write_run(self, name, lines):
        os.makedirs(self.path(name), exist_ok=True)
        with open(self.path(name, "log.jsonl"), "w", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps(line) + "\n")

    def run_of(self, name, bytes_per_token=4.0, floor=0.1, validations=True):
        lines = [{"event": "start", "floor_nats_per_byte": floor}] if floor else [{"event": "start"}]
        for step in range(1, 41):
            line = {"step": step, "loss": 5.0 / step + 1, "lr": 1e-3, "grad_norm": 0.5, "elapsed_s": step * 2}
            if validations and step % 10 == 0:
                line.update(validation_loss=5.2 / step + 1, validation_nats_per_byte=(5.2 / step + 1) / bytes_per_token)
            lines.append(line)
        self.write_run(name, lines)

    def draw(self, *words):
        out = self.succeed("plot", *words, "--out", "plot.svg")
        self.assertIn("wrote plot.svg", out)
        page = xml.dom.minidom.parseString(self.read("plot.svg"))
        texts = ["".join(node.data for node in text.childNodes) for text in page.getElementsByTagName("text")]
        return out, texts, page.getElementsByTagName("polyline")

    def test_one_run_has_both_losses_the_floor_and_units(self):
        self.run_of("one")
        _, texts, lines = self.draw("one")
        for words in ("training", "validation", "floor", "steps", "loss, nats per token", "Loss of one"):
            self.assertIn(words, texts)
        self.assertEqual(len(lines), 2)
        self.assertEqual(len(lines[1].getAttribute("points").split()), 4)

    def test_runs_with_other_tokenizers_are_compared_per_byte(self):
        self.run_of("a")
        self.run_of("b", bytes_per_token=2.0)
        _, texts, lines = self.draw("a", "b/log.jsonl")
        for words in ("a", "b", "floor", "loss, nats per byte"):
            self.assertIn(words, texts)
        self.assertEqual(len(lines), 4)
        heights = [float(line.getAttribute("points").split()[0].split(",")[1]) for line in lines[2:]]
        self.assertGreater(heights[0], heights[1])  # half the bytes in a token: twice the loss per byte

    def test_floors_that_differ_are_not_drawn(self):
        self.run_of("a", floor=0.1)
        self.run_of("b", floor=0.2)
        out, texts, _ = self.draw("a", "b")
        self.assertIn("different floors", out)
        self.assertNotIn("floor", texts)

    def test_other_curves_and_time(self):
        self.run_of("a")
        for what, words in (("lr", "learning rate"), ("grad_norm", "gradient's norm before clipping")):
            _, texts, _ = self.draw("a", "--y", what, "--x", "time")
            self.assertIn(words, texts)
            self.assertIn("seconds of training", texts)
            self.assertIn("80", texts)  # 40 steps of two seconds

    def test_names_are_no_markup(self):
        self.run_of("a <b> & c")
        _, texts, _ = self.draw("a <b> & c", "--title", "<script>")
        self.assertIn("<script>", texts)

    def test_the_same_log_gives_the_same_picture(self):
        self.run_of("a")
        self.draw("a")
        first = self.read("plot.svg")
        self.draw("a")
        self.assertEqual(self.read("plot.svg"), first)

    def test_a_real_training_can_be_drawn(self):
        self.succeed("train", "--data", self.corpus, "--out", "model", "--layers", 1, "--heads", 1, "--width", 16,
                     "--hidden", 32, "--context", 16, "--batch", 2, "--steps", 12, "--eval-every", 4, "--log-every", 1,
                     "--eval-tokens", 64, "--last-eval-tokens", 64, "--threads", 1)
        _, texts, lines = self.draw("model")
        self.assertEqual(len(lines), 2)
        self.assertIn("Loss of model", texts)

    @unittest.skipUnless(shutil.which("rsvg-convert"), "rsvg-convert is not installed (apt: librsvg2-bin)")
    def test_a_png_shows_the_lines_in_their_colours(self):
        self.run_of("a")
        self.assertIn("wrote plots/plot.png", self.succeed("plot", "a", "--out", "plots/plot.png"))
        width, height, pixels = read_png(self.path("plots", "plot.png"))
        self.assertEqual((width, height), (1360, 800))
        counts = {colour: pixels.count(bytes.fromhex(colour)) for colour in ("ffffff", "0072b2", "d55e00")}
        self.assertGreater(counts["ffffff"], 0.8 * width * height)  # the page
        for line in ("0072b2", "d55e00"):
            self.assertGreater(counts[line], 50, line)

    def test_without_its_program_or_where_that_fails_no_png_is_written(self):
        self.run_of("a")
        os.mkdir(self.path("bin"))
        program = self.path("bin", "rsvg-convert")
        for lines, words in ((None, "librsvg2-bin"), ("echo out of ink >&2; exit 1", "out of ink"),
                             ("echo no picture", "no PNG"), ("kill -9 $$", "no PNG")):
            if lines:
                with open(program, "w", encoding="utf-8") as file:
                    file.write("#!/bin/sh\n" + lines + "\n")
                os.chmod(program, 0o755)
            self.refuse("plot", "a", "--out", "plot.png", naming=words,
                        environment=dict(os.environ, PATH=self.path("bin")))
        self.assertEqual(sorted(os.listdir(self.folder)), ["a", "bin"])

    def test_bad_input_leaves_no_picture(self):
        self.run_of("a")
        self.run_of("short", validations=False)
        self.write_run("empty", [{"event": "start"}])
        for words, naming in (
                (["none"], "there is no such log"), (["empty"], "no step is logged"),
                (["a", "--out", "plot.gif"], ".png"), (["a", "--y", "colour"], "--y"), (["a"] * 9, "at most 8"),
                (["a", "--points", 1], "--points"), (["short", "--unit", "byte"], "short")):
            self.refuse("plot", *words, naming=naming)
        self.assertFalse(re.findall(r"plot\.\w+", " ".join(os.listdir(self.folder))))


if __name__ == "__main__":
    unittest.main()
