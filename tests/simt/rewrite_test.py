#!/usr/bin/env python3
"""tools/rewrite-cuda: what it turns into C++, what it leaves alone, and that no line moves."""
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "tools", "rewrite-cuda")


def run(text):
    """The exit code, the rewritten text without its #line, and what went to standard error."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.cu"), os.path.join(folder, "deep", "out.cpp")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([sys.executable, PROGRAM, source, target], stderr=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode:
            return done.returncode, "", done.stderr
        with open(target, encoding="utf-8") as file:
            first, rest = file.read().split("\n", 1)
        assert first == '#line 1 "%s"' % os.path.realpath(source), first
        return 0, rest, done.stderr


class Rewrite(unittest.TestCase):
    def rewritten(self, text):
        code, result, errors = run(text)
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(result.count("\n"), text.count("\n"))
        return result

    def test_a_launch_becomes_a_call_with_the_same_arguments(self):
        self.assertEqual(
            self.rewritten("f<<<grid, 64>>>(x, y);"),
            '::tinygpt::simt::Launch(grid, 64)("f", [=](auto... simt_p) { f(simt_p...); })(x, y);')

    def test_template_arguments_and_namespaces_belong_to_the_kernel(self):
        result = self.rewritten("a::f<T, (N > 2), g<int>(1)><<<ceil_div<int>(n, 2), b, s, st>>>(x);")
        self.assertIn("Launch(ceil_div<int>(n, 2), b, s, st)", result)
        self.assertIn("{ a::f<T, (N > 2), g<int>(1)>(simt_p...); })(x);", result)

    def test_a_launch_may_span_lines(self):
        result = self.rewritten("f<A,\n  B>\n    <<<g,\n  b>>>(\n x);\nnext();")
        self.assertEqual(result.split("\n")[-1], "next();")
        self.assertIn('("f<A, B>"', result)

    def test_comments_and_strings_stay(self):
        text = '// f<<<1, 2>>>(x);\n/* __shared__ float a[2]; */ const char* s = "f<<<1, 2>>>(x); // \\"";\n' \
               "char c = '\"'; int big = 1'000'000;\n"
        self.assertEqual(self.rewritten(text), text)

    def test_shared_arrays_know_their_type_and_name(self):
        self.assertEqual(self.rewritten("__shared__ float a[2][N + 1];"),
                         'auto& a = ::tinygpt::simt::shared_array<float[2][N + 1]>("a", [] {});')
        result = self.rewritten("static __shared__ __align__(16) Vec<float, 4> a[2], b;")
        self.assertIn('shared_array<Vec<float, 4>[2], (16)>("a", [] {});', result)
        self.assertIn('shared_array<Vec<float, 4>, (16)>("b", [] {});', result)

    def test_dynamic_shared_memory_is_an_array_of_no_size(self):
        self.assertEqual(self.rewritten("extern __shared__ unsigned char bytes[];"),
                         "auto& bytes = ::tinygpt::simt::dynamic_shared<unsigned char[]>();")

    def test_unrolling_is_left_to_the_compiler(self):
        self.assertEqual(self.rewritten("#pragma unroll 4\nfor (;;) {}\n"), "\nfor (;;) {}\n")

    def test_what_cannot_be_rewritten_is_told_with_its_line(self):
        for text, line in (("\nf<<<1, 2;\n", 2), ("\n\n__shared__ float a = 1;\n", 3), ("+<<<1, 2>>>(x);", 1)):
            code, _, errors = run(text)
            self.assertEqual(code, 1)
            self.assertIn("in.cu:%d: error:" % line, errors)


if __name__ == "__main__":
    unittest.main()
