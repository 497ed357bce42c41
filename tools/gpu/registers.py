"""What ptxas says of each kernel: registers, shared memory, stack and spills, for several architectures at once."""
import re
from collections import namedtuple

# Bytes, but for registers. spills: stored and loaded.
Usage = namedtuple("Usage", "registers shared stack spill_stores spill_loads")

ENTRY = re.compile(r"Compiling entry function '([^']+)' for 'sm_(\d+)\w?'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+)(?:\+\d+)? bytes smem")


def parse(text):
    """{(mangled name, architecture): Usage} from the output of nvcc -Xptxas -v.

    The lines about functions that are called and not inlined have a stack of their own: only what stands between an
    entry function's first line and its registers is that kernel's."""
    found = {}
    entry = stack = None
    for line in text.splitlines():
        match = ENTRY.search(line)
        if match:
            entry, stack = (match.group(1), int(match.group(2))), (0, 0, 0)
            continue
        match = STACK.search(line)
        if match and entry:
            stack = tuple(max(old, int(new)) for old, new in zip(stack, match.groups()))
            continue
        match = USED.search(line)
        if match and entry:
            shared = SHARED.search(line)
            found[entry] = Usage(int(match.group(1)), int(shared.group(1)) if shared else 0, *stack)
            entry = None
    return found


def spills(usage):
    return usage.spill_stores + usage.spill_loads > 0


def without_arguments(name):
    """kernel<A>(float*, int) without its parentheses at the end, whatever stands inside of them."""
    name = name.strip()
    if not name.endswith(")"):
        return name
    depth = 0
    for i in range(len(name) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(name[i], 0)
        if depth == 0:
            return name[:i]
    return name


def enumerators(text):
    """{"Inner": ["k", "row"]} for the enumerations of C++ text whose values count from zero."""
    found = {}
    for name, body in re.findall(r"enum class (\w+)[^{;]*\{([^}]*)\}", re.sub(r"//[^\n]*", "", text)):
        values = [value.strip() for value in body.split(",") if value.strip()]
        if values and not any("=" in value for value in values):
            found[name] = values
    return found


def readable(demangled, enums):
    """A kernel's name with its template arguments, as one would write them: no result, parameters or namespaces."""
    name = re.sub(r"^void ", "", without_arguments(demangled))
    name = name.replace("(anonymous namespace)::", "")

    def enumerator(match):
        values, index = enums.get(match.group(1), []), int(match.group(2))
        return "%s::%s" % (match.group(1), values[index]) if index < len(values) else "%s(%s)" % match.group(1, 2)

    name = re.sub(r"\((?:\w+::)*(\w+)\)(\d+)", enumerator, name)
    name = re.sub(r"\b(?:tinygpt|cuda|ref_cuda|simt|std)::", "", name)
    return name.replace("__nv_bfloat16", "bf16").replace("> >", ">>")


def cell(usage, shared):
    """Registers, and whatever is not as in the rest of the row."""
    if usage is None:
        return ""
    text = str(usage.registers)
    if usage.shared != shared:
        text += ", %d shared" % usage.shared
    if usage.stack:
        text += ", %d stack" % usage.stack
    if spills(usage):
        text = "**%s, spills %d/%d**" % (text, usage.spill_stores, usage.spill_loads)
    return text


def table(rows, architectures):
    """Markdown lines: one row for each (kernel's name, {architecture: Usage})."""
    lines = ["| kernel | shared | %s |" % " | ".join("sm_%d" % a for a in architectures),
             "|---|--:|%s" % ("--:|" * len(architectures))]
    for name, usages in sorted(rows):
        shared = max(usage.shared for usage in usages.values())
        cells = [cell(usages.get(a), shared) for a in architectures]
        lines.append("| `%s` | %d | %s |" % (name, shared, " | ".join(cells)))
    return lines


def compile_command(words, architectures, source, output):
    """From the build's own command, the one that asks ptxas about all architectures: no host code, no object file."""
    start = next(i for i, word in enumerate(words) if re.search(r"(^|/)nvcc(\.exe)?$", word))
    kept, i = [], start
    while i < len(words):
        word = words[i]
        if word in ("-o", "-gencode", "--generate-code", "-arch", "-MF", "-MT"):
            i += 2
            continue
        given = re.match(r"(--generate-code|-gencode|-arch|--gpu-arch)", word)
        if not given and word not in ("-c", "-dc", "-MD", source):
            kept.append(word)
        i += 1
    kept += ["--generate-code=arch=compute_%d,code=sm_%d" % (a, a) for a in architectures]
    return kept + ["-Xptxas", "-v", "-fatbin", "-MD", "-MF", output + ".d", source, "-o", output]
