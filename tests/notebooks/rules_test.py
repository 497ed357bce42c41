"""`tools/notebooks rules` finds each thing that it forbids."""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAME = "07-self-attention"


class RulesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="notebooks ")
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("tools/course", "lessons/" + NAME):
            shutil.copytree(os.path.join(ROOT, name), self.path(name), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(os.path.join(ROOT, "tools", "notebooks"), self.path("tools"))
        os.mkdir(self.path("notebooks"))
        with open(os.path.join(ROOT, "notebooks", NAME + ".ipynb"), encoding="utf-8") as file:
            self.good = json.load(file)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def rules(self, book, name=NAME):
        with open(self.path("notebooks", name + ".ipynb"), "w", encoding="utf-8") as file:
            json.dump(book, file)
        done = subprocess.run([sys.executable, self.path("tools", "notebooks"), "rules"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)
        return done.returncode, done.stdout

    def refuse(self, change, words):
        book = copy.deepcopy(self.good)
        change(book)
        code, text = self.rules(book)
        self.assertEqual(code, 1, text)
        self.assertIn(words, text)

    def code_cell(self, book):
        return next(cell for cell in book["cells"] if cell["cell_type"] == "code")

    def test_a_notebook_as_it_should_be_passes(self):
        self.assertEqual(self.rules(self.good), (0, ""))

    def test_what_was_run_is_not_committed(self):
        self.refuse(lambda b: self.code_cell(b)["outputs"].append({"output_type": "stream", "text": "x"}), "output")
        self.refuse(lambda b: self.code_cell(b).update(execution_count=3), "number")
        self.refuse(lambda b: b["cells"][0].update(attachments={"a.png": {}}), "attached")
        self.refuse(lambda b: self.code_cell(b).update(metadata={"scrolled": True}), "metadata")
        self.refuse(lambda b: b["metadata"].update(widgets={}), "metadata")

    def test_huge_files_are_refused(self):
        self.refuse(lambda b: self.code_cell(b)["source"].extend(["# more\n"] * 9000), "bytes")

    def test_what_is_gone_is_named(self):
        self.refuse(lambda b: b["cells"][0]["source"].append("[gone](../lessons/99-gone/README.md)"), "leads nowhere")
        code, text = self.rules(self.good, "98-none")
        self.assertEqual(code, 1)
        self.assertIn("no lesson of that name", text)

    def test_a_question_and_your_turn(self):
        self.refuse(lambda b: b["cells"][0].update(source=["# 07 nothing asked"]), "question")
        self.refuse(lambda b: b["cells"].pop(), "assertion")

    def test_other_files_do_not_belong_here(self):
        self.rules(self.good)
        with open(self.path("notebooks", "page.html"), "w"):
            pass
        code, text = self.rules(self.good)
        self.assertEqual(code, 1)
        self.assertIn("page.html", text)


if __name__ == "__main__":
    unittest.main()
