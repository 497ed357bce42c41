"""Exercises are solutions without what stands between two marks.

In a solution:

      // your code: 04.softmax_forward
      ...
      // end of your code

In its exercise the marks stay, and between them stands a throw of NotImplemented. Where code runs on the device, which
cannot throw, the mark is "your code on the device", and nothing stands between, or an empty result.
"""
import os
import re
from collections import namedtuple

BEGIN = re.compile(r"^( *)// your code( on the device)?: (\d\d\.\w+)$")
END = re.compile(r"^ *// end of your code$")
INCLUDE = '#include "tinygpt/core/error.h"  // NotImplemented'

Region = namedtuple("Region", "task device indent begin end")  # lines begin to end - 1 lie between the marks


def regions(text, name="the file"):
    """The marked regions, in order. ValueError where marks do not match."""
    found, opened = [], None
    for number, line in enumerate(text.split("\n")):
        begin = BEGIN.match(line)
        if begin:
            if opened:
                raise ValueError("%s: '%s' begins before the region above it ends" % (name, line.strip()))
            opened = (begin.group(3), bool(begin.group(2)), begin.group(1), number + 1)
        elif END.match(line):
            if not opened:
                raise ValueError("%s: 'end of your code' without a begin" % name)
            found.append(Region(*opened, number))
            opened = None
    if opened:
        raise ValueError("%s: the region of %s has no end" % (name, opened[0]))
    return found


def region_lines(text, task):
    """What stands between the marks of a task: one list of lines for each of its regions."""
    lines = text.split("\n")
    return [lines[r.begin:r.end] for r in regions(text) if r.task == task]


def empty(region, lines):
    """What stands between the marks of an exercise."""
    if region.device:
        head = next((line for line in reversed(lines[:region.begin]) if re.search(r"__(device|global)__", line)), "")
        return [] if " void " in head else [region.indent + "return {};"]
    return ['%sthrow NotImplemented("%s");' % (region.indent, region.task)]


def rename(text):
    """From the solutions' namespaces and folders to the exercises'."""
    text = re.sub(r"\bref_cuda\b", "mine_cuda", text)
    text = re.sub(r"\bref\b(?=(::| \{|;|$))", "mine", text, flags=re.MULTILINE)
    return text.replace('#include "solutions/', '#include "exercises/')


def with_error_header(lines):
    """NotImplemented needs its header; it goes behind the last include in quotes."""
    text = "\n".join(lines)
    if 'throw NotImplemented("' not in text or '#include "tinygpt/core/error.h"' in text:
        return lines
    last = max((i for i, line in enumerate(lines) if line.startswith('#include "')), default=-1)
    return lines[:last + 1] + [INCLUDE] + lines[last + 1:]


def exercise_text(solution, name="the solution"):
    """The exercise that a solution's text makes."""
    lines = solution.split("\n")
    for region in reversed(regions(solution, name)):
        lines[region.begin:region.end] = empty(region, lines)
    return rename("\n".join(with_error_header(lines)))


def replaced(text, task, new_regions):
    """The text with other lines in the regions of a task."""
    lines = text.split("\n")
    mine = [r for r in regions(text) if r.task == task]
    if len(mine) != len(new_regions):
        raise ValueError("the marks of %s are gone" % task)
    for region, new in reversed(list(zip(mine, new_regions))):
        lines[region.begin:region.end] = new
    return "\n".join(lines)


def sources(root, lessons):
    """(solution, exercise) paths of every file that the exercises hold."""
    folder = os.path.join(root, "solutions")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".cuh") and name != "table.cuh":
            yield "solutions/" + name, "exercises/" + name
    for lesson in lessons:
        where = os.path.join(folder, lesson.name)
        for name in sorted(os.listdir(where)) if os.path.isdir(where) else []:
            if name.endswith((".h", ".cpp", ".cuh", ".cu")):
                yield "solutions/%s/%s" % (lesson.name, name), "exercises/%s/%s" % (lesson.name, name)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def pristine(root, exercise):
    """An exercise file as the course gives it."""
    solution = "solutions/" + exercise[len("exercises/"):]
    return exercise_text(read(root, solution), solution)


def is_written(root, task):
    """Whether the learner has put anything between a task's marks. None where the marks are gone."""
    path = "exercises/%s/%s" % (task.lesson, task.file)
    try:
        mine = region_lines(read(root, path), task.id)
    except (OSError, ValueError):
        return None
    if not mine:
        return None
    given = region_lines(pristine(root, path), task.id)
    return task.solved or mine != given
