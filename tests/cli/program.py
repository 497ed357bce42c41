"""What the tests of the command share: running it, killing it, and a corpus to train on."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None


def write_text(path, size=20000, seed=1):
    """Words in an order that has something to learn."""
    source = random.Random(seed)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "ran"]
    text = []
    at = 0
    while sum(map(len, text)) + len(text) < size:
        at = (at + 1) % len(words) if source.random() < 0.8 else source.randrange(len(words))
        text.append(words[at])
    with open(path, "w", encoding="utf-8") as file:
        file.write(" ".join(text))


class ProgramTest(unittest.TestCase):
    """Each test has a folder of its own; `corpus` is prepared once for a class."""

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="tinygpt-cli-")
        cls.corpus = os.path.join(cls.shared, "corpus")
        text = os.path.join(cls.shared, "text.txt")
        write_text(text)
        subprocess.run([PROGRAM, "data", text, "--out", cls.corpus, "--tokenizer", "byte"],
                       check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tinygpt-cli-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def start(self, *words, **options):
        # Threads that spin while they wait would make a busy machine crawl.
        environment = dict(options.pop("environment", os.environ), OMP_WAIT_POLICY="passive")
        return subprocess.Popen([PROGRAM] + [str(word) for word in words], cwd=self.folder,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                stdin=options.pop("stdin", subprocess.DEVNULL),
                                env=environment, **options)

    def finish(self, process, timeout=60):
        """What it still writes, as text in which every byte can be told: Python's own would hide \\r."""
        out, err = process.communicate(timeout=timeout)
        return os.fsdecode(out), os.fsdecode(err)

    def run_program(self, *words, **options):
        process = self.start(*words, **options)
        process.out, process.err = self.finish(process)
        return process

    def succeed(self, *words, **options):
        process = self.run_program(*words, **options)
        self.assertEqual(process.returncode, 0, process.err)
        return process.out

    def refuse(self, *words, naming, begun=False, **options):
        """Exit code 2, one line on standard error that names what is wrong, and, unless it had begun, nothing else."""
        process = self.run_program(*words, **options)
        self.assertEqual(process.returncode, 2, (words, process.out, process.err))
        if not begun:
            self.assertEqual(process.out, "", words)
        self.assertEqual(process.err.count("\n"), 1, (words, process.err))
        self.assertTrue(process.err.startswith("tinygpt: "), process.err)
        self.assertIn(naming, process.err, words)
        return process.err

    def assert_plain(self, text):
        """No control characters, which a terminal would obey, other than line feeds and tabs."""
        controls = [c for c in text if unicodedata.category(c) == "Cc" and c not in "\n\t"]
        self.assertEqual(controls, [], text)

    def read(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def lines(self, *names):
        return [json.loads(line) for line in self.read(*names).splitlines()]


def newest(folder):
    """The step of the newest checkpoint, or 0."""
    try:
        names = os.listdir(os.path.join(folder, "checkpoints"))
    except FileNotFoundError:
        return 0
    return max([int(name[5:]) for name in names if name.startswith("step-")], default=0)
