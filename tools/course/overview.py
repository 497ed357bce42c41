"""What lessons/ says about the whole course: the map, the table, the glossary."""
import os
import re

from course import lessons
from drawing import PARTS, Drawing, width_of

STOPS = ("first-steps tokenizer embedding matmul bigram backprop rnn self-attention multi-head position block gpt "
         "encoder-decoder training-loop pretraining fast-attention mixed-precision data-parallel instruction-tuning "
         "lora preference quantization qlora kv-cache quantized-inference serving prompting-and-evaluation retrieval "
         "agents").split()
TABLE = re.compile(r"(<!-- table: begin -->\n).*?(<!-- table: end -->)", flags=re.DOTALL)
ROMAN = "I II III IV V VI VII".split()


def has_text(root, lesson):
    return os.path.exists(os.path.join(root, "lessons", lesson.name, "README.md"))


def course_figure(root, all_lessons):
    """Every lesson as a stop, part by part; those that can be read are lit. Returns the SVG's text."""
    there = {lesson.number for lesson in all_lessons if has_text(root, lesson)}
    row_height, size, room, right = 34, 12, 206, 690
    rows = []  # (part or None where a part goes on, numbers)
    for part, numbers in enumerate(PARTS):
        rows.append((part, []))
        x = room
        for number in numbers[1]:
            w = width_of("%02d %s" % (number, STOPS[number]), size) + 14
            if x + w > right:
                rows.append((None, []))
                x = room
            rows[-1][1].append((number, x, w))
            x += w + 16
    d = Drawing(700, row_height * len(rows) + 40, "The course: 29 lessons in seven parts, those that exist lit")
    for i, (part, stops) in enumerate(rows):
        y = 8 + row_height * i
        if part is not None:
            d.text(10, y + 17, "%s. %s" % (ROMAN[part], PARTS[part][0]), 13, "ink", bold=True)
        for number, x, w in stops:
            lit = number in there
            d.rect(x, y, w, 24, "fill" if lit else None, "accent" if lit else "line", dash=not lit)
            d.text(x + w / 2, y + 16, "%02d %s" % (number, STOPS[number]), size, "ink" if lit else "dim", "middle")
            if number != stops[-1][0]:
                d.arrow(x + w + 2, y + 12, x + w + 14, y + 12)
            elif i + 1 < len(rows):  # on to the next row
                middle = y + 29
                d.polyline([(x + w + 2, y + 12), (x + w + 7, y + 12), (x + w + 7, middle), (room - 10, middle),
                            (room - 10, y + row_height + 12), (room - 8, y + row_height + 12)], "line", 1.2)
                d.arrow(room - 9, y + row_height + 12, room - 2, y + row_height + 12)
    d.text(10, row_height * len(rows) + 28, "filled: here today; dashed: to come", 12, "dim")
    return d.svg()


def table(root, all_lessons):
    """One line for each lesson that exists; a link where its text is there, too."""
    lines = ["| | lesson | the question | to read | tasks | without a GPU |", "|---|---|---|---|---|---|"]
    for lesson in all_lessons:
        own = [task for task in lesson.tasks if not task.solved]
        cuda = sum(task.device == "cuda" for task in own)
        tasks = "%d C++" % (len(own) - cuda) + (", %d CUDA" % cuda if cuda else "")
        title = "[%s](%s/README.md)" % (lesson.title, lesson.name) if has_text(root, lesson) else lesson.title
        lines.append("| %02d | %s | %s | %d min | %s | %s |"
                     % (lesson.number, title, lesson.question.replace("|", "\\|"), lesson.minutes,
                        tasks, "all of it; CUDA in the emulator" if cuda else "all of it"))
    return "\n".join(lines) + "\n"


def with_table(root, text, all_lessons):
    """lessons/README.md with its table made anew. ValueError where its marks are gone."""
    new, count = TABLE.subn(lambda match: match.group(1) + table(root, all_lessons) + match.group(2), text)
    if count != 1:
        raise ValueError("needs the marks <!-- table: begin --> and <!-- table: end -->, once")
    return new


def glossary(root, all_lessons):
    """Every term that a lesson defines, in alphabetical order, with a heading for each letter."""
    terms = {}
    for lesson in filter(lambda one: has_text(root, one), all_lessons):
        for term, meaning in lessons.terms(root, lesson).items():
            terms.setdefault(term.lower(), (term, meaning, lesson))
    lines = ["# Glossary", "", "Each term in a sentence, with the lesson that defines it first. Made by "
             "`tools/refresh-lessons` from the", "`terms` of every `lesson.json`."]
    letter = ""
    for key in sorted(terms):
        term, meaning, lesson = terms[key]
        if key[0].upper() != letter:
            letter = key[0].upper()
            lines += ["", "## %s" % letter, ""]
        lines.append("- **%s**: %s [%02d](%s/README.md)" % (term, meaning, lesson.number, lesson.name))
    return "\n".join(lines) + "\n"


def figure_path():
    return os.path.join("lessons", "figures", "course.svg")
