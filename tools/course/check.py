"""`./course check`: compiles what the learner has written, grades it, and says what is wrong."""
import os
import time

from course import grading, lessons, progress, stubs
from course.terminal import Failure, duration, paint, say
from course.times import Times

INDENT = " " * 10


def word(verdict):
    """A verdict in front of its line, always of one width."""
    words = {"passed": ("passed", "good"), "not implemented": ("to do", "dim"), "given": ("given", "dim"),
             "crashed": ("crashed", "bad"), "timeout": ("no end", "bad"), "does not compile": ("error", "bad")}
    text, style = words.get(verdict, ("wrong", "bad"))
    return paint("%-8s" % text, style)


def indented(text):
    return "\n".join(INDENT + line for line in text.rstrip().split("\n"))


def wrap(text, width=88):
    """Long lines, broken between words."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for part in paragraph.split(" "):
            if line and len(line) + 1 + len(part) > width:
                lines.append(line)
                line = part
            else:
                line = part if not line else line + " " + part
        lines.append(line)
    return "\n".join(lines)


def show_profile(mine, solution):
    """The profiler's numbers of the learner's kernel beside the solution's."""
    if not mine:
        return
    theirs = {row["what"]: row["value"] for row in (solution or {}).get("rows", [])}
    say(indented("What the emulator counted in %s:" % mine["run"]))
    say(INDENT + paint("%-60s %12s %12s" % ("", "yours", "solution"), "dim"))
    for row in mine["rows"]:
        value = theirs.get(row["what"])
        say(INDENT + "%-60s %12s %12s" % (row["what"], number(row["value"]), "" if value is None else number(value)))


def number(value):
    return "%d" % value if value == int(value) else "%.2f" % value


def show(task, verdict, solution_profile):
    kind = verdict["verdict"]
    title = "  %s %-6s %s" % (word("given" if task.solved and kind == "passed" else kind), lessons.short_name(task),
                              task.name + ("  (CUDA)" if task.device == "cuda" else ""))
    say(title)
    if kind == "not implemented":
        say(INDENT + paint("%s: %s" % (lessons.exercise_path(task), task.about), "dim"))
    elif kind != "passed":
        if verdict.get("call"):
            say(INDENT + paint(verdict["call"], "bold"))
        say(indented(wrap(verdict["problem"])))
        if verdict.get("nudge"):
            say(indented(paint(wrap(verdict["nudge"]), "warn")))
    elif task.device == "cuda":
        show_profile(verdict.get("profile"), solution_profile)


def solution_profiles(plan, tools, exercise, tasks):
    """What the profiler counts in the solutions, measured once for each state of the sources."""
    from course import setup
    path = os.path.join(grading.course_folder(plan), "profiles", exercise + ".json")
    mark = grading.source_mark(plan.root)
    known = setup.read_json(path)
    if known.get("mark") != mark:
        outcome = grading.grade_solution(plan, tools, exercise, [task.id for task in tasks], profile=True)
        known = {"mark": mark, "profiles": {name: verdict.get("profile") for name, verdict in outcome.verdicts.items()}}
        setup.write_json(path, known)
    return known["profiles"]


def check_file(plan, tools, exercise, tasks, state):
    """Grades the tasks of one file, shows their verdicts, and notes them. Returns how many passed."""
    if not os.path.exists(os.path.join(plan.root, "exercises", exercise)):
        say("  %s exercises/%s is gone: ./course reset %s brings it back"
            % (word("does not compile"), exercise, tasks[0].id))
        return 0
    cuda = exercise.endswith(".cu")
    outcome = grading.grade(plan, tools, exercise, [task.id for task in tasks], profile=cuda)
    if outcome.compile_errors:
        say("  %s exercises/%s does not compile:" % (word("does not compile"), exercise))
        say(indented(outcome.compile_errors))
        return 0
    passed = [task for task in tasks if outcome.verdicts[task.id]["verdict"] == "passed"]
    profiles = solution_profiles(plan, tools, exercise, tasks) if cuda and passed else {}
    on_gpu = gpu_verdicts(plan, tools, exercise, passed) if cuda and passed else {}
    for task in tasks:
        verdict = on_gpu.get(task.id, outcome.verdicts[task.id])
        if verdict["verdict"] == "passed":
            show(task, outcome.verdicts[task.id], profiles.get(task.id))
            if task.id in on_gpu:
                say(INDENT + paint("It passes on the GPU, too.", "good"))
        else:
            show(task, verdict, None)
        progress.note_verdict(state, task, verdict["verdict"])
    return sum(on_gpu.get(task.id, outcome.verdicts[task.id])["verdict"] == "passed" for task in passed)


def gpu_verdicts(plan, tools, exercise, tasks):
    """Where there is a GPU: verdicts on it, by task, for what the emulator has passed."""
    if not grading.gpu_is_there(plan):
        return {}
    outcome = grading.grade(plan, tools, exercise, [task.id for task in tasks], name="mine-gpu", world="gpu")
    if outcome.compile_errors:
        wrong = {"verdict": "wrong", "problem": "It does not compile for the GPU:\n" + outcome.compile_errors}
        return {task.id: wrong for task in tasks}
    return {name: verdict if verdict["verdict"] == "passed" else
            dict(verdict, problem="On the GPU, after it passed in the emulator: " + verdict["problem"])
            for name, verdict in outcome.verdicts.items()}


def by_file(tasks):
    files = {}
    for task in tasks:
        files.setdefault("%s/%s" % (task.lesson, task.file), []).append(task)
    return files


def check_tasks(root, tasks, fetch=False):
    """Checks these tasks. Returns how many of them passed."""
    times = Times()
    plan, tools = grading.prepare(root, fetch, times)
    begin = time.monotonic()
    state = progress.load(root)
    passed = 0
    for lesson in sorted({task.lesson for task in tasks}):
        say(paint(lesson, "title"))
        for exercise, group in by_file([task for task in tasks if task.lesson == lesson]).items():
            passed += check_file(plan, tools, exercise, group, state)
    progress.save(root, state)
    say("\n" + paint("%d of %d passed in %s" % (passed, len(tasks), duration(time.monotonic() - begin)), "dim"))
    say_next(root, tasks, passed, state)
    return passed


def say_next(root, tasks, passed, state):
    """One line on what to do now."""
    failed = [task for task in tasks if not progress.passed(state, task)]
    written = [task for task in failed if stubs.is_written(root, task)]
    if written:
        say("Stuck? ./course hint %s" % lessons.short_name(written[0]))
    elif failed:
        say("Next: write %s in %s" % (failed[0].name, lessons.exercise_path(failed[0])))
    elif passed == len(tasks):
        task = next_task(lessons.load(root), state)
        if task is None:
            say("That was the last task of the course as it is today.")
        else:
            say("Next: %s %s, in %s" % (lessons.short_name(task), task.name, lessons.exercise_path(task)))
        say("To compare with ours: ./course diff %s" % lessons.short_name(tasks[-1]))


def next_task(all_lessons, state):
    for task in lessons.all_tasks(all_lessons):
        if not progress.passed(state, task):
            return task
    return None


def current_tasks(root):
    """What `./course check` means without a name: the lesson where the learner is."""
    all_lessons = lessons.load(root)
    task = next_task(all_lessons, progress.load(root))
    if not all_lessons:
        raise Failure("There are no lessons here yet.")
    return lessons.find_lesson(all_lessons, task.lesson if task else all_lessons[-1].name).tasks


def check(root, name, fetch):
    tasks = lessons.find_tasks(lessons.load(root), name) if name else current_tasks(root)
    return 0 if check_tasks(root, tasks, fetch) == len(tasks) else 1


def newest_change(root):
    """Modification times of all exercise files: polling works where notifications do not (WSL, containers)."""
    times = {}
    for where, _, names in os.walk(os.path.join(root, "exercises")):
        for name in names:
            if name.endswith((".h", ".cpp", ".cuh", ".cu")):
                path = os.path.join(where, name)
                try:
                    times[path] = os.stat(path).st_mtime_ns
                except OSError:
                    pass  # an editor is replacing it
    return times


def watch(root, name, fetch, poll=0.2):
    """Checks whatever file is saved, until Ctrl-C."""
    all_lessons = lessons.load(root)
    wanted = set(lessons.find_tasks(all_lessons, name)) if name else set(lessons.all_tasks(all_lessons))
    grading.prepare(root, fetch, Times())
    known = newest_change(root)
    say("Watching %s. Save a file there, and it is checked. Ctrl-C ends this."
        % ("exercises/" if not name else ", ".join(sorted({lessons.exercise_path(task) for task in wanted}))))
    while True:
        time.sleep(poll)
        now = newest_change(root)
        changed = [path for path in now if known.get(path) != now[path]]
        known = now
        for path in changed:
            relative = os.path.relpath(path, os.path.join(root, "exercises"))
            tasks = [task for task in lessons.all_tasks(all_lessons)
                     if task in wanted and "%s/%s" % (task.lesson, task.file) == relative]
            if tasks:
                say("\n" + paint("%s  %s" % (time.strftime("%H:%M:%S"), relative), "dim"))
                check_tasks(root, tasks, fetch)
