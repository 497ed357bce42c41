"""tools/gpu-report on a machine without a GPU: what it reads, what it refuses, and that nothing claims to be what it is
not. With a build's folder as its argument it rehearses the whole flow in the emulator."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from gpu import machine, process, results, speed, tests  # noqa: E402  (the path above must come first)

REPORT = os.path.join(ROOT, "tools", "gpu-report")
BUILD = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None


def run(*words, **environment):
    return subprocess.run([sys.executable, REPORT] + list(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, env=dict(os.environ, **environment))


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gpu report ")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path


class Refusals(Folder):
    def test_without_a_gpu_it_says_so_in_one_line_and_builds_nothing(self):
        smi = self.path("nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
        cmake = self.path("cmake", "#!/bin/sh\ntouch '%s'\n" % self.path("was built"))
        for stub in (smi, cmake):
            os.chmod(stub, 0o755)
        done = run("--output", self.path("out"), PATH=self.folder + os.pathsep + os.environ["PATH"])
        self.assertEqual((done.returncode, len(done.stdout.splitlines())), (3, 1))
        self.assertIn("no GPU", done.stdout)
        self.assertFalse(os.path.exists(self.path("was built")) or os.path.exists(self.path("out")))

    def test_a_rehearsal_needs_a_folder_of_its_own(self):
        done = run("--emulated-smoke")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--output", done.stderr)

    def test_an_unknown_part_is_named(self):
        self.assertIn("'speed'", run("--only", "tests,speed").stderr)


class Machine(unittest.TestCase):
    def test_the_drivers_answer_is_read_and_its_complaints_are_not(self):
        gpu = machine.parse_gpu("NVIDIA H100 80GB HBM3, 550.54.15, 9.0, 81559 MiB")
        self.assertEqual(gpu, ("NVIDIA H100 80GB HBM3", "550.54.15", "9.0", 81559))
        self.assertIsNone(machine.parse_gpu("No devices were found"))
        self.assertIsNone(machine.parse_gpu("a, b, c, d"))

    def test_a_program_that_is_missing_or_fails_says_nothing(self):
        self.assertEqual(machine.output_of(["no-such-program-here"]), "")
        self.assertEqual(machine.output_of([sys.executable, "-c", "print(1); raise SystemExit(1)"]), "")


class Programs(Folder):
    def test_one_that_lasts_too_long_ends_with_its_children(self):
        code = "import subprocess, sys; print('here', flush=True); subprocess.run(['sleep', '60'])"
        done = process.run([sys.executable, "-c", code], 1.0, self.folder, self.path("log"))
        self.assertIsNone(done.code)
        self.assertLess(done.seconds, 10)
        self.assertIn("here", done.output)

    def test_one_that_is_missing_fails(self):
        self.assertEqual(process.run(["/no/such/program"], 1.0, self.folder, self.path("log")).code, 127)


class Tests(Folder):
    def done(self, code, output=""):
        return process.Done(code, 1.0, output)

    def test_only_tests_with_the_label_are_taken(self):
        listing = json.dumps({"tests": [
            {"name": "gpu: a", "command": ["bin/a", "[x]"], "properties": [{"name": "LABELS", "value": ["gpu"]}]},
            {"name": "b", "command": ["bin/b"], "properties": [{"name": "LABELS", "value": ["emulated"]}]},
            {"name": "c", "command": ["bin/c"]}]})
        self.assertEqual(tests.tests_of(listing), [("gpu: a", ["bin/a", "[x]"])])
        self.assertEqual(tests.tests_of(""), [])

    def test_cases_are_counted_once_whatever_their_sections(self):
        path = self.path("r.xml", '<testsuites><testsuite><testcase name="a"/><testcase name="a"/><testcase name="b">'
                                  '<failure message="x">1 != 2</failure></testcase></testsuite></testsuites>')
        self.assertEqual(tests.count_cases(path), (1, ["b"]))
        self.assertIn("1 != 2", tests.failures(path))
        self.assertIsNone(tests.count_cases(self.path("r.xml", "<testsuites>")))
        self.assertIsNone(tests.count_cases(self.path("missing.xml")))

    def test_only_a_program_that_ran_to_its_end_has_passed(self):
        self.assertEqual(tests.verdict(self.done(0), (3, []), 9), (None, "3 passed"))
        self.assertEqual(tests.verdict(self.done(0), None, 9)[0], results.FAILED)
        self.assertEqual(tests.verdict(self.done(-11), (3, []), 9)[0], results.FAILED)
        self.assertEqual(tests.verdict(self.done(1), (2, ["b"]), 9)[0], results.FAILED)
        self.assertEqual(tests.verdict(self.done(77, "skipped: no GPU"), None, 9), ("skipped", "skipped: no GPU"))
        self.assertEqual(tests.verdict(self.done(None), None, 9), ("skipped", "not finished within 9 s"))
        self.assertEqual(tests.verdict(self.done(0), (0, []), 9)[0], results.SKIPPED)

    def test_the_sanitizers_word_is_needed_for_no_fault(self):
        said = "========= ERROR SUMMARY: 0 errors\n"
        self.assertEqual(tests.sanitizer_verdict(self.done(0, said), 9)[0], results.GPU)
        self.assertEqual(tests.sanitizer_verdict(self.done(0, "RACECHECK SUMMARY: 0 hazards"), 9)[0], results.GPU)
        self.assertEqual(tests.sanitizer_verdict(self.done(0, "fine"), 9)[0], results.FAILED)
        self.assertEqual(tests.sanitizer_verdict(self.done(99, said), 9)[0], results.FAILED)
        self.assertEqual(tests.sanitizer_verdict(self.done(None), 9)[0], results.SKIPPED)


class Losses(unittest.TestCase):
    def test_steps_are_read_and_other_lines_are_not(self):
        text = ('{"event":"start"}\n{"step":1,"loss":5.5,"tokens_per_second":9}\nnoise\n'
                '{"event":"done","steps":2}\n{"step":2,"loss":4.5}\n')
        self.assertEqual(speed.read_losses(text), ([5.5, 4.5], 9))

    def test_trainings_that_part_early_or_end_elsewhere_differ(self):
        expected = [5 - i / 100 for i in range(100)]
        self.assertTrue(speed.compare_losses(expected, [x + 1e-4 for x in expected], 0.03)[2])
        self.assertFalse(speed.compare_losses(expected, [5.01] + expected[1:], 0.03)[2])
        self.assertFalse(speed.compare_losses(expected, expected[:50] + [x + 0.1 for x in expected[50:]], 0.03)[2])
        self.assertFalse(speed.compare_losses(expected, expected[:-1], 0.03)[2])
        self.assertFalse(speed.compare_losses([1.0], [float("nan")], 0.03)[2])


class Results(Folder):
    ABOUT = {"state": "emulated", "date": "2030-01-01", "device": "A processor (2)"}

    def test_a_rehearsal_says_at_the_top_that_nothing_ran_on_a_gpu(self):
        parts = [results.part("tests", results.EMULATED, "3 passed", 1.0, ["text"]),
                 results.part("benchmarks", results.FAILED, "a | b")]
        paths = results.write(self.path("out"), self.ABOUT, parts)
        self.assertEqual([os.path.basename(path) for path in paths],
                         ["emulated-2030-01-01-a-processor-2.md", "emulated-2030-01-01-a-processor-2.json"])
        with open(paths[0], encoding="utf-8") as file:
            text = file.read()
        self.assertIn("Nothing here ran on a GPU", text)
        self.assertIn("| benchmarks | **failed** | a / b |", text)
        with open(paths[1], encoding="utf-8") as file:
            self.assertEqual(json.load(file)["parts"][0]["state"], "emulated")

    def test_what_failed_or_never_ran_where_it_should_fails_the_report(self):
        gpu, skipped = results.part("a", results.GPU, ""), results.part("b", results.SKIPPED, "")
        failed, emulated = results.part("c", results.FAILED, ""), results.part("d", results.EMULATED, "")
        self.assertEqual(results.exit_code([gpu, skipped], results.GPU), 0)
        self.assertEqual(results.exit_code([gpu, failed], results.GPU), 1)
        self.assertEqual(results.exit_code([skipped, emulated], results.GPU), 1)
        self.assertRaises(ValueError, results.part, "a", "passed", "")


@unittest.skipIf(BUILD is None, "the argument is a build's folder")
class Rehearsal(Folder):
    def test_the_whole_flow_runs_emulated_and_claims_nothing_else(self):
        done = run("--emulated-smoke", "--build", BUILD, "--output", self.path("out"), OMP_WAIT_POLICY="passive")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        name = next(name for name in os.listdir(self.path("out")) if name.endswith(".json"))
        with open(os.path.join(self.path("out"), name), encoding="utf-8") as file:
            report = json.load(file)
        self.assertTrue(name.startswith("emulated-"))
        self.assertEqual({part["title"]: part["state"] for part in report["parts"]},
                         {"build": "skipped", "tests": "emulated", "compute-sanitizer": "skipped",
                          "training": "emulated", "benchmarks": "emulated"})
        self.assertNotIn('"gpu"', json.dumps(report))
        part = {part["title"]: part for part in report["parts"]}
        sections = [row["section"] for run in part["benchmarks"]["data"]["runs"] for row in run["bench"]["rows"]]
        for section in ("training step", "generation", "attention", "matrix product"):
            self.assertIn(section, sections)
            self.assertIn(section + ", bf16", sections)
        self.assertIn("emulated, bf16", [row["device"] for row in part["training"]["data"]["rows"]])
        with open(os.path.join(self.path("out"), name[:-4] + "md"), encoding="utf-8") as file:
            self.assertIn("Nothing here ran on a GPU", file.read())


if __name__ == "__main__":
    unittest.main()
