"""`./course test`: builds, runs every test, and ends with a line that counts them."""
import json
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

from course import build
from course.terminal import Failure, paint, read_end, run_logged, say

SHOWN_FAILURES = 10
SHOWN_LINES = 60
# Instrumented programs run many times slower, so tests with this label are left to the other presets.
SLOW_LABEL = "slow"
SANITIZERS = ("asan", "tsan")

# Labels of the tests that run CUDA kernels: in the emulator, or on a GPU.
EMULATED, GPU = "emulated", "gpu"

# passed, failed, skipped: counts. failures: (name, output) of each failed test. kernels: CudaCounts.
Results = namedtuple("Results", "passed failed skipped failures kernels")

# How many tests ran CUDA kernels in the emulator, how many on a GPU; those of a GPU that did not run are skipped.
CudaCounts = namedtuple("CudaCounts", "emulated gpu skipped")


def classify(case):
    """passed, failed or skipped. Skipped is only what says so itself: a test whose program is missing has failed."""
    if case.get("status") == "run" and case.find("failure") is None and case.find("error") is None:
        return "passed"
    skipped = case.find("skipped")
    why = skipped.get("message", "") if skipped is not None else ""
    asked = case.get("status") == "disabled" or re.match(r"SKIP_RETURN_CODE|SKIP_REGULAR_EXPRESSION", why)
    return "skipped" if asked else "failed"


def labels_of(listing):
    """{test: labels} from what ctest --show-only=json-v1 prints."""
    try:
        tests = json.loads(listing)["tests"]
    except (ValueError, KeyError, TypeError):
        return {}
    found = {}
    for test_case in tests if isinstance(tests, list) else []:
        for entry in test_case.get("properties", []):
            if entry.get("name") == "LABELS":
                found[test_case.get("name")] = entry["value"]
    return found


def ask_labels(plan):
    command = ["ctest", "--test-dir", plan.folder, "--show-only=json-v1"]
    done = subprocess.run(command, cwd=plan.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return labels_of(done.stdout.decode("utf-8", "replace"))


def count_kernels(kinds, labels):
    """CudaCounts from {test: passed, failed or skipped}. What did not run counts as skipped, whatever its label."""
    counts = {EMULATED: 0, GPU: 0, "skipped": 0}
    for name, kind in kinds.items():
        for label in (EMULATED, GPU):
            if label in labels.get(name, ()):
                counts["skipped" if kind == "skipped" else label] += 1
    return CudaCounts(counts[EMULATED], counts[GPU], counts["skipped"])


def kernels_line(counts):
    return "Tests of CUDA kernels: %d emulated, %d gpu, %d skipped" % counts


def read_results(path, labels):
    """The results in the JUnit file that ctest writes."""
    try:
        cases = ElementTree.parse(path).getroot().iter("testcase")
    except (OSError, ElementTree.ParseError) as error:
        raise Failure("ctest left no readable results in %s: %s" % (path, error), code=1) from None
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures, kinds = [], {}
    for case in cases:
        kind = classify(case)
        counts[kind] += 1
        kinds[case.get("name")] = kind
        if kind == "failed":
            problem = case.find("failure") if case.find("failure") is not None else case.find("skipped")
            message = problem.get("message", "") if problem is not None else ""
            failures.append((case.get("name", "?"), case.findtext("system-out") or message))
    return Results(counts["passed"], counts["failed"], counts["skipped"], failures,
                   count_kernels(kinds, labels))


def count_line(passed, failed, skipped):
    return "%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else "")


def show_failures(results, log):
    for name, output in results.failures[:SHOWN_FAILURES]:
        say("\n" + paint("FAILED", "bad") + "  " + name)
        lines = output.rstrip().splitlines()
        if len(lines) > SHOWN_LINES:
            say("  [%d lines above; all of them: %s]" % (len(lines) - SHOWN_LINES, log))
        for line in lines[-SHOWN_LINES:]:
            say("  " + line)
    if len(results.failures) > SHOWN_FAILURES:
        say("\nand %d more:" % (len(results.failures) - SHOWN_FAILURES))
        for name, _ in results.failures[SHOWN_FAILURES:]:
            say("  " + name)


def ctest_command(plan, pattern, report):
    command = ["ctest", "--test-dir", plan.folder, "--parallel", str(build.available_cores()),
               "--output-on-failure", "--no-tests=error", "--output-junit", report]
    if pattern:
        command += ["--tests-regex", pattern]
    if plan.preset in SANITIZERS:
        command += ["--label-exclude", SLOW_LABEL]
    return command


def run_tests(plan, pattern, times):
    """Builds and tests one preset. Returns its results."""
    build.prepare(plan, (), times)
    report = os.path.join(build.logs(plan), "tests.xml")
    log = os.path.join(build.logs(plan), "tests.log")
    if os.path.exists(report):
        os.remove(report)  # an older run's results must not pass for this one's
    with times.stage("test"):
        code, _ = run_logged("Testing (%s)" % plan.preset, ctest_command(plan, pattern, report), log, plan.root)
    if not os.path.exists(report):
        say(read_end(log).strip())
        raise Failure("ctest ran no test (exit code %d). Its output: %s" % (code, log), code=1)
    results = read_results(report, ask_labels(plan))
    show_failures(results, log)
    if results.passed + results.failed == 0:
        reason = " whose name matches '%s'" % pattern if pattern else ""
        raise Failure("No test ran%s. ctest's output: %s" % (reason, log), code=1)
    if code != 0 and results.failed == 0:
        raise Failure("ctest ended with code %d though it lists no failed test. Its output: %s" % (code, log), code=1)
    return results


def test(root, presets, pattern, fetch, times):
    """Every preset in turn. Returns the exit code; the last line counts all tests."""
    passed = failed = skipped = 0
    kernels = CudaCounts(0, 0, 0)
    for preset in presets:
        plan = build.make_plan(root, preset, fetch)
        results = run_tests(plan, pattern, times)
        passed, failed = passed + results.passed, failed + results.failed
        skipped += results.skipped
        kernels = CudaCounts(*map(sum, zip(kernels, results.kernels)))
        if len(presets) > 1:
            say("%s: %s" % (preset, count_line(results.passed, results.failed, results.skipped)))
    if any(kernels):
        say(kernels_line(kernels))
    times.show()
    say(count_line(passed, failed, skipped))
    return 1 if failed else 0
