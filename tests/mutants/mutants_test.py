#!/usr/bin/env python3
"""Every mutant of a lesson is rejected, by its own task, with the words that it is to be rejected with.

    tests/mutants/mutants_test.py BUILD_FOLDER [--verbose] LESSON [MUTANT...]

A mutant is a plausible wrong solution: NN-name/what_is_wrong.mutant says, line by line,

    One sentence on the mistake.
    task: 04.softmax_forward
    says: subtract the largest        (optional: part of what the learner reads)
    --- instead of
    lines of the solution
    --- write
    lines with the mistake            (these two parts may come again)
"""
import os
import re
import sys
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import build, grading, lessons, stubs  # noqa: E402  (the path above must come first)

Mutant = namedtuple("Mutant", "name about task says edits")


def parse(path):
    with open(path, encoding="utf-8") as file:
        head, *parts = re.split(r"^--- (instead of|write)\n", file.read(), flags=re.MULTILINE)
    lines = head.strip().split("\n")
    fields = dict(re.match(r"(task|says): (.*)", line).groups() for line in lines[1:])
    kinds, texts = parts[0::2], parts[1::2]
    if kinds != ["instead of", "write"] * (len(kinds) // 2) or not kinds:
        raise ValueError("%s: needs '--- instead of' and '--- write', in turn" % path)
    name = os.path.basename(path)[:-len(".mutant")]
    return Mutant(name, lines[0], fields["task"], fields.get("says", ""), list(zip(texts[0::2], texts[1::2])))


def apply(mutant, solution):
    """The solution with the mistake in it. The text to replace must be there exactly once."""
    for old, new in mutant.edits:
        count = solution.count(old)
        if count != 1:
            raise ValueError("does not apply: this is in the solution %d times, not once:\n%s" % (count, old))
        solution = solution.replace(old, new)
    return solution


def reject(plan, tools, tasks, mutant, verbose):
    """What is wrong with the mutant's rejection, or None."""
    task = tasks.get(mutant.task)
    if task is None:
        return "the lesson has no task %s" % mutant.task
    exercise = "%s/%s" % (task.lesson, task.file)
    try:
        text = apply(mutant, stubs.read(ROOT, lessons.solution_path(task)))
    except ValueError as error:
        return str(error)
    folder = os.path.join(grading.course_folder(plan), "mutants", task.lesson)
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(folder, mutant.name + os.path.splitext(task.file)[1])
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    outcome = grading.grade_solution(plan, tools, exercise, [task.id], source, name="mutants/" + mutant.name)
    if outcome.compile_errors:
        return "does not compile:\n" + outcome.compile_errors
    verdict = outcome.verdicts[task.id]
    if verdict["verdict"] == "passed":
        return "passes: %s" % mutant.about
    words = "%s\n%s" % (verdict["problem"], verdict["nudge"])
    if verbose:
        print("%s: %s\n  %s: %s\n  %s\n" % (mutant.name, mutant.about, verdict["verdict"], verdict["call"],
                                           words.strip().replace("\n", "\n  ")))
    else:
        print("%-50s %s: %s" % (mutant.name, verdict["verdict"], verdict["call"]))
    if mutant.says not in words.replace("\n", " "):
        return "is rejected without the words '%s', but with:\n%s" % (mutant.says, words)
    return None


def missing_mutants(lesson, mutants):
    """Tasks with fewer than two mutants, and mistakes of lesson.json without one."""
    for task in lesson.tasks:
        count = sum(mutant.task == task.id for mutant in mutants)
        if count < 2 and not task.solved:
            yield "%s has %d mutants; at least 2" % (task.id, count)
    names = {mutant.name for mutant in mutants}
    for mistake in lesson.mistakes:
        for name in mistake["mutants"]:
            if name not in names:
                yield "lesson.json names the mutant %s, which is not there" % name


def main(arguments):
    verbose = "--verbose" in arguments
    folder, lesson_name, *chosen = [word for word in arguments if word != "--verbose"]
    plan = build.Plan(ROOT, "default", os.path.realpath(folder), False, False)
    lesson = lessons.find_lesson(lessons.load(ROOT), lesson_name)
    where = os.path.join(ROOT, "tests", "mutants", lesson.name)
    names = sorted(name for name in os.listdir(where) if name.endswith(".mutant")) if os.path.isdir(where) else []
    mutants = [parse(os.path.join(where, name)) for name in names]
    problems = list(missing_mutants(lesson, mutants)) if not chosen else []
    tools = grading.Toolbox(plan)
    tasks = {task.id: task for task in lesson.tasks}
    ran = [mutant for mutant in mutants if not chosen or mutant.name in chosen]
    for mutant in ran:
        problem = reject(plan, tools, tasks, mutant, verbose)
        if problem:
            problems.append("%s %s" % (mutant.name, problem))
    print("\n".join(problems))
    print("%d mutants, %d problems" % (len(ran), len(problems)))
    return 1 if problems or not ran else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
