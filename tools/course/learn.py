"""`./course` alone, list, hint, solution, diff and reset: where the learner is, help, and back to the start."""
import difflib
import os
import shutil
import sys
import time

from course import check, lessons, progress, setup, stubs
from course.terminal import Failure, paint, say


def bar(done, total, width=30):
    filled = int(round(width * done / total)) if total else 0
    return "#" * filled + "." * (width - filled)


def where_you_are(root):
    """`./course` alone."""
    all_lessons, state = lessons.load(root), progress.load(root)
    tasks = [task for task in lessons.all_tasks(all_lessons) if not task.solved]
    done = sum(progress.passed(state, task) for task in tasks)
    say(paint("tinygpt", "title") + ": build a GPT from scratch, in C++ and CUDA.\n")
    task = check.next_task(all_lessons, state)
    say("You have written %d of the %d tasks that the course has today (%d of its %d lessons are there).\n  [%s]\n"
        % (done, len(tasks), len(all_lessons), lessons.COURSE_LENGTH, bar(done, len(tasks))))
    if task is None:
        say("Everything here is done. ./course train --mine trains a GPT with your kernels.")
        return
    lesson = lessons.find_lesson(all_lessons, task.lesson)
    say("%s %02d %s" % (paint("Lesson", "bold"), lesson.number, lesson.title))
    say("  %s\n" % lesson.question)
    say("  read    lessons/%s/README.md  (about %d minutes)" % (lesson.name, lesson.minutes))
    say("  write   %s in %s: %s" % (task.name, lessons.exercise_path(task), task.about))
    say("  check   ./course check %s" % lessons.short_name(task))


def list_all(root, name):
    all_lessons, state = lessons.load(root), progress.load(root)
    chosen = [lessons.find_lesson(all_lessons, name)] if name else all_lessons
    if None in chosen:
        raise Failure("There is no lesson '%s'. The lessons: %s"
                      % (name, ", ".join(lesson.name for lesson in all_lessons)))
    for lesson in chosen:
        done = sum(progress.passed(state, task) for task in lesson.tasks)
        say("%s  %d of %d, %d minutes to read" % (paint("%02d %s" % (lesson.number, lesson.title), "title"), done,
                                                 len(lesson.tasks), lesson.minutes))
        for task in lesson.tasks:
            mark = "given" if task.solved else "passed" if progress.passed(state, task) else ""
            device = "CUDA" if task.device == "cuda" else ""
            say("  %s %-6s %-34s %-5s %s" % (paint("%-6s" % mark, "good" if mark == "passed" else "dim"),
                                            lessons.short_name(task), task.name, device, task.about))
    return 0


def one_task(root, name):
    """The task that a command is about: the named one, or the next."""
    all_lessons = lessons.load(root)
    if not name:
        task = check.next_task(all_lessons, progress.load(root))
        if task is None:
            raise Failure("Every task is done. Name one: ./course list shows them.")
        return task
    tasks = lessons.find_tasks(all_lessons, name)
    exact = [task for task in tasks if task.id.split(".", 1)[1] == name.rpartition(".")[2]]
    tasks = exact if len(exact) == 1 else tasks  # softmax_forward rather than softmax_forward_cuda
    if len(tasks) > 1:
        raise Failure("'%s' are several tasks; name one: %s"
                      % (name, ", ".join("%s %s" % (lessons.short_name(task), task.name) for task in tasks)))
    return tasks[0]


def hint(root, name):
    """One hint more at each call."""
    task, state = one_task(root, name), progress.load(root)
    mine = progress.entry(state, task)
    shown = min(mine.get("hints", 0) + 1, len(task.hints))
    mine["hints"] = shown
    progress.save(root, state)
    say(paint("%s %s" % (lessons.short_name(task), task.name), "title") + "  " + lessons.exercise_path(task))
    for number, text in enumerate(task.hints[:shown], 1):
        say("  %d. %s" % (number, check.wrap(text).replace("\n", "\n     ")))
    if shown < len(task.hints):
        say(paint("Another: ./course hint %s" % lessons.short_name(task), "dim"))
    else:
        say(paint("That was the last hint. ./course solution %s shows ours." % lessons.short_name(task), "dim"))
    return 0


def agreed(question, yes):
    """Asks on a terminal; elsewhere only --yes agrees."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise Failure("%s Add --yes to say so." % question)
    say(question + " [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def may_see(root, task, yes):
    """A solution is shown freely once the task passes, otherwise after asking."""
    if progress.passed(progress.load(root), task):
        return True
    return agreed("You have not passed %s yet. See the solution all the same?" % task.id, yes)


def solution_text(root, task):
    """The solution's file under the exercises' names, and its lines between the marks."""
    text = stubs.rename(stubs.read(root, lessons.solution_path(task)))
    return text, stubs.region_lines(text, task.id)


def solution(root, name, yes):
    task = one_task(root, name)
    if not may_see(root, task, yes):
        return 1
    _, parts = solution_text(root, task)
    say(paint("%s, from %s" % (task.id, lessons.solution_path(task)), "title"))
    if not parts:
        say("This task is given: read the file.")
    for part in parts:
        say("\n".join(part) + "\n")
    say(paint("Beside yours: ./course diff %s" % lessons.short_name(task), "dim"))
    return 0


def diff(root, name, yes):
    task = one_task(root, name)
    path = lessons.exercise_path(task)
    mine = written_parts(root, task)
    if not may_see(root, task, yes):
        return 1
    _, parts = solution_text(root, task)
    lines = list(difflib.unified_diff(["%s\n" % line for part in mine for line in part],
                                      ["%s\n" % line for part in parts for line in part],
                                      "yours: " + path, "ours: " + lessons.solution_path(task), n=99))
    if not lines:
        say("Yours is the solution, letter by letter.")
    for line in lines:
        style = "good" if line.startswith("+") else "bad" if line.startswith("-") else None
        say(paint(line.rstrip("\n"), style) if style else line.rstrip("\n"))
    return 0


def written_parts(root, task):
    path = lessons.exercise_path(task)
    try:
        parts = stubs.region_lines(stubs.read(root, path), task.id)
    except FileNotFoundError:
        raise Failure("%s is gone. ./course reset %s brings it back." % (path, task.id)) from None
    except ValueError as error:
        raise Failure("%s. ./course reset %s --file gives the file back as it was." % (error, task.id)) from None
    if not parts and not task.solved:
        raise Failure("The marks '// your code: %s' are gone from %s. Put them around your code again, or\n"
                      "./course reset %s --file gives the file back as it was." % (task.id, path, task.id))
    return parts


def keep_copy(root, path):
    """A reset can be undone by hand: what was there is kept."""
    full = os.path.join(root, path)
    if not os.path.exists(full):
        return None
    copy = os.path.join(setup.STATE, "backup", "%s-%s" % (time.strftime("%Y%m%d-%H%M%S"), path.replace("/", "-")))
    os.makedirs(os.path.dirname(os.path.join(root, copy)), exist_ok=True)
    shutil.copy2(full, os.path.join(root, copy))
    return copy


def write_file(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(full + ".new", full)


def reset(root, name, whole_file, yes):
    """Puts a task, or its whole file, back to how the course gives it."""
    if not name:
        raise Failure("Name what to reset: a task such as 03.2, or with --file its whole file.")
    task = one_task(root, name)
    path = lessons.exercise_path(task)
    given = stubs.pristine(root, path)
    try:
        now = stubs.read(root, path)
    except OSError:
        now, whole_file = "", True
    if now == given:
        say("%s is as the course gives it." % path)
        return 0
    if whole_file:
        text = given
    else:
        written_parts(root, task)
        text = stubs.replaced(now, task.id, stubs.region_lines(given, task.id))
    what = "the whole of " + path if whole_file else "%s in %s" % (task.symbol, path)
    if now and not agreed("This throws away your code of %s. Do it?" % what, yes):
        return 1
    copy = keep_copy(root, path)
    write_file(root, path, text)
    state = progress.load(root)
    for other in lessons.find_lesson(lessons.load(root), task.lesson).tasks:
        if other.id == task.id or (whole_file and other.file == task.file):
            progress.entry(state, other).pop("passed", None)
    progress.save(root, state)
    say("%s is as at the start.%s" % (what, " What was there: " + copy if copy else ""))
    return 0
