"""TINYGPT_CPU as a user meets it: `info` says which kernels the processor runs, and what cannot run is refused."""
import json
import os
import re
import unittest

from program import ProgramTest


def asking(level):
    return dict(os.environ, TINYGPT_CPU=level)


class LevelsTest(ProgramTest):
    def kernels(self, **options):
        return json.loads(self.succeed("info", "--config", "demo", "--json", **options))["processor_kernels"]

    def test_info_says_which_kernels_the_processor_runs(self):
        said = self.kernels()
        usable = [level["name"] for level in said["levels"] if not level["missing"]]
        self.assertEqual(said["chosen"], usable[-1])
        for words in (["info"], ["info", "--config", "demo"]):
            self.assertRegex(self.succeed(*words), r"Kernels on the processor: %s\b" % re.escape(usable[-1]))
        for level in said["levels"]:
            if level["missing"]:
                self.refuse("info", "--config", "demo", naming="this processor has no " + level["missing"],
                            environment=asking(level["name"]))
            else:
                self.assertEqual(self.kernels(environment=asking(level["name"]))["chosen"], level["name"])

    def test_a_level_that_the_program_does_not_have_is_refused(self):
        usable = self.kernels()["chosen"]
        for words in (["info", "--config", "demo"], ["generate", "--model", "nowhere"],
                      ["train", "--data", self.corpus, "--out", "model"]):
            error = self.refuse(*words, naming="TINYGPT_CPU=mmx", environment=asking("mmx"))
            self.assertIn(usable, error)
        self.assertFalse(os.path.exists(self.path("model")))


if __name__ == "__main__":
    unittest.main()
