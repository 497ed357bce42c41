"""What tools/refresh-lessons quotes, counts and finds wrong."""
import os
import shutil
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import lessons, overview, sessions, texts  # noqa: E402  (the path above must come first)

SOURCE = """#include <vector>

// What it does.
template <typename Real>
void twice(Real* y,
           int n) {
  // your code: 00.twice
  for (int i = 0; i < n; ++i) y[i] *= 2;
  // end of your code
}

void once(int);  // declared only

int one_line() { return 1; }

struct Pair {
  int a, b;
};

int main() {
  // snippet: calls
  once(1);

    once(2);
  // end of snippet
}
"""
PROGRAM = """#!/bin/sh
case "$1" in
  worked) echo "half: 0.500"; echo "quarter:  0.25  " ;;
  speed) if [ "$2" = --help ]; then exit 0; fi; echo "$$ GFLOP/s" ;;
  *) exit 3 ;;
esac
"""


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="course text ")
        self.addCleanup(shutil.rmtree, self.root)
        self.bin = os.path.join(self.root, "bin")
        self.file("code/a.cpp", SOURCE)
        self.file("bin/lesson-00", PROGRAM)
        os.chmod(os.path.join(self.bin, "lesson-00"), 0o755)

    def file(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def snippet(self, words):
        return "\n".join(texts.snippet(self.root, words))

    def refreshed(self, directive, measured=False):
        text = "before\n\n<!-- %s -->\n```text\nold\n```\nafter\n" % directive
        return texts.refreshed(self.root, self.bin, text, measured)

    def fails(self, directive, words):
        with self.assertRaises(texts.Stale) as caught:
            self.refreshed(directive)
        self.assertIn(words, str(caught.exception))


class Quotes(Tree):
    def test_a_function_comes_with_its_template_line_and_without_the_marks(self):
        self.assertEqual(self.snippet("code/a.cpp#twice"), "template <typename Real>\nvoid twice(Real* y,\n"
                         "           int n) {\n  for (int i = 0; i < n; ++i) y[i] *= 2;\n}")
        self.assertTrue(self.snippet("code/a.cpp#twice+comment").startswith("// What it does.\ntemplate"))

    def test_a_struct_and_a_named_part_are_found(self):
        self.assertEqual(self.snippet("code/a.cpp#Pair"), "struct Pair {\n  int a, b;\n};")
        self.assertEqual(self.snippet("code/a.cpp#one_line"), "int one_line() { return 1; }")
        self.assertEqual(self.snippet("code/a.cpp#calls"), "once(1);\n\n  once(2);")

    def test_what_is_not_there_is_said(self):
        self.fails("snippet: code/a.cpp#once", "nothing of that name")
        self.fails("snippet: code/b.cpp#twice", "No such file")

    def test_output_replaces_what_was_there(self):
        self.assertEqual(self.refreshed("run: lesson-00 worked"),
                         "before\n\n<!-- run: lesson-00 worked -->\n```text\nhalf: 0.500\nquarter:  0.25\n```\nafter\n")

    def test_programs_that_fail_or_are_missing_are_said(self):
        self.fails("run: lesson-00 unknown", "code 3")
        self.fails("run: lesson-77 worked", "no program")
        self.fails("session: none", "No such file")

    def test_measured_output_stays_unless_asked_for_and_its_command_must_exist(self):
        self.assertIn("\nold\n", self.refreshed("measured: lesson-00 speed"))
        self.assertIn("GFLOP/s", self.refreshed("measured: lesson-00 speed", measured=True))
        self.fails("measured: lesson-00 gone", "no such command")

    def test_a_directive_needs_its_block(self):
        for text in ("<!-- run: lesson-00 worked -->\nwords\n", "<!-- run: lesson-00 worked -->\n```text\n"):
            with self.assertRaises(texts.Stale):
                texts.refreshed(self.root, self.bin, text)


class Text(Tree):
    def test_words_are_counted_without_code_tables_links_and_formulas(self):
        text = ("# Two words\n\none [two](three.md) $x$\n\n```cpp\nint a;\n```\n| a | b |\n\n$$ y = x $$\n"
                "<!-- no -->\n")
        self.assertEqual(texts.count_words(text), 5)

    def test_decimals_of_the_worked_example_must_be_in_its_output(self):
        text = ("## A worked example\n\nWith 0.25 and 0.75 and -1.5 of v2.0.\n\n```text\n0.25 1.5\n```\n\n"
                "## Next\n\n9.9\n")
        self.assertEqual(list(texts.unproved_numbers(text)), ["0.75"])

    def test_sections_that_are_missing_or_in_another_order_are_found(self):
        good = ["The question", "Where we are", "A worked example", "Shapes", "The equation", "The naive code",
                "The exercise", "An experiment", "Pitfalls", "Recap"]

        def problems(names):
            return list(texts.section_problems("x", "".join("## %s\n\ntext\n" % name for name in names)))
        self.assertEqual(problems(good), [])
        self.assertEqual(problems(good[:7] + ["The backward pass", "The CUDA version"] + good[7:]), [])
        self.assertEqual(len(problems(good[:3] + good[4:])), 1)
        self.assertIn("too late", problems(good[:3] + ["Pitfalls"] + good[3:8] + ["Recap"])[0])

    def test_dead_links_and_anchors_are_found(self):
        self.file("docs/b.md", "# A heading, with words\n")
        good = "[a](b.md) [b](b.md#a-heading-with-words) [c](https://example.org/x) ![d](../code/a.cpp)"
        self.file("docs/a.md", good)
        self.assertEqual(list(texts.link_problems(self.root, "docs/a.md", good)), [])
        bad = "[a](c.md) [b](b.md#nowhere) [c](https://nowhere)"
        self.assertEqual(len(list(texts.link_problems(self.root, "docs/a.md", bad))), 3)


class Overview(Tree):
    def lesson(self, number, name, title):
        return lessons.Lesson(number, "%02d-%s" % (number, name), title, "Why?", 10, [], [])

    def test_the_map_lights_the_lessons_that_exist(self):
        self.file("lessons/03-matmul/README.md", "")
        both = [self.lesson(3, "matmul", "Products"), self.lesson(4, "bigram", "Pairs")]
        svg = overview.course_figure(self.root, both)
        self.assertEqual(svg.count('class="f-fill s-accent"'), 1)
        self.assertEqual(sum(">%02d %s<" % (i, stop) in svg for i, stop in enumerate(overview.STOPS)), 29)

    def test_the_table_links_to_texts_that_exist(self):
        self.file("lessons/03-matmul/README.md", "")
        text = overview.with_table(self.root, "<!-- table: begin -->\nold\n<!-- table: end -->\n",
                                   [self.lesson(3, "matmul", "Products"), self.lesson(4, "bigram", "Pairs")])
        self.assertIn("[Products](03-matmul/README.md)", text)
        self.assertIn("| Pairs |", text)
        self.assertNotIn("old", text)
        with self.assertRaises(ValueError):
            overview.with_table(self.root, "no marks", [])


class Sessions(unittest.TestCase):
    def test_timings_are_masked(self):
        self.assertEqual(sessions.TIMING.sub("(time)", "4 of 4 passed in 1.2 s, after 2 min 05 s; 12 sizes"),
                         "4 of 4 passed in (time), after (time); 12 sizes")

    def test_a_mutant_replaces_the_task_alone(self):
        with tempfile.TemporaryDirectory() as copy:
            source = "exercises/00-first-steps/first_steps.cpp"
            os.makedirs(os.path.join(copy, os.path.dirname(source)))
            shutil.copy(os.path.join(ROOT, source), os.path.join(copy, source))
            words = sessions.write_task(ROOT, copy, "00.scale", "scale_stops_early")
            with open(os.path.join(copy, source), encoding="utf-8") as file:
                text = file.read()
            self.assertIn("i < n - 1", text)
            self.assertNotIn("throw NotImplemented", text)
            self.assertIn("with a mistake: the last element is left out]", words)
            with self.assertRaises(ValueError):
                sessions.write_task(ROOT, copy, "00.nothing", "solution")


if __name__ == "__main__":
    unittest.main()
