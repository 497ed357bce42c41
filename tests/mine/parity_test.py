#!/usr/bin/env python3
"""The solutions agree with PyTorch's numbers; a planted mistake is found, and the tensor and the kernel are named.

    tests/mine/parity_test.py SOLUTIONS PLANTED [BUILD_FOLDER]

With a build folder, `./course parity` itself, with the solutions in the learner's place.
"""
import contextlib
import io
import os
import subprocess
import sys
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import lessons, mine  # noqa: E402  (the path above must come first)
from course.times import Times  # noqa: E402

SOLUTIONS, PLANTED = sys.argv[1:3]
FOLDER = sys.argv[3] if len(sys.argv) > 3 else ""


def run(program):
    return subprocess.run([program], stdout=subprocess.PIPE, universal_newlines=True, timeout=120)


class Parity(unittest.TestCase):
    def test_solutions_agree(self):
        done = run(SOLUTIONS)
        self.assertEqual(done.returncode, 0, done.stdout)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 3, done.stdout)
        self.assertTrue(all(line.endswith("are PyTorch's") for line in lines), done.stdout)
        self.assertIn("your own machine", lines[2])

    def test_a_wrong_kernel_is_named(self):
        done = run(PLANTED)
        self.assertEqual(done.returncode, 1, done.stdout)
        gpt2, llama, machine = done.stdout.split("\na llama ")[0], "a llama ", done.stdout.split("your own machine")[1]
        self.assertIn("the gradient of h.1.mlp.up.bias: at [0, ", gpt2)
        self.assertIn("look at your gelu_backward.", gpt2)
        self.assertIn(llama + "run by your kernels: logits, loss, every gradient and 10 steps", done.stdout)
        self.assertIn("h.1.mlp.up.bias", machine)

    def test_a_wrong_machine_is_no_kernel(self):
        machine = run(PLANTED).stdout.split("your own machine")[1]
        self.assertIn("With the reference's kernels it differs, too", machine)

    @unittest.skipUnless(FOLDER, "this build has no graders")
    def test_the_command_says_whose_kernels_agree(self):
        few = [lesson for lesson in lessons.load(ROOT) if lesson.number in (5, 11)]
        with contextlib.redirect_stdout(io.StringIO()) as said, mock.patch("course.lessons.load", return_value=few):
            code = mine.parity(ROOT, False, Times(), "solutions")
        self.assertEqual(code, 0, said.getvalue())
        self.assertIn("gelu_backward, gelu_forward, linear_backward", said.getvalue())
        self.assertIn("The machine of lesson 11 is yours, too.", said.getvalue())
        done = run(os.path.join(FOLDER, "bin", mine.PARITY))
        self.assertIn("your own machine", done.stdout)


unittest.main(argv=sys.argv[:1])
