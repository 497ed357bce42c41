"""The parts of a report, and the files that they become."""
import json
import os
import re
from collections import namedtuple

# What ran on a GPU says gpu, what ran in the emulator emulated. Nothing else may claim to have run.
GPU, EMULATED, SKIPPED, FAILED = "gpu", "emulated", "skipped", "failed"


class Part(namedtuple("Part", "title state why seconds lines data")):
    """One section. state: one of the above; why: a line that says what came out, or why nothing did; lines: Markdown;
    data: the same for programs."""


def part(title, state, why, seconds=0.0, lines=(), data=None):
    if state not in (GPU, EMULATED, SKIPPED, FAILED):
        raise ValueError(state)
    return Part(title, state, why, seconds, list(lines), data if data is not None else {})


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(str(value) for value in row) + " |" for row in rows]


def fenced(text):
    return ["", "```", text.replace("```", "'''"), "```"] if text else []


def markdown(about, parts):
    lines = ["# What a GPU says" if about["state"] == GPU else "# The report's rehearsal, emulated", ""]
    if about["state"] != GPU:
        lines += ["Nothing here ran on a GPU: CUDA kernels ran in the emulator, and their times say nothing.", ""]
    lines += table(("", ""), [(name, about[name]) for name in about if name != "state"])
    lines += ["", "`tools/gpu-report` writes this file.", ""]
    lines += table(("part", "result", "", "seconds"),
                   [(p.title, "**failed**" if p.state == FAILED else p.state, p.why.replace("|", "/"),
                     "%.0f" % p.seconds) for p in parts])
    for p in parts:
        if p.lines:
            lines += ["", "## %s: %s" % (p.title, p.state), ""] + p.lines
    return "\n".join(lines).rstrip() + "\n"


def as_json(about, parts):
    return {"about": about, "parts": [p._asdict() for p in parts]}


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def write(folder, about, parts):
    """Both files. Returns their paths."""
    os.makedirs(folder, exist_ok=True)
    name = os.path.join(folder, "%s-%s-%s" % (about["state"], about["date"], slug(about["device"])))
    with open(name + ".md", "w", encoding="utf-8") as file:
        file.write(markdown(about, parts))
    with open(name + ".json", "w", encoding="utf-8") as file:
        json.dump(as_json(about, parts), file, indent=1)
        file.write("\n")
    return [name + ".md", name + ".json"]


def exit_code(parts, wanted):
    """1 where a part failed, or where nothing ran where it should have."""
    ran = any(p.state == wanted for p in parts)
    return 0 if ran and not any(p.state == FAILED for p in parts) else 1
