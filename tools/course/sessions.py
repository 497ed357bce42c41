"""A learner's session, played in a copy of the course and written down as plain text.

lessons/sessions/NAME.session says, line by line, what the learner does:

    # a remark, which is left out
    $ ./course check 00.2
    write 00.scale scale_stops_early     the code of tests/mutants/NN-name/scale_stops_early.mutant
    write 00.scale solution              our solution, into the exercise

The copy shares the build of the original: only exercises, progress and what graders write are its own.
"""
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile

from course import build, grading, lessons, stubs

TIMING = re.compile(r"\b\d+(\.\d+)? (s|ms|min \d\d s)\b")
OWN = ("exercises", "tools", "course", "build", ".course", ".git", "data", "models", "lessons-out")
SECONDS = 120  # for one command


def copy_course(root, build_folder, copy):
    """A course in `copy` whose exercises are at the start, ready to check without building anything."""
    for name in os.listdir(root):
        if name not in OWN:
            os.symlink(os.path.join(root, name), os.path.join(copy, name))
    shutil.copy2(os.path.join(root, "course"), copy)
    shutil.copytree(os.path.join(root, "tools"), os.path.join(copy, "tools"),
                    ignore=shutil.ignore_patterns("__pycache__"))
    for solution, exercise in stubs.sources(root, lessons.load(root)):
        os.makedirs(os.path.dirname(os.path.join(copy, exercise)), exist_ok=True)
        with open(os.path.join(copy, exercise), "w", encoding="utf-8") as file:
            file.write(stubs.pristine(root, exercise))
        times = os.stat(os.path.join(root, solution))  # as old as it: nothing of the shared build is made anew
        os.utime(os.path.join(copy, exercise), ns=(times.st_atime_ns, times.st_mtime_ns))
    plan = build.Plan(copy, "default", os.path.join(copy, "build", "default"), False, False)
    os.makedirs(grading.course_folder(plan))
    for name in os.listdir(build_folder):
        if name not in ("course", "logs"):
            os.symlink(os.path.join(build_folder, name), os.path.join(plan.folder, name))
    shutil.copy2(os.path.join(build_folder, "course", "graders.txt"), grading.course_folder(plan))
    with open(os.path.join(grading.course_folder(plan), "built"), "w", encoding="utf-8") as file:
        file.write(grading.source_mark(copy))


def mutant_text(root, task, name):
    """(the solution with the mutant's mistake in it, a sentence on the mistake)."""
    path = os.path.join(root, "tests", "mutants", "mutants_test.py")
    spec = importlib.util.spec_from_file_location("mutants_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    mutant = module.parse(os.path.join(root, "tests", "mutants", task.lesson, name + ".mutant"))
    return module.apply(mutant, stubs.read(root, lessons.solution_path(task))), mutant.about


def write_task(root, copy, task_id, what):
    """Puts a solution or a mutant between the task's marks. Returns the line that says so."""
    task = next((t for t in lessons.all_tasks(lessons.load(root)) if t.id == task_id), None)
    if task is None:
        raise ValueError("there is no task %s" % task_id)
    path = lessons.exercise_path(task)
    if what == "solution":
        text, words = stubs.read(root, lessons.solution_path(task)), "you write %s in %s" % (task.symbol, path)
    else:
        text, about = mutant_text(root, task, what)
        words = "you write %s in %s, with a mistake: %s" % (task.symbol, path, about[0].lower() + about[1:].rstrip("."))
    parts = stubs.region_lines(stubs.rename(text), task.id)
    before = stubs.read(copy, path)
    after = stubs.replaced(before, task.id, parts)
    if after == before:
        raise ValueError("%s %s changes nothing between the marks" % (task_id, what))
    with open(os.path.join(copy, path), "w", encoding="utf-8") as file:
        file.write(after)
    return "[%s]" % words


def run_command(copy, words):
    environment = dict(os.environ, NO_COLOR="1", COLUMNS="100", OMP_WAIT_POLICY="passive", PYTHONDONTWRITEBYTECODE="1")
    environment.pop("CI", None)  # would build elsewhere
    done = subprocess.run(words.split(), cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=SECONDS, env=environment)
    if done.returncode not in (0, 1):  # 1: something is not right yet, which is what sessions are about
        raise ValueError("'%s' ended with code %d:\n%s" % (words, done.returncode, done.stdout[-600:]))
    text = TIMING.sub("(time)", done.stdout.replace(os.path.realpath(copy) + os.sep, ""))
    return [line.rstrip() for line in text.rstrip().split("\n")]


def check_built(build_folder):
    """Else a session would record the linker's complaints."""
    path = os.path.join(build_folder, "course", "graders.txt")
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.rstrip("\n").split("\t") for line in file]
            needed = {name for exercise, *names in lines for name in names if name and not exercise.startswith("gpu:")}
    except OSError:
        needed = {path}
    missing = sorted(name for name in needed if not os.path.exists(name))
    if missing:
        raise ValueError("the graders are not built (%s): ninja -C %s graders" % (missing[0], build_folder))


def record(root, build_folder, name):
    """The session's lines. ValueError where the script or a command of it is wrong."""
    script = stubs.read(root, "lessons/sessions/%s.session" % name).splitlines()
    check_built(build_folder)
    out = []
    with tempfile.TemporaryDirectory(prefix="course session ") as folder:
        copy = os.path.realpath(folder)
        copy_course(root, os.path.realpath(build_folder), copy)
        for line in script:
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "$" and words[1:2] == ["./course"]:
                out += ["$ " + line[2:].strip()] + run_command(copy, line[2:].strip()) + [""]
            elif words[0] == "write" and len(words) == 3:
                out += [write_task(root, copy, words[1], words[2]), ""]
            else:
                raise ValueError("'%s' is neither '$ ./course ...' nor 'write TASK MUTANT'" % line)
    return out[:-1]
