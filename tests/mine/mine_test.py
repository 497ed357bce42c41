#!/usr/bin/env python3
"""train_mine learns, with the reference's losses, and holds no kernel but the learner's."""
import re
import shutil
import subprocess
import sys
import unittest

MINE, REF = sys.argv[1:3]


def output(program):
    return subprocess.run([program], stdout=subprocess.PIPE, universal_newlines=True, check=True, timeout=120).stdout


class TrainMine(unittest.TestCase):
    def test_learns_to_the_same_losses(self):
        mine, ref = output(MINE), output(REF)
        self.assertEqual(mine, ref)
        for family in ("gpt2", "llama"):
            losses = [float(loss) for loss in re.findall(family + r" step \d+ loss (\S+)", mine)]
            self.assertEqual(len(losses), 5)
            self.assertAlmostEqual(losses[0], 2.77, delta=0.1)  # ln 16: it knows nothing
            self.assertLess(losses[-1], 0.7)

    @unittest.skipUnless(shutil.which("nm"), "nm is not installed")
    def test_holds_no_other_kernels(self):
        names = subprocess.run(["nm", "-C", MINE], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
        self.assertIn("tinygpt::mine::linear_forward", names)
        self.assertIsNone(re.search(r"tinygpt::(cpu|ref|ref_cuda)::", names))


unittest.main(argv=sys.argv[:1])
