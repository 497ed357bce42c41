"""Figures: what they draw, and what is found wrong in them."""
import math
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import drawing  # noqa: E402  (the path above must come first)
from course import geometry  # noqa: E402


class Figures(unittest.TestCase):
    def saved(self, draw):
        with tempfile.TemporaryDirectory() as folder:
            draw(folder)
            name = os.listdir(folder)[0]
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                return file.read()

    def test_the_map_lights_one_stop_and_keeps_its_words_on_the_page(self):
        for number in range(29):
            svg = self.saved(lambda folder: drawing.course_map(folder, number, "prompting-and-evaluation"))
            self.assertEqual(geometry.problems(svg), [])
            self.assertIn(">%02d<" % number, svg)

    def test_ends_of_lines_that_meet_are_labelled_apart(self):
        series = {"line %d" % i: [(10.0 ** x, 2 + i / 1000) for x in range(4)] for i in range(6)}
        svg = self.saved(lambda folder: drawing.line_chart(folder, "x", "x", series, "bytes", "nats", log_x=True))
        self.assertEqual(geometry.problems(svg), [])

    def test_spread_keeps_order_gap_and_limit(self):
        self.assertEqual(drawing.spread([1, 2, 50], 10, 100), [1, 11, 50])
        self.assertEqual(drawing.spread([95, 96, 97], 10, 100), [80, 90, 100])
        self.assertEqual(drawing.spread([], 10, 100), [])

    def test_ticks_are_round_and_inside(self):
        self.assertEqual(drawing.nice_ticks(0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1.0])
        for high in (0.003, 0.7, 9.9, 123456.0):
            ticks = drawing.nice_ticks(0, high)
            self.assertTrue(2 <= len(ticks) <= 7)
            self.assertLessEqual(ticks[-1], high * (1 + 1e-9))

    def test_marks_of_a_number_line_do_not_lie_on_each_other(self):
        d = drawing.Drawing(640, 140, "x")
        at = d.number_line(40, 100, 560, -1, 1, 0.5, [(v / 20, "value %d" % v, "accent") for v in range(4)])
        self.assertTrue(math.isclose(at(0), 320))
        self.assertEqual(geometry.problems(d.svg()), [])

    def test_heat_is_strongest_where_the_value_is_largest(self):
        d = drawing.Drawing(200, 120, "x")
        d.heat(20, 20, [[0, 0.5], [-1, 0.25]])
        svg = d.svg()
        self.assertIn('fill-opacity="0.65" class="f-second"', svg)
        self.assertEqual(geometry.problems(svg), [])


class Problems(unittest.TestCase):
    def test_words_on_words_and_words_beyond_the_page_are_found(self):
        d = drawing.Drawing(200, 60, "x")
        d.text(10, 30, "some words")
        d.text(30, 32, "other words")
        d.text(150, 50, "a long sentence", 14)
        found = geometry.problems(d.svg())
        self.assertEqual(len(found), 2)
        self.assertIn("lies on", found[0])
        self.assertIn("leaves the page", found[1])

    def test_figures_too_wide_broken_or_without_a_dark_theme_are_found(self):
        self.assertIn("wide", geometry.problems(drawing.Drawing(720, 10, "x").svg())[0])
        self.assertIn("XML", geometry.problems("<svg>")[0])
        self.assertIn("dark", geometry.problems('<svg viewBox="0 0 10 10"></svg>')[0])


if __name__ == "__main__":
    unittest.main()
