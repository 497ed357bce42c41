"""Trainings on the processor and on the device, whose losses must agree; and the benchmarks."""
import json
import os
import random
import re

from gpu import process
from gpu.results import FAILED, SKIPPED, fenced, part, table

# How far losses may be apart, in nats. Both compute in float and add in another order, so small differences grow with
# the steps; in the end it is the mean that counts.
FIRST_STEPS, FIRST_TOLERANCE = 20, 2e-3
LAST_STEPS, LAST_TOLERANCE, BF16_TOLERANCE = 20, 0.03, 0.06

BF16 = ["--dtype", "bf16"]


def write_words(path, size, seed=1):
    """Words in an order that has something to learn."""
    source = random.Random(seed)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "ran"]
    text, at, length = [], 0, 0
    while length < size:
        at = (at + 1) % len(words) if source.random() < 0.8 else source.randrange(len(words))
        text.append(words[at])
        length += len(words[at]) + 1
    with open(path, "w", encoding="utf-8") as file:
        file.write(" ".join(text))


def read_losses(text):
    """([loss of each step], tokens per second at the end) from what tinygpt train --json prints."""
    losses, rate = [], 0.0
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "step" in event and "loss" in event:
            losses.append(event["loss"])
            rate = event.get("tokens_per_second", rate)
    return losses, rate


def mean(values):
    return sum(values) / len(values)


def compare_losses(expected, found, last_tolerance, first_tolerance=FIRST_TOLERANCE):
    """(largest difference of the first steps, difference of the last steps' means, whether both are small)."""
    if not expected or len(expected) != len(found):
        return None, None, False
    first = max(abs(a - b) for a, b in zip(expected[:FIRST_STEPS], found[:FIRST_STEPS]))
    last = abs(mean(expected[-LAST_STEPS:]) - mean(found[-LAST_STEPS:]))
    return first, last, first <= first_tolerance and last <= last_tolerance


def train(job, limit):
    """The same training on the processor and on the device; in bf16, too."""
    clock = process.Clock(limit)
    text, corpus = os.path.join(job.scratch, "words.txt"), os.path.join(job.scratch, "corpus")
    write_words(text, 20000 if job.emulated else 400000)
    done = process.run([job.program, "data", text, "--out", corpus, "--tokenizer", "byte"], clock.left(), job.root,
                       os.path.join(job.scratch, "data.log"))
    if done.code != 0:
        return part("training", FAILED, "tinygpt data ended with code %s" % done.code, done.seconds,
                    fenced(process.last_lines(done.output)))
    steps = 3 if job.emulated else 200
    ways = [("cpu", "cpu", []), (job.device, job.device, []), (job.device + ", bf16", job.device, BF16)]
    shape = ["--config", "nano-cpu", "--batch", "12"]
    if job.emulated:
        shape = ["--config", "gpt2-demo", "--layers", "1", "--heads", "2", "--width", "32", "--hidden", "64",
                 "--context", "16", "--batch", "2"]
    rows, logs, expected, state, seconds = [], [], [], job.state, 0.0
    for name, device, more in ways:
        words = [job.program, "train", "--data", corpus, "--out", os.path.join(job.scratch, "model"), "--overwrite",
                 "--steps", str(steps), "--log-every", "1", "--eval-every", str(steps), "--last-eval-tokens", "64",
                 "--eval-tokens", "64", "--json", "--device", device] + shape + more
        log = os.path.join(job.scratch, "train_%s.log" % re.sub(r"\W+", "_", name))
        done = process.run(words, clock.left(), job.root, log)
        seconds += done.seconds
        losses, rate = read_losses(done.output)
        where = "cpu" if device == "cpu" else job.state
        if done.code != 0 or len(losses) != steps:
            state = FAILED
            why = "not finished in time" if done.code is None else "ended with code %d" % done.code
            rows.append((name, "**failed**", why, "", "", "", ""))
            logs += fenced(process.last_lines(done.output))
            if device == "cpu":
                break
            continue
        if not expected:
            expected = losses
        bf16 = "bf16" in name
        first, last, good = compare_losses(expected, losses, BF16_TOLERANCE if bf16 else LAST_TOLERANCE,
                                           BF16_TOLERANCE if bf16 else FIRST_TOLERANCE)
        state = state if good else FAILED
        rows.append((name, where if good else "**failed**", "%.4f" % losses[0], "%.4f" % mean(losses[-LAST_STEPS:]),
                     "%.1e" % first, "%.1e" % last, "%.0f" % rate))
    header = ("device", "result", "first loss", "mean of the last %d" % min(steps, LAST_STEPS),
              "largest difference, first %d steps" % min(steps, FIRST_STEPS), "difference of that mean", "tokens/s")
    why = "%d steps have the processor's losses" % steps
    return part("training", state, why if state != FAILED else "losses differ, or a training did not end", seconds,
                table(header, rows) + logs, {"steps": steps, "rows": [dict(zip(header, row)) for row in rows]})


def shapes(job):
    """(configuration, the other options) of each model that is measured."""
    if job.emulated:
        return [("gpt2-demo", ["--vocab-size", "64", "--batch", "1", "--time", "8"])]
    memory = job.gpu.memory_mib / 1024
    batch = 8 if memory > 40 else 4 if memory > 20 else 1  # PyTorch's two twins are there at the same time
    return [("nano-10m", ["--batch", "32", "--time", "256"]),
            ("gpt2-124m", ["--vocab-size", "50257", "--batch", str(batch), "--time", "1024"])]


def row_cells(row):
    """A row of tinygpt bench --json as cells: ours, and each peer with the ratio."""
    ours = row["figures"][0]
    peers = ["%s %s (%.2f x)" % (f["who"], number(f["median"]), ours["median"] / f["median"])
             for f in row["figures"][1:] if f["median"] > 0]
    return (row["name"], row["unit"], number(ours["median"]), "%s - %s" % (number(ours["min"]), number(ours["max"])),
            ", ".join(peers))


def number(value):
    return "%.0f" % value if value >= 1000 else "%.4g" % value


def bench(job, limit, torch):
    """Each benchmark at each shape, by a run of its own: one that fails or lasts too long leaves the others be."""
    clock = process.Clock(limit)
    # What matters most comes first. matmul measures both types in one run.
    runs = [(section, config, more, dtype)
            for section, dtypes in (("step", (BF16, [])), ("generate", (BF16, [])), ("attention", (BF16, [])),
                                    ("matmul", ([],)))
            for dtype in dtypes for config, more in reversed(shapes(job))]
    lines, rows, data, states, seconds = [], [], [], [], 0.0
    for i, (section, config, more, dtype) in enumerate(runs):
        name = " ".join([section, config] + dtype[1:])
        # A compiled PyTorch takes its time, so a step may use what the others have not begun to.
        allowed = clock.left() / 2 if section == "step" else clock.left() / (len(runs) - i) * 2
        result = os.path.join(job.scratch, "bench_%s.json" % re.sub(r"\W+", "_", name))
        words = [job.program, "bench", "--only", section, "--config", config, "--device", job.device, "--rounds",
                 "1" if job.emulated else "5", "--json", result] + more + dtype
        peer = torch if torch and section == "step" else "none"
        done = process.run(words + ["--python", peer], min(allowed, clock.left()), job.root, result + ".log")
        seconds += done.seconds
        if done.code != 0 and peer != "none":
            lines += ["", "%s: without PyTorch, with which it did not end well:" % name]
            lines += fenced(process.last_lines(done.output))
            done = process.run(words + ["--python", "none"], clock.left(), job.root, result + ".log")
            seconds += done.seconds
        if done.code != 0:
            states.append(SKIPPED if done.code is None else FAILED)
            why = "not finished within %.0f s" % allowed if done.code is None else "ended with code %d" % done.code
            lines += ["", "%s: %s, %s" % (name, states[-1], why)]
            lines += fenced(process.last_lines(done.output)) if done.code is not None else []
            continue
        with open(result, encoding="utf-8") as file:
            found = json.load(file)
        states.append(job.state)
        data.append({"run": name, "result": job.state, "bench": found})
        rows += [(config, row["section"]) + row_cells(row) for row in found["rows"]]
    header = ("model", "what", "", "unit", "tinygpt", "slowest - fastest", "peers, and how many times as fast we are")
    state = FAILED if FAILED in states else job.state if job.state in states else SKIPPED
    why = "%d of %d runs finished" % (states.count(job.state), len(runs))
    return part("benchmarks", state, why, seconds, table(header, rows) + lines, {"runs": data})
