#!/usr/bin/env python3
"""The solutions agree with PyTorch's numbers; a planted mistake is found, and the tensor and the kernel are named."""
import subprocess
import sys
import unittest

SOLUTIONS, PLANTED = sys.argv[1:3]


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


unittest.main(argv=sys.argv[:1])
