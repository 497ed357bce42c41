"""A level's kernels give nothing to the rest of the program but their entry point (cmake/CpuLevels.cmake).

    symbols_test.py NM LEVEL.o...

Inline functions compiled for AVX-512 that the linker could take for everyone's would stop older processors.
"""
import os
import subprocess
import sys
import unittest

NM = sys.argv[1]
OBJECTS = {os.path.basename(path)[:-2]: path for path in sys.argv[2:]}


def symbols(path, *options):
    """(kind, name) of each symbol that the object defines."""
    done = subprocess.run([NM, "--defined-only", *options, path], check=True, capture_output=True, text=True)
    return [tuple(line.split()[-2:]) for line in done.stdout.splitlines()]


class LevelSymbolsTest(unittest.TestCase):
    def test_the_entry_point_is_the_one_function_that_can_be_seen(self):
        self.assertIn("baseline", OBJECTS)
        for level, path in OBJECTS.items():
            seen = symbols(path, "--extern-only")
            space = "cpu_" + level
            entry = "_ZN7tinygpt%d%s16compiled_kernelsEv" % (len(space), space)
            self.assertEqual([s for s in seen if not s[1].startswith(("_ZTI", "_ZTS"))], [("T", entry)], level)

    def test_what_may_be_seen_of_types_is_data(self):
        for level, path in OBJECTS.items():
            kinds = {kind for kind, name in symbols(path, "--extern-only") if name.startswith(("_ZTI", "_ZTS"))}
            self.assertLessEqual(kinds, {"V"}, level)

    def test_there_was_something_to_hide(self):
        """Without the last step the same names are weak, in every level: this test would see them."""
        for level, path in OBJECTS.items():
            names = {name for kind, name in symbols(path) if kind == "t"}
            linked = path[:-2] + "-linked.o"
            weak = {name for kind, name in symbols(linked, "--extern-only") if kind in "WVu"}
            self.assertGreater(len(weak & names), 5, level)

    def test_no_group_is_left_that_the_linker_could_drop(self):
        for level, path in OBJECTS.items():
            kinds = {kind for kind, name in symbols(path)}
            self.assertFalse(kinds & set("uiwW"), level)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
