"""The learner's kernels as one more table of operators, in the library that `tinygpt-mine` and `parity-mine` link."""
import os
import re
import subprocess
from collections import namedtuple

from course import grading, stubs
from course.terminal import Failure

# Where kernels run. tasks: which of the lessons' tasks are kernels for it. world: how they are compiled
# (cmake/Cuda.cmake). source: the reference's table, which the learner's starts from.
Place = namedtuple("Place", "device tasks world source")
PLACES = {
    "cpu": Place("cpu", "cpu", "host", "solutions/table.cpp"),
    "emulated": Place("emulated", "cuda", "emulated", "solutions/table.cu"),
    "cuda": Place("cuda", "cuda", "gpu", "solutions/table.cu"),
}

# The functions of lesson 11's machine, in one file: it is the learner's when all of them are right.
MACHINE = ("block_forward", "block_backward", "gpt_forward", "gpt_backward")

# What a learner has that is right. functions: by name. objects: the object files they are in. headers: declare them.
Kernels = namedtuple("Kernels", "functions objects headers")


def table_entries(root, place):
    """Entries of the table of operators by the function that fills them: linear_forward -> [linear_forward], and
    which of these functions are templates."""
    entries, templates = {}, set()
    for entry, function, template in re.findall(r"table\.(\w+) = (\w+)(<Real>)?;", stubs.read(root, place.source)):
        if not entry.endswith("_size"):
            entries.setdefault(function, []).append(entry)
            if template:
                templates.add(function)
    return entries, templates


def has_machine(kernels):
    return all(name in kernels.functions for name in MACHINE)


def cpu_table(kernels, entries):
    lines = ['#include "solutions/table.h"', '#include "tests/interop/parity.h"', "", "namespace tinygpt {", "",
             "Ops<float> my_kernels() {", "  Ops<float> ops = ref::ops();"]
    lines += ["  ops.%s = mine::%s;" % (entry, name) for name in kernels.functions for entry in entries.get(name, [])]
    machine = "mine::gpt_forward, mine::gpt_backward" if has_machine(kernels) else ""
    return lines + ["  return ops;", "}", "", "MachinePasses my_machine() { return {%s}; }" % machine, "",
                    "namespace cli {", "std::vector<MoreKernels> more_tables(const std::string& device) {",
                    '  if (device != "cpu") return {};', '  return {{"mine", my_kernels(), {}}};', "}",
                    "}  // namespace cli", "}  // namespace tinygpt", ""]


def cuda_table(kernels, entries, templates, device):
    base = "ref_cuda" if device == "cuda" else "ref_cuda_emulated"
    mine = "mine_cuda" if device == "cuda" else "mine_cuda_emulated"
    lines = ['#include "solutions/table_cuda.h"', "", "namespace tinygpt::cli {", "namespace {", "",
             "template <class Real>", "Ops<Real> mine_in(Ops<Real> ops) {"]
    lines += ["  ops.%s = %s::%s%s;" % (entry, mine, name, "<Real>" if name in templates else "")
              for name in kernels.functions for entry in entries[name]]
    lines += ["  return ops;", "}", "", "}  // namespace", "",
              "std::vector<MoreKernels> more_tables(const std::string& device) {",
              '  if (device != "%s") return {};' % device,
              '  return {{"mine_cuda", mine_in(%s::ops()), mine_in(%s::bf16_ops())}};' % (base, base), "}", "",
              "}  // namespace tinygpt::cli", ""]
    return lines


def write_table(path, kernels, entries, templates, device):
    lines = ["// Written by ./course: the reference's table with the learner's kernels in it.",
             '#include "tinygpt/cli/kernels.h"']
    lines += ['#include "%s"' % header for header in kernels.headers]
    if device == "cpu":
        lines += cpu_table(kernels, entries)
    else:
        lines += cuda_table(kernels, entries, templates, device)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def archive(plan, tools, place, kernels):
    """The library that tinygpt-mine links: the learner's objects, and the table that names them."""
    entries, templates = table_entries(plan.root, place)
    folder = grading.course_folder(plan)
    source, obj = os.path.join(folder, "mine_table.cpp"), os.path.join(folder, "mine_table.o")
    library = os.path.join(folder, "libmine.a")
    write_table(source, kernels, entries, templates, place.device)
    words = tools.compiler_words("solutions/table.cpp")
    if place.device == "emulated":
        words.append("-Dmine_cuda=mine_cuda_emulated")  # the headers say mine_cuda
    if os.path.exists(library + ".new"):
        os.remove(library + ".new")
    for command in (words + ["-c", source, "-o", obj], ["ar", "rcs", library + ".new", obj] + kernels.objects):
        done = subprocess.run(command, cwd=plan.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
        if done.returncode != 0:
            raise Failure("Your kernels cannot be linked:\n%s" % "\n".join(done.stdout.splitlines()[:12]), code=1)
    os.replace(library + ".new", library)
