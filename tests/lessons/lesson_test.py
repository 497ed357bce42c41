#!/usr/bin/env python3
"""A lesson's solutions pass their own graders, kernels under ten orders of their threads; its exercises, as they are
given, compile and are not written yet.

    tests/lessons/lesson_test.py BUILD_FOLDER LESSON
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import build, grading, lessons, stubs  # noqa: E402  (the path above must come first)


def pristine_file(plan, exercise):
    """The exercise as it is given, whatever the learner has made of it meanwhile."""
    path = os.path.join(grading.course_folder(plan), "pristine", exercise)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(stubs.pristine(ROOT, "exercises/" + exercise))
    return path


def judge(title, outcome, tasks, wanted):
    """Problems: whatever is not the verdict that is wanted of each task."""
    if outcome.compile_errors:
        return ["%s does not compile:\n%s" % (title, outcome.compile_errors)]
    problems = []
    for task in tasks:
        verdict = outcome.verdicts[task.id]
        good = verdict["verdict"] == wanted(task)
        print("%-10s %-34s %s" % (title, task.id, verdict["verdict"]))
        if not good:
            problems.append("%s of %s is '%s' instead of '%s': %s %s" % (
                title, task.id, verdict["verdict"], wanted(task), verdict.get("call", ""), verdict.get("problem", "")))
    return problems


def main(arguments):
    folder, lesson_name = arguments
    plan = build.Plan(ROOT, "default", os.path.realpath(folder), False, False)
    tools = grading.Toolbox(plan)
    lesson = lessons.find_lesson(lessons.load(ROOT), lesson_name)
    problems = []
    for file in sorted({task.file for task in lesson.tasks}):
        exercise = "%s/%s" % (lesson.name, file)
        tasks = [task for task in lesson.tasks if task.file == file]
        names = [task.id for task in tasks]
        os.environ["TINYGPT_GRADING_ROUNDS"] = "10"
        problems += judge("solution", grading.grade_solution(plan, tools, exercise, names), tasks, lambda _: "passed")
        del os.environ["TINYGPT_GRADING_ROUNDS"]
        stub = pristine_file(plan, exercise)
        problems += judge("exercise", grading.grade(plan, tools, exercise, names, stub, quiet=True, name="pristine"),
                          tasks, lambda task: "passed" if task.solved else "not implemented")
    print("\n".join(problems))
    print("%d tasks, %d problems" % (len(lesson.tasks), len(problems)))
    return 1 if problems or not lesson.tasks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
