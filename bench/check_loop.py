#!/usr/bin/env python3
"""From save to verdict: how long `./course check` takes after an edit.

    bench/check_loop.py [--write]

For a CPU task and an emulated CUDA task of three lessons: the exercise gets its solution, with a number in a comment
that changes each time, and is checked; the median of five. Your own files are put back afterwards. --write records the
result in bench/results/check_loop.md.
"""
import os
import platform
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from course import lessons, stubs  # noqa: E402  (the path above must come first)

TASKS = ("00.scale", "00.scale_cuda", "03.matmul_tiled", "03.matmul_tiled_cuda", "05.gelu_backward",
         "05.bias_gradient_cuda", "19.linear_lora_cuda", "23.decode_split_cuda")
ROUNDS = 5


def solved(task, number):
    """The exercise with the task's solution in it, and something that no compiler cache has seen."""
    path = lessons.exercise_path(task)
    ours = stubs.region_lines(stubs.rename(stubs.read(ROOT, lessons.solution_path(task))), task.id)
    text = stubs.replaced(stubs.pristine(ROOT, path), task.id, ours)
    return text + "// edit %d of %d\n" % (number, int(time.time()))


def seconds(task):
    path = os.path.join(ROOT, lessons.exercise_path(task))
    with open(path, encoding="utf-8") as file:
        before = file.read()
    times = []
    try:
        for number in range(ROUNDS + 1):  # the first warms up
            with open(path, "w", encoding="utf-8") as file:
                file.write(solved(task, number))
            begin = time.monotonic()
            done = subprocess.run([os.path.join(ROOT, "course"), "check", task.id], cwd=ROOT, stdout=subprocess.PIPE,
                                  universal_newlines=True)
            times.append(time.monotonic() - begin)
            if done.returncode != 0:
                raise SystemExit("the solution of %s did not pass:\n%s" % (task.id, done.stdout))
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before)
    return times[1:]


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def main(arguments):
    tasks = {task.id: task for task in lessons.all_tasks(lessons.load(ROOT))}
    lines = ["# From save to verdict", "",
             "Seconds that `./course check` takes after an edit, on %d cores of %s, %s. `bench/check_loop.py --write`."
             % (os.cpu_count(), processor(), time.strftime("%Y-%m-%d")), "",
             "| task | | median of %d | fastest | slowest |" % ROUNDS, "|---|---|---|---|---|"]
    for name in TASKS:
        times = seconds(tasks[name])
        where = "emulated CUDA" if tasks[name].device == "cuda" else "CPU"
        lines.append("| %s | %s | %.2f | %.2f | %.2f |"
                     % (name, where, statistics.median(times), min(times), max(times)))
        print(lines[-1], flush=True)
    if arguments == ["--write"]:
        with open(os.path.join(ROOT, "bench", "results", "check_loop.md"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
