#!/usr/bin/env python3
"""Every command that a text shows exists, with every option that it is given; quick ones are run.

    tests/tools/commands_test.py BUILD_FOLDER
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import commands as course, notebook  # noqa: E402  (the path above must come first)

BIN = os.path.join(os.path.realpath(sys.argv[1]), "bin")
TEXTS = ["README.md", "CONTRIBUTING.md", "bench/README.md", "datasets/README.md", "lessons/README.md",
        "notebooks/README.md"]
PROGRAM = r"(?:\./course|lesson-\d\d|(?:build/default/bin/)?tinygpt|(?:tools|bench)/[\w.-]+)"
# They only look, and take under a second. Texts show them with words in capitals where a reader puts his own.
QUICK = [r"\./course", r"\./course (list|doctor|help)", r"tinygpt info --config [\w-]+", r"\./course demo 00 .*"]

# Experiments that take more than ten seconds on two cores, or need a model that `./course demo` makes; and one whose
# words are what a model writes, which rounding may change.
LONG = ["lesson-08 look --shades no", "lesson-09 length", "lesson-09 wrong", "lesson-13 ablate", "lesson-14 train",
        "lesson-14 settings", "lesson-14 parameters", "lesson-14 tokens", "lesson-14 overfit", "lesson-19 write"]


def commands_of(text):
    """Lines of sh blocks without their remarks, and what stands between backticks."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.split("\n"):
            yield re.split(r"\s+#", line)[0].strip()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())


def all_commands():
    """{command: the first text that shows it}"""
    found = {}
    for path in TEXTS + sorted(glob.glob("lessons/*/README.md", root_dir=ROOT)):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            for command in commands_of(file.read()):
                if re.fullmatch(PROGRAM + r"( .*)?", command):
                    found.setdefault(command, path)
    return found


def words_of(text):
    """What stands outside of charts, and of the quotes in which a trained model's tokens stand: nine colours are about
    as likely, and the last digits of a training decide which come first."""
    lines = [re.sub(r"'[^']*'", "", line) for line in text.split("\n") if "|" not in line]
    return set(re.findall(r"[A-Za-z]{3,}", "\n".join(lines)))


def output(words, folder=ROOT):
    done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=120,
                          env=dict(os.environ, NO_COLOR="1", COLUMNS="100", OMP_WAIT_POLICY="passive"))
    return done.returncode, done.stdout


class Commands(unittest.TestCase):
    def test_every_command_exists_with_its_options(self):
        commands = all_commands()
        self.assertGreater(len(commands), 30)
        for command, path in commands.items():
            with self.subTest(command=command, text=path):
                self.check(shlex.split(command))

    def test_every_lesson_with_a_notebook_names_it(self):
        for path in sorted(glob.glob("notebooks/*.ipynb", root_dir=ROOT)):
            lesson = os.path.basename(path)[:-len(".ipynb")]
            with self.subTest(lesson=lesson), open(os.path.join(ROOT, "lessons", lesson, "README.md"),
                                                   encoding="utf-8") as file:
                self.assertIn("./course notebook " + lesson[:2], list(commands_of(file.read())))

    def check(self, words):
        program, rest = words[0], words[1:]
        if program == "./course":
            if rest[:1] and rest[0] not in course.RUNNERS and rest[0] != "help":
                self.fail("there is no ./course %s" % rest[0])
            if rest[:1] == ["notebook"] and rest[1:] and not rest[1].isupper():
                notebook.find(ROOT, rest[1])  # looked up, not run: it would start a server
            return
        if "/" in program and not program.endswith("tinygpt"):
            self.assertTrue(os.path.exists(os.path.join(ROOT, program)), "no such tool")
            return
        path = os.path.join(BIN, os.path.basename(program))
        self.assertTrue(os.path.exists(path), "no such program")
        if not rest or rest[0].isupper():
            return
        code, text = output([path, rest[0], "--help"])
        self.assertEqual(code, 0, text)
        for word in rest[1:]:
            if word.startswith("--"):
                self.assertRegex(text, r"(?<![\w-])%s(?![\w-])" % re.escape(word.split("=")[0]), "no such option")

    def test_quick_ones_run(self):
        ran = 0
        for command, path in all_commands().items():
            short = command.replace("build/default/bin/", "")
            if any(re.fullmatch(pattern, short) for pattern in QUICK):
                words = shlex.split(short)
                if words[0] != "./course":
                    words[0] = os.path.join(BIN, words[0])
                elif words[1:2] == ["demo"]:
                    words = [os.path.join(BIN, "lesson-" + words[2])] + words[3:]
                with self.subTest(command=command, text=path):
                    code, text = output(words)
                    self.assertEqual(code, 0, text)
                    self.assertTrue(text.strip())
                    ran += 1
        self.assertGreater(ran, 2)

    def test_experiments_that_end_soon_run_and_say_what_the_text_quotes(self):
        """Their numbers and quoted tokens may differ, by the machine or by the clock; the words may not."""
        ran = 0
        with tempfile.TemporaryDirectory(prefix="lessons out ") as folder:
            for path in sorted(glob.glob("lessons/*/README.md", root_dir=ROOT)):
                with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                    blocks = re.findall(r"^<!-- measured: (.*?) -->\n```text\n(.*?)^```", file.read(), re.M | re.S)
                for command, quoted in blocks:
                    if command not in LONG:
                        with self.subTest(command=command, text=path):
                            words = command.split()
                            code, text = output([os.path.join(BIN, words[0])] + words[1:], folder)
                            self.assertEqual(code, 0, text)
                            self.assertEqual(words_of(text), words_of(quoted))
                            ran += 1
        self.assertGreater(ran, 10)


unittest.main(argv=sys.argv[:1])
