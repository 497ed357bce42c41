"""`./course notebook`: what it finds, builds, installs and starts."""
import os
import shutil
import sys
import tempfile
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import notebook  # noqa: E402
from course.terminal import Failure  # noqa: E402
from course.times import Times  # noqa: E402


class Notebook(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="course test ")
        self.addCleanup(shutil.rmtree, self.root)
        os.makedirs(os.path.join(self.root, "notebooks"))
        self.write("notebooks/08-multi-head.ipynb", "{}")
        self.write("notebooks/requirements.txt", "# pinned\nnumpy==1\njupyterlab==2\n")
        self.ran, self.cached = [], {}
        for name, fake in (("must_run", self.must_run), ("run_visible", self.run_visible),
                           ("say", lambda *words: None)):
            patch = mock.patch.object(notebook, name, fake)
            patch.start()
            self.addCleanup(patch.stop)
        for name, fake in (("prepare", self.prepare), ("cached_value", lambda folder, key: self.cached.get(key))):
            patch = mock.patch.object(notebook.build, name, fake)
            patch.start()
            self.addCleanup(patch.stop)
        self.broken = None

    def write(self, name, text):
        with open(os.path.join(self.root, name), "w", encoding="utf-8") as file:
            file.write(text)

    def prepare(self, plan, targets, _times):
        self.ran.append("build " + " ".join(targets))
        if self.broken == "build":
            raise Failure("no such target")

    def must_run(self, title, command, _log, _root):
        self.ran.append(title)
        if self.broken in command:
            raise Failure(title + " failed.")
        if "venv" in command:
            os.makedirs(os.path.join(command[-1], "bin"), exist_ok=True)
            open(notebook.python_of(command[-1]), "w").close()
        return 0.0

    def run_visible(self, command, cwd, env=None):
        self.ran.append((command, cwd, env["PYTHONPATH"]))
        return 0, False

    def open(self, number="08"):
        self.ran = []
        return notebook.notebook(self.root, number, False, Times())

    def test_it_builds_installs_and_opens(self):
        self.assertEqual(self.open(), 0)
        *before, (command, cwd, path) = self.ran
        self.assertEqual(before, ["build tinygpt_python", "Making .venv", "Installing into .venv"])
        self.assertEqual(command[1:4],
                         ["-m", "jupyterlab", os.path.join(self.root, "notebooks", "08-multi-head.ipynb")])
        self.assertIn("--ServerApp.answer_yes=True", command)  # one Ctrl-C ends it
        self.assertEqual(cwd, self.root)
        self.assertRegex(path.split(os.pathsep)[0], r"build/default(-ci)?/python$")

    def test_what_is_installed_is_not_installed_again_until_a_pin_changes(self):
        self.open()
        self.open()
        self.assertEqual(len(self.ran), 2)
        self.write("notebooks/requirements.txt", "numpy==2\n")
        self.open()
        self.assertEqual(len(self.ran), 4)

    def test_an_installation_that_broke_off_is_made_again(self):
        self.broken = "pip"
        self.assertRaisesRegex(Failure, "python3-venv", self.open)
        self.broken = None
        shutil.rmtree(os.path.join(self.root, ".venv"))
        self.assertEqual(self.open(), 0)
        self.assertIn("Installing into .venv", self.ran)

    def test_a_number_with_or_without_a_zero_or_a_name(self):
        for name in ("8", "08", "multi-head", "08-multi-head"):
            self.assertEqual(self.open(name), 0)
        self.assertRaisesRegex(Failure, "There are: 08-multi-head", self.open, "77")

    def test_missing_headers_are_said(self):
        self.broken = "build"
        self.cached = {"TINYGPT_PYTHON_MODULE_ON": "OFF"}
        self.assertRaisesRegex(Failure, "pybind11", self.open)
        self.cached = {"TINYGPT_PYTHON_MODULE_ON": "ON"}
        self.assertRaisesRegex(Failure, "no such target", self.open)


if __name__ == "__main__":
    unittest.main()
