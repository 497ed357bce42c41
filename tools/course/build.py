"""Configures and builds a preset, and does nothing where nothing has changed."""
import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from collections import namedtuple

from course import packages, setup
from course.terminal import Failure, must_run, say

MEMORY_PER_JOB = 1.5 * 2**30  # bytes: what the compiler takes for the largest test

# fetch: whether CMake may download the sources of missing libraries. strict: whether warnings are errors.
Plan = namedtuple("Plan", "root preset folder fetch strict")


def make_plan(root, preset, fetch=False):
    """Where CI=true makes warnings errors, a folder of its own keeps the two kinds of build from undoing each other."""
    strict = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")
    folder = os.path.join(root, "build", preset + ("-ci" if strict else ""))
    return Plan(root, preset, folder, fetch, strict)


def logs(plan):
    return os.path.join(plan.folder, "logs")


def preset_names(root):
    presets = setup.read_json(os.path.join(root, "CMakePresets.json")).get("configurePresets", [])
    return [preset["name"] for preset in presets if not preset.get("hidden")]


def available_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 8 * 2**30


def jobs():
    """Compilers to run at once: one per core, fewer where memory would run out."""
    return max(1, min(available_cores(), int(memory_bytes() / MEMORY_PER_JOB)))


@contextlib.contextmanager
def alone(root):
    """Two builds of one folder would corrupt each other, so the second waits."""
    os.makedirs(os.path.join(root, setup.STATE), exist_ok=True)
    with open(os.path.join(root, setup.STATE, "lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Another ./course is building here; waiting for it to finish.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached_value(folder, name):
    """An entry of the folder's CMake cache, or None."""
    try:
        with open(os.path.join(folder, "CMakeCache.txt"), encoding="utf-8", errors="replace") as cache:
            for line in cache:
                if line.startswith(name + ":"):
                    return line.split("=", 1)[1].strip()
    except OSError:
        pass
    return None


def clear_cache(folder):
    if os.path.exists(os.path.join(folder, "CMakeCache.txt")):
        os.remove(os.path.join(folder, "CMakeCache.txt"))
    shutil.rmtree(os.path.join(folder, "CMakeFiles"), ignore_errors=True)


def find_clang(plan):
    """Clang for the presets that need it, under whichever name it is installed."""
    for name in ["clang++"] + ["clang++-%d" % n for n in range(30, packages.MINIMUM_CLANG - 1, -1)]:
        path = shutil.which(name)
        if path and packages.good_enough(packages.identify_compiler(path)):
            return path
    raise Failure("The preset '%s' needs clang %d or later: sudo apt-get install -y clang libomp-dev"
                  % (plan.preset, packages.MINIMUM_CLANG))


def configure_command(plan, compiler, ninja):
    command = [shutil.which("cmake"), "--preset", plan.preset, "-B", plan.folder]
    command += ["-G", "Ninja" if ninja else "Unix Makefiles"]
    command.append("-DCMAKE_CXX_COMPILER=" + (find_clang(plan) if "clang++" in preset_text(plan) else compiler))
    # The Python that notebooks run in, whichever others there are.
    command.append("-DPython3_EXECUTABLE=" + os.path.realpath(sys.executable))
    if shutil.which("ccache"):
        command.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    if plan.strict:
        command.append("-DCMAKE_COMPILE_WARNING_AS_ERROR=ON")
    if sys.platform == "darwin" and os.path.isdir("/opt/homebrew/opt/libomp"):
        command.append("-DOpenMP_ROOT=/opt/homebrew/opt/libomp")
    return command


def preset_text(plan):
    """The preset's own settings as one string."""
    presets = setup.read_json(os.path.join(plan.root, "CMakePresets.json")).get("configurePresets", [])
    return " ".join(str(preset) for preset in presets if preset["name"] == plan.preset)


def configure(plan, compiler, ninja):
    """Runs CMake where the cache does not already hold the answer. Edits of CMake files are the build's own to see."""
    command = configure_command(plan, compiler, ninja)
    with open(os.path.join(plan.root, "CMakePresets.json"), "rb") as presets:
        mark = hashlib.sha256(repr(command).encode() + presets.read()).hexdigest()
    stamp = os.path.join(plan.folder, "course.json")
    made = os.path.join(plan.folder, "build.ninja" if ninja else "Makefile")
    if setup.read_json(stamp).get("configured") == mark and os.path.exists(made):
        return 0.0
    source = cached_value(plan.folder, "CMAKE_HOME_DIRECTORY")
    generator = cached_value(plan.folder, "CMAKE_GENERATOR")
    if source not in (None, plan.root) or generator not in (None, "Ninja" if ninja else "Unix Makefiles"):
        clear_cache(plan.folder)  # the clone has moved, or ninja has come or gone
    title = "Configuring (%s)" % plan.preset
    seconds = must_run(title, command, os.path.join(logs(plan), "configure.log"), plan.root)
    setup.write_json(stamp, {"configured": mark})
    return seconds


def compile_targets(plan, targets=()):
    command = [shutil.which("cmake"), "--build", plan.folder, "--parallel", str(jobs())]
    if targets:
        command += ["--target"] + list(targets)
    title = "Building (%s)" % plan.preset
    return must_run(title, command, os.path.join(logs(plan), "build.log"), plan.root)


def prepare(plan, targets, times):
    """Set-up, configuration and build, with the seconds of each stage noted in `times`."""
    if plan.preset not in preset_names(plan.root):
        raise Failure("There is no preset '%s'. The presets: %s" % (plan.preset, ", ".join(preset_names(plan.root))))
    with alone(plan.root):
        try:
            with times.stage("set-up"):
                compiler, ninja = setup.make_ready(plan.root, plan.fetch)
            with times.stage("configure"):
                configure(plan, compiler, ninja)
            with times.stage("build"):
                compile_targets(plan, targets)
        except Failure:
            setup.forget(plan.root)
            raise
