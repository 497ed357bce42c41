"""`./course train --mine`: a GPT trained with the learner's kernels, and the reference's where there are none yet.
`./course parity`: the same kernels, and lesson 11's machine where it is written, against PyTorch's numbers."""
import os
import re
import subprocess

from course import build, grading, lessons, progress, stubs
from course.terminal import Failure, heading, paint, run_visible, say

PROGRAM = "tinygpt-mine"
PARITY = "parity-mine"
MACHINE = ("gpt.cpp", ("block_forward", "block_backward", "gpt_forward", "gpt_backward"))  # of lesson 11
# What the learner's kernels are trained on where nothing else is asked for.
DATA = os.path.join("data", "mine")
CORPUS = ["data", "tinytales", "--stories", "4000", "--tokenizer", "char", "--out", DATA]
DEFAULT = ["--data", DATA, "--out", os.path.join("models", "mine"), "--config", "nano-cpu", "--layers", "2",
           "--heads", "4", "--width", "64", "--hidden", "256", "--batch", "4", "--steps", "3000", "--lr", "3e-3",
           "--eval-every", "100", "--eval-tokens", "2000", "--last-eval-tokens", "10000", "--max-minutes", "3",
           "--overwrite"]


def table_entries(root):
    """Entries of the table of operators by the function that fills them: linear_forward -> [linear_forward]."""
    entries = {}
    for entry, function in re.findall(r"table\.(\w+) = (\w+);", stubs.read(root, "solutions/table.cpp")):
        if not entry.endswith("_size"):
            entries.setdefault(function, []).append(entry)
    return entries


def is_of_machine(task):
    return task.lesson == "11-gpt" and task.file == MACHINE[0]


def judge(plan, tools, entries, state, also=lambda task: False):
    """Compiles and grades every file with operators, or with other tasks that are asked for.
    Returns (objects, headers, functions that are right, remarks)."""
    objects, headers, right, remarks = [], [], [], []
    groups = {}
    for task in lessons.all_tasks(lessons.load(plan.root)):
        if task.device == "cpu" and (task.symbol in entries or also(task)) and not task.solved:
            groups.setdefault("%s/%s" % (task.lesson, task.file), []).append(task)
    for exercise, tasks in groups.items():
        written = [task for task in tasks if stubs.is_written(plan.root, task)]
        if not written:
            continue
        outcome = grading.grade(plan, tools, exercise, [task.id for task in written], quiet=True)
        if outcome.compile_errors:
            remarks.append("exercises/%s does not compile: ./course check %s" % (exercise, written[0].id))
            continue
        good = []
        for task in written:
            verdict = outcome.verdicts[task.id]["verdict"]
            progress.note_verdict(state, task, verdict)
            if verdict == "passed":
                good.append(task.symbol)
            else:
                remarks.append("your %s is not right yet: ./course check %s" % (task.symbol, task.id))
        if good:
            objects.append(os.path.join(grading.course_folder(plan), "mine", exercise) + ".o")
            folder = os.path.dirname(exercise)
            headers += ["exercises/%s/%s" % (folder, name)
                        for name in sorted(os.listdir(os.path.join(plan.root, "exercises", folder)))
                        if name.endswith(".h")]
            right += good
    return objects, sorted(set(headers)), right, remarks


def write_table(path, headers, right, entries):
    lines = ["// Written by tools/course/mine.py: the reference's table with the learner's kernels in it."]
    headers = headers + ["solutions/table.h", "tests/interop/parity.h", "tinygpt/cli/kernels.h"]
    lines += ['#include "%s"' % header for header in headers]
    lines += ["", "namespace tinygpt::cli {", "", "std::vector<NamedOps> more_tables() {"]
    lines += ["  Ops<float> ops = ref::ops();"]
    lines += ["  ops.%s = mine::%s;" % (entry, function) for function in right for entry in entries.get(function, [])]
    machine = "mine::gpt_forward, mine::gpt_backward" if has_machine(right) else ""
    lines += ['  return {{"mine", ops}};', "}", "", "}  // namespace tinygpt::cli", "",
              "tinygpt::MachinePasses tinygpt::my_machine() { return {%s}; }" % machine, ""]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def has_machine(right):
    """Whether lesson 11's machine is the learner's, all of it."""
    return all(function in right for function in MACHINE[1])


def archive(plan, tools, objects, headers, right, entries):
    """The library that tinygpt-mine links: the learner's objects, and the table that names them."""
    folder = grading.course_folder(plan)
    source, obj = os.path.join(folder, "mine_table.cpp"), os.path.join(folder, "mine_table.o")
    library = os.path.join(folder, "libmine.a")
    write_table(source, headers, right, entries)
    words = tools.compiler_words("solutions/03-matmul/matmul.cpp")
    for command in (words + ["-c", source, "-o", obj], ["ar", "rcs", library + ".new", obj] + objects):
        if os.path.exists(library + ".new") and command[0] == "ar":
            os.remove(library + ".new")
        done = subprocess.run(command, cwd=plan.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
        if done.returncode != 0:
            raise Failure("Your kernels cannot be linked:\n%s" % "\n".join(done.stdout.splitlines()[:12]), code=1)
    os.replace(library + ".new", library)


def whose(right, entries):
    """Which kernels are the learner's."""
    yours = sorted(entry for function in right for entry in entries.get(function, []))
    total = sum(len(names) for names in entries.values())
    say("%d of the %d kernels that train a GPT are yours%s" % (len(yours), total, ":" if yours else " so far."))
    if yours:
        say("  " + ", ".join(yours))
    if has_machine(right):
        say("So is lesson 11's machine.")
    if len(yours) < total:
        say(paint("The others are the reference's: the clear ones from solutions/.", "dim"))


def gather(root, fetch, times, also=lambda task: False):
    """Grades what the learner has written, and makes the library of what is right. Returns (plan, right, entries)."""
    plan, tools = grading.prepare(root, fetch, times)
    entries, state = table_entries(root), progress.load(root)
    heading("Your kernels")
    objects, headers, right, remarks = judge(plan, tools, entries, state, also)
    progress.save(root, state)
    for remark in remarks:
        say(paint(remark, "warn"))
    whose(right, entries)
    if not right:
        raise Failure("Write one first, such as linear_forward in lesson 03: ./course says what is next.", code=1)
    archive(plan, tools, objects, headers, right, entries)
    return plan, right, entries


def parity(root, fetch, times):
    plan, _, _ = gather(root, fetch, times, is_of_machine)
    build.prepare(plan, (PARITY,), times)
    heading("Against PyTorch's numbers")
    code, interrupted = run_visible([os.path.join(plan.folder, "bin", PARITY)], root)
    times.show()
    return 130 if interrupted else code


def train(root, words, fetch, times):
    plan, right, entries = gather(root, fetch, times)
    build.prepare(plan, (PROGRAM, "tinygpt"), times)
    if not words:
        words = DEFAULT
        if not os.path.exists(os.path.join(root, DATA)):
            run_visible([os.path.join(plan.folder, "bin", "tinygpt")] + CORPUS, root)
    heading("The training")
    command = [os.path.join(plan.folder, "bin", PROGRAM), "train", "--kernels", "mine"] + words
    with times.stage("train"):
        code, interrupted = run_visible(command, root)
    if code == 0:
        count = sum(len(entries[function]) for function in right)
        say("\nTrained with %d kernel%s of yours." % (count, "s" * (count != 1)))
    times.show()
    return 130 if interrupted else code
