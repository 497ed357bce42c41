"""Keeps what lessons quote equal to its source: code, output of commands, figures, links."""
import json
import os
import re
import subprocess

from course import geometry, sessions, stubs

DIRECTIVE = re.compile(r"^<!-- (snippet|run|measured|session): (.+?) -->$")
MARK = re.compile(r"^\s*// (your code( on the device)?: \d\d\.\w+|end of your code|snippet: [\w-]+|end of snippet)$")
SECONDS = 10  # what a quoted command may take on an idle machine; six times that on a busy one
# The sections of a lesson, in order: words of their headings. A lesson without a backward pass leaves that out.
SECTIONS = ("question", "where we are", "worked example", "shapes", "equation", "naive code", "exercise", "backward",
            "cuda", "experiment", "pitfalls", "recap")
OPTIONAL = ("backward", "cuda")
WORDS = (900, 1500)


class Stale(Exception):
    """What a text quotes cannot be found or made."""


def dedent(lines):
    lines = [line for line in lines if not MARK.match(line)]
    while lines and not lines[0].strip():
        lines = lines[1:]
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[indent:] for line in lines]


def named_part(lines, name):
    """Between "// snippet: name" and "// end of snippet"."""
    begin = [i for i, line in enumerate(lines) if line.strip() == "// snippet: " + name]
    if not begin:
        return None
    end = next((i for i in range(begin[0], len(lines)) if lines[i].strip() == "// end of snippet"), None)
    return None if end is None else lines[begin[0] + 1:end]


def function_part(lines, name, with_comment):
    """A function, kernel or struct whose definition starts at the left margin, to its closing brace there."""
    head = re.compile(r"^[\w].*\b%s\b\s*[({]|^(struct|class|enum class) %s\b" % (re.escape(name), re.escape(name)))
    for number, line in enumerate(lines):
        if not head.match(line) and not (line.startswith("    ") and re.match(r"^ +%s\(" % re.escape(name), line)
                                         and number and re.match(r"^\w", lines[number - 1])):
            continue
        opens = next((i for i in range(number, len(lines)) if re.search(r"[{;]", lines[i].split("//")[0])), None)
        end = next((i for i in range(number, len(lines)) if lines[i].startswith("}") or
                    (i == opens and re.search(r"\}\W*$", lines[i].split("//")[0]))), None)
        if opens is None or end is None or "{" not in lines[opens].split("//")[0]:
            continue  # a declaration
        begin = number - (not head.match(line))
        while begin and lines[begin - 1].startswith("template"):
            begin -= 1
        while with_comment and begin and lines[begin - 1].startswith("//"):
            begin -= 1
        return lines[begin:end + 1]
    return None


def snippet(root, words):
    """The lines that `path#name` or `path#name+comment` stands for."""
    path, _, name = words.partition("#")
    with_comment = name.endswith("+comment")
    name = name[:-len("+comment")] if with_comment else name
    try:
        lines = stubs.read(root, path).split("\n")
    except OSError as error:
        raise Stale("snippet %s: %s" % (words, error.strerror)) from None
    found = named_part(lines, name) or function_part(lines, name, with_comment)
    if not found:
        raise Stale("snippet %s: nothing of that name there" % words)
    return dedent(found)


def find_program(root, programs, words):
    """`course` is the script, anything else a program of the build."""
    name = words.split()[0]
    program = os.path.join(root, "course") if name == "course" else os.path.join(programs, name)
    if not os.path.exists(program):
        raise Stale("%s: there is no program %s; build it first" % (words, program))
    return program


def charts(text):
    """(what a command wrote, the figure that shows it) of every <!-- chart: lessons-out/X.svg --> above an image."""
    return re.findall(r"^<!-- chart: (lessons-out/[\w.-]+\.svg) -->\n+!\[[^\]]+\]\((figures/[\w.-]+\.svg)\)", text,
                      flags=re.MULTILINE)


def check_command(root, programs, words):
    """That a command which measures exists: its program, and the word behind it."""
    program, parts = find_program(root, programs, words), words.split()
    done = subprocess.run([program] + parts[1:2] + ["--help"], cwd=root, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode != 0:
        raise Stale("%s: there is no such command:\n%s" % (words, done.stdout[-600:]))


def run(root, programs, words):
    """What a command prints."""
    program, parts = find_program(root, programs, words), words.split()
    environment = dict(os.environ, NO_COLOR="1", COLUMNS="100", OMP_WAIT_POLICY="passive")
    try:
        done = subprocess.run([program] + parts[1:], cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True, timeout=6 * SECONDS, env=environment)
    except subprocess.TimeoutExpired:
        raise Stale("%s: takes more than %d seconds" % (words, 6 * SECONDS)) from None
    if done.returncode != 0:
        raise Stale("%s: ended with code %d:\n%s" % (words, done.returncode, done.stdout[-600:]))
    return [line.rstrip() for line in done.stdout.rstrip().split("\n")]


def recorded(root, programs, name):
    """What a learner's session shows."""
    try:
        return sessions.record(root, os.path.dirname(os.path.abspath(programs)), name)
    except (OSError, ValueError) as error:
        raise Stale("session %s: %s" % (name, error)) from None


def refreshed(root, programs, text, measured=False):
    """The text with every quoted block made anew. Stale where one cannot be."""
    lines, out, number = text.split("\n"), [], 0
    while number < len(lines):
        out.append(lines[number])
        directive = DIRECTIVE.match(lines[number])
        number += 1
        if not directive:
            continue
        kind, words = directive.groups()
        if number >= len(lines) or not lines[number].startswith("```"):
            raise Stale("%s: a fenced block must follow" % words)
        end = next((i for i in range(number + 1, len(lines)) if lines[i] == "```"), None)
        if end is None:
            raise Stale("%s: its block has no end" % words)
        if kind == "snippet":
            body = snippet(root, words)
        elif kind == "session":
            body = recorded(root, programs, words)
        elif kind == "run" or measured:
            body = run(root, programs, words)
        else:
            check_command(root, programs, words)
            body = lines[number + 1:end]
        out += [lines[number]] + body + ["```"]
        number = end + 1
    return "\n".join(out)


def prose(text):
    """The text without code, output, tables, comments, figures and formulas."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->|<details>|</details>|</?summary>", "", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def count_words(text):
    return len(re.findall(r"[A-Za-z0-9$`][^\s]*", prose(text)))


def sections(text):
    """(heading, body) of every section of the second level."""
    parts = re.split(r"^## (.+)$", re.sub(r"^```.*?^```$", lambda m: m.group().replace("\n## ", "\n "), text,
                                          flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2]))


def unproved_numbers(text):
    """Decimal numbers of the worked example that none of its output blocks shows."""
    for heading, body in sections(text):
        if "worked example" not in heading.lower():
            continue
        shown = "\n".join(re.findall(r"^```text\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL))
        rest = re.sub(r"^```.*?^```$", "", body, flags=re.MULTILINE | re.DOTALL)
        for value in re.findall(r"(?<![\w./-])-?\d+\.\d+(?![\w.])", re.sub(r"\]\([^)]*\)|<!--.*?-->", "", rest)):
            if not re.search(r"(?<![\d.])%s(?!\d)" % re.escape(value.lstrip("-")), shown):
                yield value


def section_problems(path, text):
    """Sections that are missing or stand in another place than in every other lesson."""
    headings = [heading.lower() for heading, _ in sections(text)]
    last = -1
    for words in SECTIONS:
        at = next((i for i, heading in enumerate(headings) if words in heading), None)
        if at is None:
            if words not in OPTIONAL:
                yield "%s has no section on: %s" % (path, words)
            continue
        if at < last:
            yield "%s: the section '%s' comes too late" % (path, headings[last])
        last = max(at, last)


def anchors(text):
    """The fragments that GitHub makes of headings."""
    names = set()
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        names.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return names


def link_problems(root, path, text):
    folder = os.path.dirname(os.path.join(root, path))
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        if re.match(r"https?://[\w.-]+\.\w+(/\S*)?$", target):
            continue
        file, _, anchor = target.partition("#")
        full = os.path.join(folder, file) if file else os.path.join(root, path)
        if not os.path.exists(full):
            yield "%s: the link %s leads nowhere" % (path, target)
        elif anchor and full.endswith(".md") and anchor not in anchors(stubs.read(root, os.path.relpath(full, root))):
            yield "%s: there is no heading for the link %s" % (path, target)


def figure_problems(root, lesson):
    """Figures that the text does not show, or that cannot be read; links see to those that are missing."""
    folder = os.path.join(root, "lessons", lesson, "figures")
    text = stubs.read(root, "lessons/%s/README.md" % lesson)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".svg") and "figures/" + name not in text:
            yield "lessons/%s/figures/%s is in no text" % (lesson, name)
        if name.endswith(".svg"):
            for problem in geometry.problems(stubs.read(root, "lessons/%s/figures/%s" % (lesson, name))):
                yield "lessons/%s/figures/%s: %s" % (lesson, name, problem)


def lesson_problems(root, lesson):
    """What a machine can see of a lesson's text."""
    path = "lessons/%s/README.md" % lesson
    text = stubs.read(root, path)
    words = count_words(text)
    if not WORDS[0] <= words <= WORDS[1]:
        yield "%s has %d words; %d to %d" % (path, words, *WORDS)
    figures = len(re.findall(r"!\[[^\]]+\]\(figures/[^)]+\.svg\)", text))
    if figures < words // 150:
        yield "%s has %d figures for %d words: about one for every 150" % (path, figures, words)
    if re.search(r"\bsimply\b|\bjust\b", prose(text)):
        yield "%s says 'simply' or 'just'" % path
    for value in unproved_numbers(text):
        yield "%s: %s of the worked example is in no output of it" % (path, value)
    yield from section_problems(path, text)
    yield from link_problems(root, path, text)
    yield from figure_problems(root, lesson)
    with open(os.path.join(root, "lessons", lesson, "lesson.json"), encoding="utf-8") as file:
        terms = json.load(file).get("terms", {})
    for term in terms:
        if not re.search(r"\b" + re.escape(term).replace("\\ ", r"\s+"), text, flags=re.IGNORECASE):
            yield "%s defines '%s' in lesson.json and never uses it" % (path, term)
