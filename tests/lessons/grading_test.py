#!/usr/bin/env python3
"""How exercises are graded: a file that does not compile, and graders for a GPU.

    tests/lessons/grading_test.py BUILD_FOLDER
"""
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import build, grading, stubs  # noqa: E402  (the path above must come first)

PLAN = build.Plan(ROOT, "default", os.path.realpath(sys.argv[1]), False, False)


class Grading(unittest.TestCase):
    def setUp(self):
        self.tools = grading.Toolbox(PLAN)

    def broken(self, exercise, old, new):
        """The exercise as it is given, with something in it that no compiler takes."""
        text = stubs.pristine(ROOT, "exercises/" + exercise)
        self.assertIn(old, text)
        path = os.path.join(grading.course_folder(PLAN), "broken", exercise)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        return path

    def grade_broken(self, exercise, task, old, new):
        path = self.broken(exercise, old, new)
        outcome = grading.grade(PLAN, self.tools, exercise, [task], path, quiet=True, name="broken")
        self.assertEqual(outcome.verdicts, {})
        return outcome.compile_errors

    def test_shows_the_learners_own_errors_first_and_few(self):
        # A type error inside a standard algorithm: the compiler answers with a page of its own headers.
        errors = self.grade_broken("04-bigram/softmax.cpp", "04.softmax_forward",
                                   'throw NotImplemented("04.softmax_forward");', "int n = out; std::max(x, 1.0);")
        self.assertIn("softmax.cpp", errors)
        self.assertIn("invalid conversion", errors)
        for line in errors.splitlines():
            self.assertFalse(line.startswith("/usr"), errors)
        self.assertLessEqual(len(errors.splitlines()), 18)

    def test_a_missing_brace_is_an_error_and_no_crash(self):
        errors = self.grade_broken("04-bigram/softmax.cu", "04.softmax_forward_cuda", "const int n = blockIdx.x;",
                                   "const int n = blockIdx.x")
        self.assertIn("softmax.cu", errors)

    def test_a_function_that_was_renamed_is_named(self):
        errors = self.grade_broken("04-bigram/bigram.cpp", "04.bigram_fit", "void bigram_fit(", "void bigram_fits(")
        self.assertIn("bigram_fit", errors)
        self.assertIn("does not define them", errors)

    def test_one_broken_file_leaves_the_others_alone(self):
        self.assertTrue(self.grade_broken("04-bigram/softmax.cpp", "04.softmax_forward", "#include <cmath>", "}"))
        outcome = grading.grade_solution(PLAN, self.tools, "04-bigram/bigram.cpp", ["04.bigram_fit"], name="unbroken")
        self.assertEqual(outcome.verdicts["04.bigram_fit"]["verdict"], "passed")

    def test_a_grader_for_a_gpu_runs_there_or_says_that_there_is_none(self):
        exercise, task = "00-first-steps/first_steps.cu", "00.scale_cuda"
        if build.cached_value(PLAN.folder, "CMAKE_CUDA_COMPILER") is None:
            self.skipTest("no CUDA toolkit")
        library = os.path.basename(self.tools.libraries["gpu:" + exercise][0])
        with build.alone(ROOT):
            build.compile_targets(PLAN, [library[len("lib"):-len(".a")]])
        outcome = grading.grade(PLAN, self.tools, exercise, [task], "solutions/" + exercise,
                                grading.renames(exercise, "solutions", "gpu"), False, True, "gpu", "solutions", "gpu")
        self.assertEqual(outcome.compile_errors, "")
        verdict = outcome.verdicts[task]
        if grading.gpu_is_there(PLAN):
            self.assertEqual(verdict["verdict"], "passed", verdict)
        else:
            self.assertNotEqual(verdict["verdict"], "passed")
            self.assertIn("CUDA", verdict["problem"])


unittest.main(argv=sys.argv[:1])
