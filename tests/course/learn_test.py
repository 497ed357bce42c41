#!/usr/bin/env python3
"""list, hint, solution, diff, reset and the file of progress, on a copy of the course that compiles nothing."""
import json
import os
import shutil
import sys
import unittest

from sandbox import ROOT, Sandbox

sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import mine_table, stubs  # noqa: E402  (the path above must come first)

LESSONS = ("00-first-steps", "04-bigram")


class Learn(Sandbox):
    def setUp(self):
        super().setUp()
        for tree in ("lessons", "solutions", "exercises"):
            for lesson in LESSONS:
                shutil.copytree(os.path.join(ROOT, tree, lesson), os.path.join(self.clone, tree, lesson))
        for name in ("kernel.cuh", "table.cpp"):
            shutil.copy(os.path.join(ROOT, "solutions", name), os.path.join(self.clone, "solutions"))
        for lesson in LESSONS:  # as the course gives them, whatever the learner has made of them
            folder = os.path.join(self.clone, "exercises", lesson)
            for name in os.listdir(folder):
                path = "exercises/%s/%s" % (lesson, name)
                with open(os.path.join(self.clone, path), "w", encoding="utf-8") as file:
                    file.write(stubs.pristine(self.clone, path))

    def progress_path(self):
        return os.path.join(self.clone, ".course", "progress.json")

    def write_progress(self, text):
        os.makedirs(os.path.dirname(self.progress_path()), exist_ok=True)
        with open(self.progress_path(), "w", encoding="utf-8") as file:
            file.write(text)

    def progress(self):
        with open(self.progress_path(), encoding="utf-8") as file:
            return json.load(file)

    def exercise(self, lesson, name):
        return os.path.join(self.clone, "exercises", lesson, name)

    def edit(self, lesson, name, old, new):
        path = self.exercise(lesson, name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    def read(self, lesson, name):
        with open(self.exercise(lesson, name), encoding="utf-8") as file:
            return file.read()

    def test_alone_says_where_you_are_and_what_is_next(self):
        done = self.course()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("0 of the 8 tasks", done.stdout)
        self.assertIn("write   scale in exercises/00-first-steps/first_steps.cpp", done.stdout)
        self.assertIn("./course check 00.2", done.stdout)
        done = {"00.scale": {"passed": "2026-01-01"}, "00.scale_cuda": {"passed": "2026-01-02"}}
        self.write_progress(json.dumps({"tasks": done}))
        self.assertIn("./course check 04.1", self.course().stdout)

    def test_list_shows_what_has_passed(self):
        self.write_progress(json.dumps({"tasks": {"00.scale": {"passed": "2026-01-01"}}}))
        lines = self.course("list").stdout.splitlines()
        self.assertTrue(any(line.split()[:2] == ["passed", "00.2"] for line in lines))
        self.assertTrue(any(line.split()[:2] == ["given", "00.1"] for line in lines))
        self.assertEqual(self.course("list", "99").returncode, 2)

    def test_tasks_answer_to_several_names(self):
        for name in ("04.1", "04.softmax_forward", "bigram.softmax_forward", "04.bigram_fit", "bigram_fit"):
            self.assertEqual(self.course("hint", name).returncode, 0, name)
        wrong = self.course("hint", "04.nothing")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("04.softmax_forward", wrong.stderr)
        several = self.course("hint", "04")
        self.assertIn("several tasks", several.stderr)

    def test_hints_come_one_by_one(self):
        counts = [self.course("hint", "00.2").stdout.count("\n  ") for _ in range(4)]
        self.assertEqual(counts, [1, 2, 3, 3])

    def test_solution_asks_first(self):
        refused = self.course("solution", "00.2")
        self.assertEqual(refused.returncode, 2)
        self.assertNotIn("y[i] = a * x[i]", refused.stdout)
        self.assertIn("y[i] = a * x[i]", self.course("solution", "00.2", "--yes").stdout)
        self.write_progress(json.dumps({"tasks": {"00.scale": {"passed": "2026-01-01"}}}))
        self.assertIn("y[i] = a * x[i]", self.course("solution", "00.2").stdout)

    def test_diff_shows_yours_beside_ours(self):
        done = self.course("diff", "00.2", "--yes")
        self.assertIn('-  throw NotImplemented("00.scale");', done.stdout)
        self.assertIn("+  for (std::int64_t i = 0; i < n; ++i) y[i] = a * x[i];", done.stdout)

    def test_reset_gives_back_one_task_and_keeps_a_copy(self):
        self.edit("04-bigram", "softmax.cpp", 'throw NotImplemented("04.softmax_forward");', "// mine")
        self.edit("04-bigram", "softmax.cpp", 'throw NotImplemented("04.cross_entropy_forward");', "// also mine")
        self.assertEqual(self.course("reset", "04.1").returncode, 2)  # no terminal to ask on
        self.assertIn("// mine", self.read("04-bigram", "softmax.cpp"))
        done = self.course("reset", "04.1", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        text = self.read("04-bigram", "softmax.cpp")
        self.assertIn('throw NotImplemented("04.softmax_forward");', text)
        self.assertIn("// also mine", text)
        backup = os.listdir(os.path.join(self.clone, ".course", "backup"))
        self.assertEqual(len(backup), 1)
        with open(os.path.join(self.clone, ".course", "backup", backup[0]), encoding="utf-8") as file:
            self.assertIn("// mine", file.read())

    def test_reset_brings_back_a_file_that_is_gone_or_without_marks(self):
        os.remove(self.exercise("04-bigram", "bigram.cpp"))
        self.assertEqual(self.course("reset", "04.bigram_fit").returncode, 0)
        self.assertIn("04.bigram_fit", self.read("04-bigram", "bigram.cpp"))
        self.edit("04-bigram", "bigram.cpp", "// your code: 04.bigram_fit", "")
        done = self.course("reset", "04.bigram_fit", "--yes")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--file", done.stderr)
        self.assertEqual(self.course("reset", "04.bigram_fit", "--file", "--yes").returncode, 0)
        self.assertIn("// your code: 04.bigram_fit", self.read("04-bigram", "bigram.cpp"))

    def test_unknown_ids_are_kept(self):
        self.write_progress(json.dumps({"tasks": {"77.later": {"passed": "2030-01-01"}}, "more": 1}))
        self.course("hint", "00.2")
        value = self.progress()
        self.assertEqual(value["tasks"]["77.later"], {"passed": "2030-01-01"})
        self.assertEqual(value["more"], 1)
        self.assertEqual(value["tasks"]["00.scale"]["hints"], 1)

    def test_a_broken_file_is_set_aside_and_said_so(self):
        for text in ("{\"tasks\": ", "[]", "{\"tasks\": {\"00.scale\": 5}}", "\x00\x01"):
            self.write_progress(text)
            done = self.course()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("cannot be read", done.stdout)
            kept = [name for name in os.listdir(os.path.join(self.clone, ".course")) if "broken" in name]
            self.assertEqual(len(kept), 1, text)
            os.remove(os.path.join(self.clone, ".course", kept[0]))

    def test_parity_links_the_machine_only_where_all_of_it_is_right(self):
        self.assertIn("parity", self.course("help").stdout)
        self.assertEqual(self.course("parity", "--help").returncode, 0)
        entries = {"gelu_forward": ["gelu_forward"]}
        for functions, wanted in ((["gelu_forward"], "my_machine() { return {}; }"),
                                  (["gpt_forward", "block_forward"], "my_machine() { return {}; }"),
                                  (list(mine_table.MACHINE), "return {mine::gpt_forward, mine::gpt_backward};")):
            text = "\n".join(mine_table.cpu_table(mine_table.Kernels(functions, [], []), entries))
            self.assertIn(wanted, text)
            self.assertEqual("ops.gelu_forward = mine::gelu_forward;" in text, "gelu_forward" in functions)
            self.assertNotIn("ops.gpt_forward", text)

    def test_an_unknown_command_names_a_near_one(self):
        done = self.course("chek")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean check?", done.stderr)

    def test_a_broken_lesson_file_says_what_to_do(self):
        with open(os.path.join(self.clone, "lessons", "00-first-steps", "lesson.json"), "w", encoding="utf-8") as file:
            file.write("{")
        done = self.course("list")
        self.assertEqual(done.returncode, 2)
        self.assertIn("git checkout", done.stderr)


if __name__ == "__main__":
    unittest.main()
