"""tools/check-style finds what it is there to find."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Rules(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        os.makedirs(os.path.join(self.folder, "tools"))
        shutil.copy(os.path.join(ROOT, "tools", "check-style"), os.path.join(self.folder, "tools"))
        for name in ("core/a.h", "cli/b.h", "train/c.h", "infer/d.h"):
            self.file("tinygpt/" + name, "#pragma once\n")

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def problems(self, name, text):
        self.file(name, text)
        done = subprocess.run([sys.executable, os.path.join(self.folder, "tools", "check-style"), "rules"],
                              stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(done.returncode != 0, name in done.stdout)
        return done.stdout

    def test_includes_may_point_down(self):
        self.assertIn("0 problems", self.problems("tinygpt/cli/x.cpp", '#include "tinygpt/core/a.h"\n'))

    def test_includes_must_not_point_up_or_sideways_or_nowhere(self):
        self.assertIn("upwards", self.problems("tinygpt/core/x.cpp", '#include "tinygpt/cli/b.h"\n'))
        self.assertIn("sideways", self.problems("tinygpt/train/x.cpp", '#include "tinygpt/infer/d.h"\n'))
        self.assertIn("is not there", self.problems("tinygpt/train/x.cpp", '#include "c.h"\n'))

    def test_each_other_rule_is_enforced(self):
        for what, text in (("401 lines", "//\n" * 401), ("a tab", "\tint x;\n"), ("spaces at the end", "int x; \n"),
                           ("no end", "int x;"), ("columns", "// " + "x" * 130 + "\n"),
                           ("without an issue", "// TO" + "DO: later\n"), ("std", "using namespace std;\n"),
                           ("catch.h", "#include <catch2/catch.hpp>\n")):
            self.assertIn(what, self.problems("tests/x.cpp", text))
        self.assertIn("#pragma once", self.problems("tests/y.h", "int x;\n"))


if __name__ == "__main__":
    unittest.main()
