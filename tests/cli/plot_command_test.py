"""`tinygpt plot`: curves of trainings as SVG."""
import json
import os
import re
import unittest
import xml.dom.minidom

from program import ProgramTest


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

    def test_bad_input_leaves_no_picture(self):
        self.run_of("a")
        self.run_of("short", validations=False)
        self.write_run("empty", [{"event": "start"}])
        for words, naming in (
                (["none"], "there is no such log"), (["empty"], "no step is logged"),
                (["a", "--out", "plot.png"], "SVG"), (["a", "--y", "colour"], "--y"), (["a"] * 9, "at most 8"),
                (["a", "--points", 1], "--points"), (["short", "--unit", "byte"], "short")):
            self.refuse("plot", *words, naming=naming)
        self.assertFalse(re.findall(r"plot\.\w+", " ".join(os.listdir(self.folder))))


if __name__ == "__main__":
    unittest.main()
