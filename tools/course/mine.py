"""`./course train --mine`: a GPT trained with the learner's kernels, and the reference's where there are none yet.
`./course parity`: the same kernels, and lesson 11's machine where it is written, against PyTorch's numbers."""
import os

from course import build, grading, lessons, progress, stubs
from course.mine_table import MACHINE, PLACES, Kernels, archive, has_machine, table_entries
from course.terminal import Failure, heading, paint, run_visible, say

PROGRAM, PARITY = "tinygpt-mine", "parity-mine"
# What the learner's kernels are trained on where nothing else is asked for.
DATA = os.path.join("data", "mine")
CORPUS = ["data", "tinytales", "--stories", "4000", "--tokenizer", "char", "--out", DATA]
DEFAULT = ["--data", DATA, "--out", os.path.join("models", "mine"), "--config", "nano-cpu", "--layers", "2",
           "--heads", "4", "--width", "64", "--hidden", "256", "--batch", "4", "--steps", "3000", "--lr", "3e-3",
           "--eval-every", "100", "--eval-tokens", "2000", "--last-eval-tokens", "10000", "--max-minutes", "3",
           "--overwrite"]
# The emulator is some hundred times slower than a GPU: enough to see the loss fall. The last word of an option counts.
EMULATED = DEFAULT + ["--layers", "1", "--heads", "2", "--width", "32", "--hidden", "64", "--context", "32", "--batch",
                      "2", "--steps", "200", "--eval-every", "50", "--eval-tokens", "256", "--last-eval-tokens", "512"]


def take_device(plan, words):
    """The place that `--device NAME` asks for, and the other words. auto: a GPU where there is one, else the CPU."""
    device, rest = "auto", []
    words = iter(words)
    for word in words:
        if word == "--device":
            device = next(words, "")
        elif word.startswith("--device="):
            device = word.split("=", 1)[1]
        else:
            rest.append(word)
    if device == "auto":
        device = "cuda" if grading.gpu_is_there(plan) else "cpu"
    if device not in PLACES:
        raise Failure("--device: there is no '%s'; there are: auto, %s" % (device, ", ".join(PLACES)))
    if device == "cuda" and build.cached_value(plan.folder, "CMAKE_CUDA_COMPILER") is None:
        raise Failure("--device cuda: this build has no CUDA compiler (./course doctor says how to get one); "
                      "--device emulated runs your CUDA kernels on the processor, slowly.")
    return PLACES[device], rest


def compile_kernels(plan, tools, place, exercise, tree):
    """The object file with the exercise's kernels for this place, and what the compiler says against it."""
    if place.device == "cpu":
        return os.path.join(grading.course_folder(plan), "mine", exercise) + ".o", ""  # as it was graded
    obj = os.path.join(grading.course_folder(plan), "mine-" + place.device, exercise) + ".o"
    options = grading.renames(exercise, tree, place.world)
    errors = grading.compile_file(tools, exercise, "%s/%s" % (tree, exercise), obj, options, tree, place.world)
    return obj, errors


def grade_written(plan, tools, exercise, tasks, tree):
    """As ./course check does; the solutions of `tree` under the exercises' names."""
    ids = [task.id for task in tasks]
    if tree == "exercises":
        return grading.grade(plan, tools, exercise, ids, quiet=True)
    return grading.grade_solution(plan, tools, exercise, ids, name="mine")


def is_wanted(task, place, entries):
    """Whether the task is an operator for this place, or part of lesson 11's machine, which calls them."""
    of_machine = place.device == "cpu" and task.lesson == "11-gpt" and task.symbol in MACHINE
    return task.device == place.tasks and (task.symbol in entries or of_machine) and not task.solved


def judge(plan, tools, place, state, tree="exercises"):
    """Compiles and grades every file with operators for this place. Returns the kernels that are right, and remarks."""
    entries, _ = table_entries(plan.root, place)
    right, remarks = Kernels([], [], []), []
    groups = {}
    for task in lessons.all_tasks(lessons.load(plan.root)):
        if is_wanted(task, place, entries):
            groups.setdefault("%s/%s" % (task.lesson, task.file), []).append(task)
    for exercise, tasks in groups.items():
        written = [task for task in tasks if tree != "exercises" or stubs.is_written(plan.root, task)]
        if not written:
            continue
        outcome = grade_written(plan, tools, exercise, written, tree)
        if outcome.compile_errors:
            remarks.append("exercises/%s does not compile: ./course check %s" % (exercise, written[0].id))
            continue
        for task in written:
            progress.note_verdict(state, task, outcome.verdicts[task.id]["verdict"])
        wrong = [task for task in written if outcome.verdicts[task.id]["verdict"] != "passed"]
        remarks += ["your %s is not right yet: ./course check %s" % (task.symbol, task.id) for task in wrong]
        # A function of several tasks is the learner's when all of them are right.
        symbols = list(dict.fromkeys(task.symbol for task in tasks))
        good = [symbol for symbol in symbols
                if all(task in written and task not in wrong for task in tasks if task.symbol == symbol)]
        obj, errors = compile_kernels(plan, tools, place, exercise, tree) if good else ("", "")
        if errors:
            remarks.append("exercises/%s does not compile for --device %s:\n%s" % (exercise, place.device, errors))
        elif good:
            right.functions.extend(good)
            right.objects.append(obj)
            right.headers.extend(headers_of(plan.root, os.path.dirname(exercise), place, right.headers))
    return right, remarks


def headers_of(root, lesson, place, known):
    """The lesson's headers that declare functions for this place; those with device code are for kernels alone."""
    ending = ".h" if place.device == "cpu" else ".cuh"
    paths = ["exercises/%s/%s" % (lesson, name) for name in sorted(os.listdir(os.path.join(root, "exercises", lesson)))
             if name.endswith(ending)]
    return [path for path in paths if path not in known and "kernel.cuh" not in stubs.read(root, path)]


def whose(right, entries, place):
    """Which kernels are the learner's."""
    yours = sorted(entry for function in right.functions for entry in entries.get(function, []))
    total = sum(len(names) for names in entries.values())
    kind = "kernels" if place.device == "cpu" else "CUDA kernels"
    say("%d of the %d %s that train a GPT are yours%s" % (len(yours), total, kind, ":" if yours else " so far."))
    if yours:
        say("  " + ", ".join(yours))
    if has_machine(right):
        say("The machine of lesson 11 is yours, too.")
    if len(yours) < total:
        say(paint("The others are the reference's: the clear ones from solutions/.", "dim"))


def make_programs(plan, tools, place, times, programs, tree="exercises"):
    """Builds programs with the kernels that are right. Returns them."""
    state = progress.load(plan.root)
    heading("Your kernels")
    right, remarks = judge(plan, tools, place, state, tree)
    if tree == "exercises":
        progress.save(plan.root, state)
    for remark in remarks:
        say(paint(remark, "warn"))
    whose(right, table_entries(plan.root, place)[0], place)
    if not right.functions:
        first = "linear_forward in lesson 03" if place.device == "cpu" else "softmax_forward in lesson 04"
        raise Failure("Write one first, such as %s: ./course says what is next.%s"
                      % (first, "" if place.device == "cpu" else " --device cpu trains with your C++ kernels."), code=1)
    archive(plan, tools, place, right)
    build.prepare(plan, programs, times)
    return right


def parity(root, fetch, times, tree="exercises"):
    plan, tools = grading.prepare(root, fetch, times)
    make_programs(plan, tools, PLACES["cpu"], times, (PARITY,), tree)
    heading("Against PyTorch's numbers")
    code, interrupted = run_visible([os.path.join(plan.folder, "bin", PARITY)], root)
    times.show()
    return 130 if interrupted else code


def train(root, words, fetch, times, tree="exercises"):
    plan, tools = grading.prepare(root, fetch, times)
    place, words = take_device(plan, words)
    right = make_programs(plan, tools, place, times, (PROGRAM, "tinygpt"), tree)
    if not words:
        words = EMULATED if place.device == "emulated" else DEFAULT
        if not os.path.exists(os.path.join(root, DATA)):
            run_visible([os.path.join(plan.folder, "bin", "tinygpt")] + CORPUS, root)
    heading("The training")
    table = "mine" if place.device == "cpu" else "mine_cuda"
    command = [os.path.join(plan.folder, "bin", PROGRAM), "train", "--device", place.device, "--kernels", table] + words
    with times.stage("train"):
        code, interrupted = run_visible(command, root)
    if code == 0:
        entries, _ = table_entries(root, place)
        count = sum(len(entries.get(function, [])) for function in right.functions)
        say("\nTrained with %d kernel%s of yours." % (count, "s" * (count != 1)))
    times.show()
    return 130 if interrupted else code
