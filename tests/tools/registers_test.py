"""tools/register-table: what it reads from ptxas, and what it asks nvcc."""
import glob
import json
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from gpu import registers  # noqa: E402  (the path above must come first)
from gpu.registers import Usage  # noqa: E402

PTXAS = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z1aPf' for 'sm_90'
ptxas info    : Function properties for _Z1aPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 48 registers, used 1 barriers, 17408 bytes smem, 408 bytes cmem[0]
ptxas info    : Compile time = 77.648 ms
ptxas info    : Compiling entry function '_Z1aPf' for 'sm_75'
ptxas info    : Function properties for _Z1aPf
    64 bytes stack frame, 48 bytes spill stores, 52 bytes spill loads
ptxas info    : Function properties for __internal_trig_reduction_slowpathd
    40 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 255 registers, 4096+16 bytes smem
ptxas info    : Function properties for _Z5outerv
    8 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
ptxas info    : Compiling entry function '_Z1bv' for 'sm_90a'
ptxas info    : Used 4 registers, 352 bytes cmem[0]
"""


class Parser(unittest.TestCase):
    def test_each_kernel_and_architecture_has_its_own_line(self):
        found = registers.parse(PTXAS)
        self.assertEqual(set(found), {("_Z1aPf", 90), ("_Z1aPf", 75), ("_Z1bv", 90)})
        self.assertEqual(found["_Z1aPf", 90], Usage(48, 17408, 0, 0, 0))

    def test_spills_and_stack_are_read_and_those_of_called_functions_count(self):
        usage = registers.parse(PTXAS)["_Z1aPf", 75]
        self.assertEqual(usage, Usage(255, 4096, 64, 48, 52))
        self.assertTrue(registers.spills(usage))

    def test_a_kernel_without_shared_memory_has_none(self):
        self.assertEqual(registers.parse(PTXAS)["_Z1bv", 90], Usage(4, 0, 0, 0, 0))

    def test_other_output_is_no_kernel(self):
        self.assertEqual(registers.parse("nvcc warning : something\nUsed 3 registers\n"), {})


class Names(unittest.TestCase):
    ENUMS = {"Inner": ["k", "row"]}

    def name(self, demangled):
        return registers.readable(demangled, self.ENUMS)

    def test_template_arguments_stay_and_the_rest_goes(self):
        self.assertEqual(
            self.name("void tinygpt::cuda::tiles<64, (tinygpt::cuda::Inner)1, false, __nv_bfloat16, "
                      "tinygpt::cuda::Write<float> >(tinygpt::cuda::Operand<float>, int (*)(int))"),
            "tiles<64, Inner::row, false, bf16, Write<float>>")

    def test_a_plain_function_and_a_hidden_one(self):
        self.assertEqual(self.name("tinygpt::ref_cuda::(anonymous namespace)::add_kernel(float*, int)"), "add_kernel")
        self.assertEqual(self.name("_Z1aPf"), "_Z1aPf")

    def test_an_unknown_enumerator_keeps_its_number(self):
        self.assertEqual(self.name("void f<(a::Outer)2, (a::Inner)7>()"), "f<Outer(2), Inner(7)>")

    def test_enumerations_are_found_unless_they_choose_their_values(self):
        text = "enum class Inner { k,  // deep\n row };\nenum class A : int { x = 3, y };\nenum class B { p,\n q };"
        self.assertEqual(registers.enumerators(text), {"Inner": ["k", "row"], "B": ["p", "q"]})


class Table(unittest.TestCase):
    def test_what_differs_stands_beside_the_registers_and_spills_are_bold(self):
        rows = [("b", {80: Usage(255, 8, 16, 4, 12), 90: Usage(20, 0, 0, 0, 0)}), ("a", {90: Usage(7, 0, 0, 0, 0)})]
        lines = registers.table(rows, [80, 90])
        self.assertEqual(lines[0], "| kernel | shared | sm_80 | sm_90 |")
        self.assertEqual(lines[2], "| `a` | 0 |  | 7 |")
        self.assertEqual(lines[3], "| `b` | 8 | **255, 16 stack, spills 4/12** | 20, 0 shared |")


class Committed(unittest.TestCase):
    """bench/results/registers.md, as it lies in the repository."""

    def setUp(self):
        with open(os.path.join(ROOT, "bench", "results", "registers.md"), encoding="utf-8") as file:
            self.text = file.read()

    def test_it_has_a_section_for_every_fast_file_and_a_row_for_every_kernel(self):
        listed = set(re.findall(r"^`([^`]+\.cu)`$", self.text, re.MULTILINE))
        self.assertEqual([name for name in listed if not os.path.exists(os.path.join(ROOT, name))], [])
        kernels = set()
        for path in glob.glob(os.path.join(ROOT, "tinygpt", "cuda", "*.cu*")):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            found = set(re.findall(r"\b(\w+_kernel)\(", text)) if "__global__" in text else set()
            kernels |= found
            if found and path.endswith(".cu"):
                self.assertIn(os.path.relpath(path, ROOT), listed, "stale: run tools/register-table")
        self.assertLessEqual({"attention_forward_kernel", "tensor_tiles_kernel"}, kernels)
        rows = set(re.findall(r"^\| `(\w+_kernel)\b", self.text, re.MULTILINE))
        self.assertEqual(kernels - rows, set(), "stale: run tools/register-table")

    def test_its_architectures_are_those_of_a_release(self):
        with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as file:
            presets = {preset["name"]: preset for preset in json.load(file)["configurePresets"]}
        architectures = presets["release"]["cacheVariables"]["TINYGPT_CUDA_ARCHITECTURES"].split(";")
        self.assertEqual(architectures, ["75", "80", "86", "89", "90", "120"])
        self.assertIn("| kernel | shared | %s |" % " | ".join("sm_" + a for a in architectures), self.text)

    def test_no_kernel_spills(self):
        tables = self.text.split("## Fast kernels")[1]
        self.assertEqual([line for line in tables.splitlines() if "**" in line], [])
        self.assertEqual(tables.count("No kernel spills."), 2)


class Command(unittest.TestCase):
    WORDS = ["ccache", "/usr/bin/nvcc", "-DX", "-I/p", "--generate-code=arch=compute_80,code=[compute_80,sm_80]", "-O3",
             "--Werror=all-warnings", "-x", "cu", "-c", "/p/a.cu", "-o", "a.cu.o"]

    def test_the_builds_flags_stay_and_its_architecture_and_output_go(self):
        command = registers.compile_command(self.WORDS, [75, 90], "/p/a.cu", "/t/a")
        self.assertEqual(command[:7], ["/usr/bin/nvcc", "-DX", "-I/p", "-O3", "--Werror=all-warnings", "-x", "cu"])
        self.assertNotIn("a.cu.o", command)
        self.assertNotIn("-c", command)
        self.assertEqual(command.count("/p/a.cu"), 1)
        self.assertEqual([word for word in command if "arch=" in word],
                         ["--generate-code=arch=compute_75,code=sm_75", "--generate-code=arch=compute_90,code=sm_90"])

    def test_an_architecture_of_two_words_goes_too(self):
        words = ["nvcc", "-gencode", "arch=compute_80,code=sm_80", "-c", "/p/a.cu", "-o", "a.o"]
        command = registers.compile_command(words, [75], "/p/a.cu", "/t/a")
        self.assertNotIn("arch=compute_80,code=sm_80", command)


if __name__ == "__main__":
    unittest.main()
