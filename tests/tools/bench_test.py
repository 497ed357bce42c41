#!/usr/bin/env python3
"""The benchmark's report becomes a page with legible pictures; a step takes the memory that the ledger says.

    tests/tools/bench_test.py BUILD_FOLDER
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import geometry  # noqa: E402  (the path above must come first)

BIN = os.path.join(os.path.realpath(sys.argv[1]), "bin")
PAGE = os.path.join(ROOT, "bench", "page.py")
PYTORCH = [{"name": "aten::addmm", "median": 0.02}, {"name": "aten::native_layer_norm", "median": 0.004},
           {"name": "aten::_fused_adamw_", "median": 0.003},
           {"name": "aten::_scaled_dot_product_flash_attention_for_cpu", "median": 0.005}]


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                          timeout=100, env=dict(os.environ, OMP_NUM_THREADS="2", OMP_WAIT_POLICY="passive"))
    return done.returncode, done.stdout


class Page(unittest.TestCase):
    def report(self, folder):
        path = os.path.join(folder, "report.json")
        code, output = run(os.path.join(BIN, "tinygpt"), "bench", "--only", "step,attention", "--rounds", "1",
                           "--batch", "1", "--time", "64", "--python", "none", "--json", path)
        self.assertEqual(code, 0, output)
        with open(path, encoding="utf-8") as file:
            return path, json.load(file)

    def test_a_report_becomes_a_page(self):
        with tempfile.TemporaryDirectory() as folder:
            path, report = self.report(folder)
            steps = {row["section"]: row["figures"] for row in report["rows"] if row["unit"] == "tokens/s"}
            self.assertEqual(sorted(steps), ["training step", "training step, products of bf16"])
            for figures in steps.values():
                self.assertEqual([f["who"] for f in figures], ["tinygpt"])
                self.assertGreater(figures[0]["median"], 0)
            names = [o["name"] for o in report["step_operators"]]
            for name in ("qkv forward", "attention backward", "adamw, with clipping", "between operators"):
                self.assertIn(name, names)
            report["pytorch_step_operators"] = PYTORCH
            with open(path, "w", encoding="utf-8") as file:
                json.dump(report, file)
            code, output = run(sys.executable, PAGE, path, folder)
            self.assertEqual(code, 0, output)
            with open(os.path.join(folder, "cpu.md"), encoding="utf-8") as file:
                page = file.read()
            for words in ("## Training step, tokens/s", "## Attention", "| qkv forward | 6 |"):
                self.assertIn(words, page)
            for name in ("roofline.svg", "step-time.svg"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    svg = file.read()
                self.assertEqual(geometry.problems(svg), [], name)
            self.assertIn("32 ms", svg)  # PyTorch's, of all kinds

    def test_a_report_without_a_step_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            for text, words in (("{}", "has no step by operator"), ("no JSON", "page.py: "),
                                ('{"machine": {}, "step_operators": [{}]}', "is no report of tinygpt bench")):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                code, output = run(sys.executable, PAGE, path, folder)
                self.assertEqual(code, 1)
                self.assertIn(words, output)
                self.assertNotIn("Traceback", output)

    def test_what_cannot_be_written_costs_no_time(self):
        code, output = run(os.path.join(BIN, "tinygpt"), "bench", "--json", os.path.join("no", "such", "file"))
        self.assertEqual(code, 2)
        self.assertIn("nothing can be written to", output)
        self.assertEqual(output.count("\n"), 1, output)


class Scaling(unittest.TestCase):
    def test_memory_is_what_the_ledger_says(self):
        for shape in (("--layers", "2"), ("--width", "512", "--batch", "2"), ("--time", "1024", "--batch", "1")):
            code, output = run(os.path.join(BIN, "bench-scaling"), "--rounds", "1", *shape)
            self.assertEqual(code, 0, output)
            measured = json.loads(output)
            self.assertAlmostEqual(measured["bytes"] / measured["ledger_bytes"], 1, delta=0.05, msg=shape)

    def test_a_shape_that_is_none(self):
        code, output = run(os.path.join(BIN, "bench-scaling"), "--width", "100")
        self.assertEqual((code, output), (1, "bench-scaling: --width must be a multiple of 64\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
