#!/usr/bin/env python3
"""`./course train --mine` with the solutions in the learner's place: it trains to the losses that the reference's
kernels train to, on the processor and emulated, and says which kernels are whose.

    tests/mine/train_mine_test.py BUILD_FOLDER
"""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import grading, lessons, mine  # noqa: E402  (the path above must come first)
from course.terminal import Failure  # noqa: E402
from course.times import Times  # noqa: E402

FOLDER = sys.argv[1]
# Two are enough to see: that all solutions are right is proven lesson by lesson, and train_mine trains with them all.
FEW = [lesson for lesson in lessons.load(ROOT) if lesson.number in (3, 4)]
TINY = ["--config", "nano-cpu", "--layers", "1", "--heads", "2", "--width", "16", "--hidden", "32", "--context", "16",
        "--batch", "2", "--steps", "6", "--eval-every", "3", "--eval-tokens", "64", "--last-eval-tokens", "64",
        "--threads", "1", "--overwrite"]


def losses(model):
    with open(os.path.join(model, "log.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [line["loss"] for line in lines if "loss" in line]


class TrainMine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="train mine ")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.tinygpt("data", "tinytales", "--stories", "60", "--tokenizer", "char", "--out", cls.path("data"))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    @staticmethod
    def tinygpt(*words):
        subprocess.run([os.path.join(FOLDER, "bin", "tinygpt")] + list(words), check=True, stdout=subprocess.DEVNULL,
                       timeout=120)

    def train(self, device, reference):
        words = ["--data", self.path("data")] + TINY
        with contextlib.redirect_stdout(io.StringIO()) as said, mock.patch("course.lessons.load", return_value=FEW):
            code = mine.train(ROOT, ["--device", device, "--out", self.path("mine")] + words, False, Times(),
                              "solutions")
        self.assertEqual(code, 0, said.getvalue())
        self.tinygpt("train", "--device", device, "--kernels", reference, "--out", self.path("ref"), *words)
        self.assertGreater(len(losses(self.path("ref"))), 0)
        self.assertEqual(losses(self.path("mine")), losses(self.path("ref")))
        return said.getvalue()

    def test_trains_on_the_processor(self):
        said = self.train("cpu", "ref")
        self.assertRegex(said, r"\d+ of the \d+ kernels that train a GPT are yours:")
        self.assertIn("linear_forward", said)

    def test_trains_with_cuda_kernels(self):
        said = self.train("emulated", "ref_cuda")
        self.assertRegex(said, r"\d+ of the \d+ CUDA kernels that train a GPT are yours:")
        self.assertIn("softmax_forward", said)

    def test_names_the_devices(self):
        plan, _ = grading.prepare(ROOT, False, Times())
        with self.assertRaisesRegex(Failure, "no 'tpu'; there are: auto, cpu, emulated, cuda"):
            mine.take_device(plan, ["--device", "tpu"])
        place, rest = mine.take_device(plan, ["--device=emulated", "--steps", "3"])
        self.assertEqual((place.device, rest), ("emulated", ["--steps", "3"]))

    def test_compiles_for_a_gpu(self):
        plan, tools = grading.prepare(ROOT, False, Times())
        if mine.build.cached_value(plan.folder, "CMAKE_CUDA_COMPILER") is None:
            self.skipTest("no CUDA toolkit")
        obj, errors = mine.compile_kernels(plan, tools, mine.PLACES["cuda"], "02-embedding/embedding.cu", "solutions")
        self.assertEqual(errors, "")
        self.assertTrue(os.path.exists(obj))


unittest.main(argv=sys.argv[:1])
