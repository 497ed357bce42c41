"""Compiles one exercise file, links it with its grader, runs it, and reads the verdicts.

The compiler's words come from the solution's entry in compile_commands.json, so that an exercise is compiled exactly as
its solution is. The same goes for mutants: any file may stand in the exercise's place.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import namedtuple

from course import build
from course.terminal import Failure

# verdicts: by task id. compile_errors: what to show where it does not compile. seconds: of the whole.
Outcome = namedtuple("Outcome", "verdicts compile_errors")
MAXIMUM_ERRORS = 3
CHECKED = "checked"  # the world of .cu files in which kernels are graded


def gpu_is_there(plan):
    """Whether the build has kernels for a GPU and a driver answers."""
    if build.cached_value(plan.folder, "CMAKE_CUDA_COMPILER") is None or shutil.which("nvidia-smi") is None:
        return False
    return subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def course_folder(plan):
    return os.path.join(plan.folder, "course")


class Toolbox:
    """What a build folder knows: how each solution is compiled, and what each grader links."""

    def __init__(self, plan):
        self.plan = plan
        self.commands = {}
        with open(os.path.join(plan.folder, "compile_commands.json"), encoding="utf-8") as file:
            for entry in json.load(file):
                self.commands.setdefault(os.path.realpath(entry["file"]), []).append(entry["command"])
        self.libraries = {}
        with open(os.path.join(course_folder(plan), "graders.txt"), encoding="utf-8") as file:
            for line in file:
                exercise, *libraries = line.rstrip("\n").split("\t")
                self.libraries[exercise] = [library for library in libraries if library]

    def compiler_words(self, solution, world=CHECKED):
        """The words that compile a solution: the compiler, then its options, without input and output. world: of a
        .cu file (cmake/Cuda.cmake)."""
        cuda = solution.endswith(".cu")
        source = os.path.join(self.plan.folder, "simt", solution + ".cpp") if cuda and world != "gpu" \
            else os.path.join(self.plan.root, solution)
        library = "tinygpt_solutions_" + world if cuda else "tinygpt_solutions.dir"
        for command in self.commands.get(os.path.realpath(source), []):
            if library in command:
                words = shlex.split(command)
                at = words.index("-o")
                words = words[:at] + words[at + 2:]
                at = words.index("-c")
                words = words[:at] + words[at + 2:]
                # A learner's warnings are for the learner, and no errors, in CI neither.
                words = [word for word in words if not word.endswith("ccache") and not word.startswith("-Dref_cuda=")]
                return [word for word in words if word not in ("-Werror", "all-warnings", "--Werror=all-warnings")]
        raise Failure("The build in %s does not know %s; remove that folder and run this again."
                      % (self.plan.folder, solution), code=1)


def newer(path, than):
    return not os.path.exists(than) or os.stat(path).st_mtime_ns > os.stat(than).st_mtime_ns


def rewrite(plan, source, output):
    os.makedirs(os.path.dirname(output), exist_ok=True)
    done = subprocess.run([os.path.join(plan.root, "tools", "rewrite-cuda"), source, output], cwd=plan.root,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return "" if done.returncode == 0 else done.stdout


def rewrite_headers(plan, tree):
    """The device headers of exercises/ or solutions/, where they are newer than what was made of them."""
    for where, _, names in os.walk(os.path.join(plan.root, tree)):
        for name in names:
            source = os.path.join(where, name)
            output = os.path.join(plan.folder, "simt", os.path.relpath(source, plan.root))
            if name.endswith(".cuh") and newer(source, output):
                problem = rewrite(plan, source, output)
                if problem:
                    return problem
    return ""


def trim_errors(text, path):
    """The compiler's first few errors, those in the learner's file before others, without the chain of includes."""
    blocks = []
    for line in text.splitlines():
        if re.match(r"\S.*?:\d+(:\d+)?: (fatal error|error|warning|note)", line):
            blocks.append([line])
        elif blocks and re.match(r"( +\d* \|| {4})", line):
            blocks[-1].append(line)
    errors = [block for block in blocks if "error" in block[0].split(":")[3 if block[0].count(":") > 3 else 2]]
    own = [block for block in errors if os.path.basename(path) in block[0].split(":")[0]]
    chosen = (own or errors)[:MAXIMUM_ERRORS]
    if not chosen:
        return "\n".join(text.splitlines()[:12])
    return "\n".join("\n".join(block[:6]) for block in chosen)


def renames(exercise, tree, world=CHECKED):
    """Options that compile a solution under the exercises' names."""
    if tree == "exercises":
        return []
    if not exercise.endswith(".cu"):
        return ["-Dref=mine"]
    return ["-Dref_cuda=mine_cuda" + ("" if world == "gpu" else "_" + world)]


def compile_file(tools, exercise, source, output, options, tree, world=CHECKED):
    """Compiles `source` in the place of exercises/`exercise`. Returns the errors, empty when there are none."""
    plan, solution = tools.plan, "solutions/" + exercise
    words = tools.compiler_words(solution, world)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    text = source
    if exercise.endswith(".cu") and world != "gpu":
        problem = rewrite_headers(plan, tree)
        text = output + ".rewritten.cpp"
        problem = problem or rewrite(plan, source, text)
        if problem:
            return problem
        options = options + ["-fdebug-prefix-map=%s=%s" % (text, source)]  # what addr2line calls the file
    command = words + options + ["-Wno-unused", "-Wno-unused-parameter", "-fmax-errors=6", "-fdiagnostics-color=never",
                                 "-c", text, "-o", output]
    if "clang" in os.path.basename(words[0]):
        command = [word.replace("-fmax-errors=6", "-ferror-limit=6") for word in command]
    done = subprocess.run(command, cwd=plan.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    return "" if done.returncode == 0 else trim_errors(done.stdout, source)


def link_options(tools, exercise, world):
    libraries = tools.libraries.get(("gpu:" if world == "gpu" else "") + exercise)
    if libraries is None:
        raise Failure("There is no grader for exercises/%s in this build." % exercise, code=1)
    if sys.platform != "darwin":  # the libraries need each other, in a circle that main() closes
        libraries = ["-Wl,--start-group"] + libraries + ["-Wl,--end-group"]
    words = ["-fopenmp", "-pthread"] + libraries
    if not exercise.endswith(".cu"):
        return words + ["-lutf8proc"] if any("tinygpt_text" in name for name in libraries) else words
    return words + ["-ldl"]


def link(tools, exercise, objects, program, world=CHECKED):
    compiler = tools.compiler_words("solutions/" + exercise, world)[0]
    options = link_options(tools, exercise, world)
    if world == "gpu":  # nvcc links, and knows where its own libraries are; it takes no libfmt.so.9 by its path
        options = ["-Xcompiler=" + word if word.startswith("-f") or word == "-pthread" else
                   "-Xlinker=" + word[4:] if word.startswith("-Wl,") else word for word in options]
        for word in [word for word in options if ".so." in os.path.basename(word)]:
            at = options.index(word)
            options[at:at + 1] = ["-L" + os.path.dirname(word), "-l:" + os.path.basename(word)]
        command = [compiler] + objects + ["-o", program] + options
    else:
        command = [compiler] + fast_linker() + objects + ["-o", program] + options
    done = subprocess.run(command, cwd=tools.plan.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    if done.returncode == 0:
        return ""
    missing = sorted(set(re.findall(r"undefined reference to [`']([^']+)'", done.stdout)))
    if missing:
        return "The grader calls these, and the file does not define them (renamed, or other arguments?):\n  " \
            + "\n  ".join(missing[:6])
    return "\n".join(done.stdout.splitlines()[-8:])


def fast_linker():
    for name in ("mold", "ld.lld", "ld.gold"):
        if shutil.which(name):
            return ["-fuse-ld=" + name.replace("ld.", "")]
    return []


def run_grader(plan, program, tasks, profile=False, quiet=False):
    """Verdicts by task id. What the learner's code prints goes to the terminal, unless quiet."""
    path = program + ".verdict"
    if os.path.exists(path):
        os.remove(path)
    command = [program, "--verdict", path] + (["--profile"] if profile else []) + list(tasks)
    verdicts, left = {}, list(tasks)
    while left:
        done = subprocess.run(command, cwd=plan.root, stdout=subprocess.DEVNULL if quiet else None,
                              stderr=subprocess.DEVNULL if quiet else None)
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    verdict = json.loads(line.replace(plan.root + os.sep, ""))
                    verdicts[verdict["task"]] = verdict
        except (OSError, ValueError):
            pass
        before = len(left)
        left = [task for task in left if task not in verdicts]
        if len(left) == before:  # it ended without a word on any of them
            verdicts[left[0]] = {"task": left[0], "verdict": "crashed", "call": "", "nudge": "",
                                 "problem": "the program ended with code %d before it could say why" % done.returncode}
            left = left[1:]
        command = command[:3] + (["--profile"] if profile else []) + left
    return verdicts


def grade(plan, tools, exercise, tasks, source=None, options=(), profile=False, quiet=False, name=None,
          tree="exercises", world=CHECKED):
    """Grades a file (the exercise itself, where no other source is given) for these task ids. world: where the kernels
    of a .cu file run, checked in the emulator or on a gpu."""
    source = source or "exercises/" + exercise
    stem = os.path.join(course_folder(plan), name or "mine", exercise)
    obj, program = stem + ".o", stem + ".grade"
    errors = compile_file(tools, exercise, source, obj, list(options), tree, world)
    errors = errors or link(tools, exercise, [obj], program, world)
    if errors:
        return Outcome({}, errors)
    return Outcome(run_grader(plan, program, tasks, profile, quiet), "")


def grade_solution(plan, tools, exercise, tasks, source=None, profile=False, name="solution"):
    """The same for a solution, or a file made from one: compiled under the exercises' names."""
    return grade(plan, tools, exercise, tasks, source or "solutions/" + exercise, renames(exercise, "solutions"),
                 profile, True, name, "solutions")


def prepare(root, fetch, times):
    """The graders, built; nothing is done where no source has changed since."""
    plan = build.make_plan(root, "default", fetch)
    mark = source_mark(root)
    stamp = os.path.join(course_folder(plan), "built")
    try:
        with open(stamp, encoding="utf-8") as file:
            if file.read() == mark:
                return plan, Toolbox(plan)
    except OSError:
        pass
    build.prepare(plan, ("graders",), times)
    if gpu_is_there(plan):
        build.prepare(plan, ("graders_gpu",), times)
    os.makedirs(course_folder(plan), exist_ok=True)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(mark)
    return plan, Toolbox(plan)


def source_mark(root):
    """Changes when anything that graders are built from does."""
    newest, count = os.stat(os.path.join(root, "CMakeLists.txt")).st_mtime_ns, 0
    for folder in ("cmake", "solutions", "tests/lessons", "tests/support", "tests/ops", "tinygpt"):
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith((".h", ".cpp", ".cuh", ".cu", ".txt", ".cmake")):
                    newest = max(newest, os.stat(os.path.join(where, name)).st_mtime_ns)
                    count += 1
    return "%d %d" % (newest, count)
