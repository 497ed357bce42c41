"""The CUDA tests of the build, run one program after the other; and again under compute-sanitizer."""
import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

from gpu import process
from gpu.results import EMULATED, FAILED, GPU, SKIPPED, fenced, part, table

SKIPPED_CODE = 77
FAULTS_CODE = 99
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")

SHOWN_LINES = 30

# A test with the label gpu: a Catch2 program and what it is called with.
GpuTest = namedtuple("GpuTest", "name words")


def tests_of(listing):
    """The GpuTests in what ctest --show-only=json-v1 prints."""
    found = []
    for entry in json.loads(listing)["tests"] if listing else []:
        labels = [p["value"] for p in entry.get("properties", []) if p["name"] == "LABELS"]
        if labels and "gpu" in labels[0] and entry.get("command"):
            found.append(GpuTest(entry["name"], entry["command"]))
    return found


def count_cases(path):
    """(passed, [names of failed]) of the JUnit file that a Catch2 program writes, or None where it wrote none."""
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return None
    failed = sorted({case.get("name", "?") for case in cases
                     if case.find("failure") is not None or case.find("error") is not None})
    names = {case.get("name", "?") for case in cases}
    return len(names) - len(failed), failed


def verdict(done, cases, limit):
    """(state or None for "ran", why) of one program."""
    if done.code is None:
        return SKIPPED, "not finished within %.0f s" % limit
    if done.code == SKIPPED_CODE:
        return SKIPPED, process.last_lines(done.output, 1)
    if cases is None:
        return FAILED, "ended with code %d and without results" % done.code
    passed, failed = cases
    if done.code != 0 or failed:
        return FAILED, "%d passed, %d failed: %s" % (passed, len(failed), ", ".join(failed) or "code %d" % done.code)
    return (None, "%d passed" % passed) if passed else (SKIPPED, "it has no case for this")


def run_tests(job, tests, limit):
    """Every program on the GPU; emulated, the few cases that are quick."""
    clock = process.Clock(limit)
    rows, logs, total, states = [], [], 0, []
    seconds = 0.0
    for test in tests:
        words = list(test.words)
        if job.emulated:
            if os.path.basename(words[0]) != "test_ops":
                rows.append((test.name, SKIPPED, "left out of a rehearsal", ""))
                continue
            words[1:] = ["[embedding]"]
        if clock.left() < 1:
            rows.append((test.name, SKIPPED, "no time was left", ""))
            continue
        result = os.path.join(job.scratch, test.name.replace(" ", "_").replace(":", "") + ".xml")
        if os.path.exists(result):
            os.remove(result)
        allowed = clock.left()
        done = process.run(words + ["-r", "junit", "-o", result], allowed, job.root, result + ".log",
                           {"TINYGPT_TEST_DEVICES": EMULATED if job.emulated else GPU})
        cases = count_cases(result)
        state, why = verdict(done, cases, allowed)
        seconds += done.seconds
        states.append(state)
        total += cases[0] if cases and state != SKIPPED else 0
        rows.append((test.name, state or job.state, why, "%.1f" % done.seconds))
        if state == FAILED:
            logs += fenced(failures(result) or process.last_lines(done.output, SHOWN_LINES))
    if FAILED in states:
        state, why = FAILED, "%d cases passed; some failed, see below" % total
    elif None in states:
        state, why = job.state, "%d cases passed" % total
    else:
        state, why = SKIPPED, "no test ran: %s" % ("; ".join(sorted({row[2] for row in rows})) or "there is none")
    lines = table(("test", "result", "", "seconds"), rows) + logs
    return part("tests", state, why, seconds, lines, {"tests": [dict(zip(("name", "result", "why", "seconds"), row))
                                                               for row in rows], "passed": total})


def failures(path):
    """What Catch2 wrote about its failed cases."""
    try:
        found = [node for node in ElementTree.parse(path).getroot().iter() if node.tag in ("failure", "error")]
    except (OSError, ElementTree.ParseError):
        return ""
    lines = "\n".join((node.text or node.get("message", "")).strip() for node in found).splitlines()
    return "\n".join(lines[:SHOWN_LINES])


def run_sanitizers(job, tests, sanitizer, limit):
    """The operators' tests under each of compute-sanitizer's tools."""
    if job.emulated:
        return part("compute-sanitizer", SKIPPED, "it watches a GPU alone; the emulator's check mode is its like")
    if not sanitizer:
        return part("compute-sanitizer", SKIPPED, "compute-sanitizer is not installed")
    programs = [test for test in tests if "operators" in test.name or "tensor" in test.name]
    programs.sort(key=lambda test: len(test.words))  # the operators of all kinds last: they take longest
    clock = process.Clock(limit)
    rows, logs, seconds = [], [], 0.0
    for i, tool in enumerate(SANITIZERS):
        of_tool = process.Clock(clock.left() / (len(SANITIZERS) - i))
        for test in programs:
            allowed = of_tool.left()
            log = os.path.join(job.scratch, "%s_%s.log" % (tool, os.path.basename(test.words[0])))
            words = [sanitizer, "--tool", tool, "--error-exitcode", str(FAULTS_CODE)] + list(test.words)
            done = process.run(words, allowed, job.root, log, {"TINYGPT_TEST_DEVICES": GPU})
            seconds += done.seconds
            state, why = sanitizer_verdict(done, allowed)
            rows.append((tool, test.name, state, why, "%.1f" % done.seconds))
            if state == FAILED:
                faults = [line for line in done.output.splitlines() if line.startswith("=========")]
                logs += fenced("\n".join(faults[:SHOWN_LINES]) or process.last_lines(done.output, SHOWN_LINES))
    states = [row[2] for row in rows]
    if FAILED in states:
        state, why = FAILED, "faults were found, see below"
    elif GPU in states:
        state = GPU
        why = "no fault in %d of %d runs; the others: see below" % (states.count(GPU), len(states))
        why = why if SKIPPED in states else "no fault in %d runs" % len(states)
    else:
        state, why = SKIPPED, rows[0][3] if rows else "there is no test to watch"
    return part("compute-sanitizer", state, why, seconds, table(("tool", "test", "result", "", "seconds"), rows) + logs,
                {"runs": [dict(zip(("tool", "test", "result", "why", "seconds"), row)) for row in rows]})


def sanitizer_verdict(done, limit):
    if done.code is None:
        return SKIPPED, "not finished within %.0f s" % limit
    if done.code == SKIPPED_CODE:
        return SKIPPED, "no GPU for the program"
    if done.code == 0 and re.search(r"(ERROR|RACECHECK) SUMMARY: 0 ", done.output):
        return GPU, "no fault"
    if done.code == 0:
        return FAILED, "no summary in its output"
    return FAILED, "faults" if done.code == FAULTS_CODE else "ended with code %d" % done.code
