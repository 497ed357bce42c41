"""The lessons: what lessons/NN-name/lesson.json says, and how a learner names a task."""
import json
import os
import re
from collections import namedtuple

from course.terminal import Failure

# id: "04.softmax_forward". file: in exercises/NN-name/. device: cpu or cuda. lines: what a solution takes, about.
# name: of the function to write, where it is not the symbol of the table that it is a part of.
# solved: an example that needs no work. hints: from a nudge to the idea in words.
Task = namedtuple("Task", "id symbol file device lines solved about hints lesson ordinal name")
Lesson = namedtuple("Lesson", "number name title question minutes tasks mistakes")

COURSE_LENGTH = 29  # lessons 00 to 28


def read_lesson(path):
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        lesson = Lesson(value["number"], os.path.basename(os.path.dirname(path)), value["title"], value["question"],
                        value["minutes"], [], value.get("mistakes", []))
        for ordinal, task in enumerate(value["tasks"], 1):
            lesson.tasks.append(Task(task["id"], task["symbol"], task["file"], task["device"], task["lines"],
                                     task.get("solved", False), task["about"], tuple(task["hints"]), lesson.name,
                                     ordinal, task.get("name", task["symbol"])))
        return lesson
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure("%s cannot be read (%s: %s). git checkout brings it back."
                      % (path, type(error).__name__, error)) from None


def load(root):
    """All lessons that exist, in their order."""
    folder = os.path.join(root, "lessons")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = [os.path.join(folder, name, "lesson.json") for name in names if re.match(r"\d\d-", name)]
    return [read_lesson(path) for path in paths if os.path.exists(path)]


def all_tasks(lessons):
    return [task for lesson in lessons for task in lesson.tasks]


def short_name(task):
    """04.2: the task's place, quicker to type than its id."""
    return "%s.%d" % (task.lesson[:2], task.ordinal)


def exercise_path(task):
    return "exercises/%s/%s" % (task.lesson, task.file)


def solution_path(task):
    return "solutions/%s/%s" % (task.lesson, task.file)


def find_lesson(lessons, word):
    """By number or name: 4, 04, bigram, 04-bigram."""
    for lesson in lessons:
        if word in (lesson.name, lesson.name[3:]) or (word.isdigit() and int(word) == lesson.number):
            return lesson
    return None


def find_tasks(lessons, word):
    """The tasks of a lesson (04, bigram), or one task (04.2, 04.softmax_forward, softmax_forward)."""
    lesson = find_lesson(lessons, word)
    if lesson:
        return list(lesson.tasks)
    tasks = all_tasks(lessons)
    for task in tasks:
        if word in (task.id, short_name(task)):
            return [task]
    named = [task for task in tasks if word in (task.symbol, task.name, task.id.split(".", 1)[1])]
    if named:
        return named
    start, _, rest = word.partition(".")
    lesson = find_lesson(lessons, start)
    if lesson and rest:
        named = [task for task in lesson.tasks if rest in (task.symbol, task.name, str(task.ordinal))]
        if named:
            return named
        raise Failure("Lesson %s has no task '%s'. Its tasks: %s"
                      % (lesson.name, rest, ", ".join(task.id for task in lesson.tasks)))
    raise Failure("There is no lesson or task '%s'. Name a lesson (%s), or a task such as %s; ./course list shows all."
                  % (word, ", ".join(lesson.name for lesson in lessons) or "none exists yet",
                     tasks[0].id if tasks else "03.linear_forward"))


def terms(root, lesson):
    """What the lesson defines: term to meaning."""
    with open(os.path.join(root, "lessons", lesson.name, "lesson.json"), encoding="utf-8") as file:
        return json.load(file).get("terms", {})
