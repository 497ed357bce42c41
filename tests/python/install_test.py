"""What `pip install .` installs, without pip: the component that pyproject.toml names, and the package's own files.

    python3 tests/python/install_test.py BUILD_FOLDER CMAKE
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, CMAKE = sys.argv.pop(1), sys.argv.pop(1)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = "import tinygpt; print(tinygpt.__file__); print(len(tinygpt.Tokenizer.byte()), tinygpt.Error.__name__)"


class InstallTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tinygpt-install-")
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(ROOT, "pyproject.toml"), encoding="utf-8") as file:
            self.project = file.read()

    def setting(self, name):
        return re.search(r'^%s = \["([^"]+)"\]$' % re.escape(name), self.project, re.M)[1]

    def installed(self):
        found = []
        for folder, _, names in os.walk(self.folder):
            found += [os.path.relpath(os.path.join(folder, name), self.folder) for name in names]
        return sorted(found)

    def test_the_module_is_all_that_is_installed_and_works_outside_of_the_source(self):
        subprocess.run([CMAKE, "--install", BUILD, "--component", self.setting("install.components"), "--prefix",
                        self.folder], check=True, stdout=subprocess.DEVNULL)
        compiled = self.installed()
        self.assertEqual(len(compiled), 1, compiled)
        self.assertRegex(compiled[0], r"^tinygpt/_core\..*so$")
        package = self.setting("wheel.packages")
        for name in os.listdir(os.path.join(ROOT, package)):
            if not name.startswith("__pycache__"):
                shutil.copy(os.path.join(ROOT, package, name), os.path.join(self.folder, "tinygpt"))
        self.assertEqual(set(self.installed()) - set(compiled),
                         {"tinygpt/__init__.py", "tinygpt/__init__.pyi", "tinygpt/py.typed"})
        out = subprocess.run([sys.executable, "-c", SCRIPT], cwd="/", check=True, stdout=subprocess.PIPE,
                             env=dict(os.environ, PYTHONPATH=self.folder), universal_newlines=True).stdout
        self.assertEqual(out.split(), [os.path.join(self.folder, "tinygpt", "__init__.py"), "256", "Error"])

    def test_pip_builds_the_module_alone(self):
        self.assertEqual(self.setting("build.targets"), "tinygpt_python")
        for option in ("TINYGPT_TESTS", "TINYGPT_CUDA"):
            self.assertIn('%s = "OFF"' % option, self.project)


if __name__ == "__main__":
    unittest.main()
