"""`./course test`'s counting, and the commands' manners."""
import json
import os
import subprocess
import unittest

from sandbox import Sandbox

from course import testing

MIXED = """<testsuite>
<testcase name="adds" status="run"><system-out>1 == 1</system-out></testcase>
<testcase name="divides" status="fail"><failure message=""/><system-out>expected 2, got NaN</system-out></testcase>
<testcase name="needs a GPU" status="notrun"><skipped message="SKIP_RETURN_CODE=4"/></testcase>
<testcase name="is switched off" status="disabled"><skipped message="Disabled"/></testcase>
<testcase name="was never built" status="notrun"><skipped message="Unable to find executable"/></testcase>
</testsuite>"""


class Counting(Sandbox):
    def last_line(self, done):
        return done.stdout.splitlines()[-1]

    def test_the_last_line_counts_passed_and_failed_tests_alone(self):
        done = self.course("test")
        self.assertEqual(self.last_line(done), "1 passed, 0 failed")
        self.assertIn("set-up", done.stdout.splitlines()[-2])
        self.assertEqual(done.returncode, 0)

    def test_failures_skips_and_missing_programs_are_told_apart(self):
        self.write("results.xml", MIXED)
        done = self.course("test", CTEST_CODE="8")
        self.assertEqual(self.last_line(done), "1 passed, 2 failed, 2 skipped")
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected 2, got NaN", done.stdout)
        self.assertIn("Unable to find executable", done.stdout)
        self.assertNotIn("1 == 1", done.stdout)

    def test_counts_of_several_presets_are_added(self):
        done = self.course("test", "--preset", "default", "--preset", "asan")
        self.assertEqual(self.last_line(done), "2 passed, 0 failed")
        calls = [call for call in self.calls("ctest") if "--show-only" not in call]
        self.assertNotIn("--label-exclude slow", calls[0])
        self.assertIn("--label-exclude slow", calls[1])

    def test_a_filter_reaches_ctest(self):
        self.course("test", "gelu|softmax")
        self.assertIn("--tests-regex gelu|softmax", self.calls("ctest")[0])

    def test_no_test_at_all_is_a_failure(self):
        self.write("results.xml", "<testsuite></testsuite>")
        self.assertEqual(self.course("test").returncode, 1)
        os.remove(os.path.join(self.folder, "results.xml"))
        self.assertEqual(self.course("test", CTEST_CODE="8").returncode, 1)

    def test_skipped_tests_alone_are_a_failure(self):
        self.write("results.xml", '<testsuite><testcase name="a" status="disabled"/></testsuite>')
        self.assertEqual(self.course("test").returncode, 1)

    def test_results_of_an_earlier_run_never_count(self):
        self.course("test")
        os.remove(os.path.join(self.folder, "results.xml"))
        self.assertEqual(self.course("test", CTEST_CODE="0").returncode, 1)

    def test_a_failing_ctest_is_never_reported_as_passed(self):
        self.assertEqual(self.course("test", CTEST_CODE="8").returncode, 1)

    def test_broken_results_are_an_error(self):
        self.write("results.xml", "<testsuite>")
        done = self.course("test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no readable results", done.stderr)

    def test_tests_of_cuda_kernels_are_counted_by_where_they_ran(self):
        kinds = {"a": "passed", "b": "failed", "c": "skipped", "d": "passed", "e": "passed", "f": "skipped"}
        labels = {"a": ["emulated"], "b": ["slow", "emulated"], "c": ["gpu"], "d": ["fast"], "f": ["emulated"]}
        counts = testing.count_kernels(kinds, labels)
        self.assertEqual(counts, (2, 0, 2))
        self.assertEqual(testing.count_kernels({"c": "passed"}, labels), (0, 1, 0))
        self.assertEqual(testing.kernels_line(counts), "Tests of CUDA kernels: 2 emulated, 0 gpu, 2 skipped")

    def test_a_skipped_test_of_a_gpu_is_said_to_be_skipped(self):
        self.write("results.xml", MIXED)
        gpu, emulated = ({"name": "LABELS", "value": [label]} for label in ("gpu", "emulated"))
        self.write("labels.json", json.dumps({"tests": [
            {"name": "needs a GPU", "properties": [gpu]}, {"name": "divides"},
            {"name": "adds", "properties": [{"name": "TIMEOUT", "value": 3}, emulated]}]}))
        done = self.course("test", CTEST_CODE="8")
        self.assertIn("Tests of CUDA kernels: 1 emulated, 0 gpu, 1 skipped\n", done.stdout)

    def test_labels_that_cannot_be_read_are_none(self):
        for text in ("", "[]", "{}", '{"tests": 1}'):
            self.assertEqual(testing.labels_of(text), {})

    def test_skipped_is_left_out_of_the_line_where_there_is_none(self):
        self.assertEqual(testing.count_line(3, 0, 0), "3 passed, 0 failed")
        self.assertEqual(testing.count_line(3, 1, 2), "3 passed, 1 failed, 2 skipped")


class Manners(Sandbox):
    def test_help_lists_the_commands(self):
        done = self.course("help")
        self.assertEqual(done.returncode, 0)
        for command in ("demo", "test", "doctor"):
            self.assertIn("./course " + command, done.stdout)

    def test_an_unknown_command_gives_one_line_and_code_2(self):
        done = self.course("tets")
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (2, "", 1))

    def test_an_unknown_option_gives_one_line_and_code_2(self):
        done = self.course("test", "--speed")
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (2, "", 1))

    def test_the_script_works_from_any_folder_and_through_a_link(self):
        self.assertEqual(self.course("test", cwd="/").returncode, 0)
        link = os.path.join(self.folder, "a link")
        os.symlink(os.path.join(self.clone, "course"), link)
        done = subprocess.run([link, "help"], cwd="/", env=self.environment(), stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"./course demo", done.stdout)

    def test_piped_output_has_no_control_characters(self):
        output = self.course("test").stdout
        self.assertNotIn("\033", output)
        self.assertNotIn("\r", output)

    def test_doctor_reads_the_toolkit_and_the_graphics_card(self):
        self.stub("nvcc", 'echo "Cuda compilation tools, release 12.4, V12.4.131"')
        self.stub("nvidia-smi", 'echo "NVIDIA H100 80GB HBM3, 9.0, 550.54.15, 81559 MiB"')
        output = self.course("doctor").stdout
        self.assertIn("12.4 (%s/nvcc)" % self.bin, output)
        self.assertIn("NVIDIA H100 80GB HBM3, 81559 MiB, sm_90, driver 550.54.15", output)
        self.stub("nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
        self.assertIn("no NVIDIA driver answers", self.course("doctor").stdout)

    def test_doctor_names_what_is_missing_and_what_to_type(self):
        self.assertEqual(self.course("doctor").returncode, 0)
        self.write("missing", "missing:fmt\n")
        done = self.course("doctor")
        self.assertEqual(done.returncode, 2)
        self.assertIn("sudo apt-get install -y libfmt-dev", done.stdout)
        self.assertFalse(self.calls("apt-get"))


if __name__ == "__main__":
    unittest.main()
