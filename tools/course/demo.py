"""`./course demo`: builds `tinygpt`, makes the stories, trains on them, and says what to try next."""
import os

from course import build
from course.terminal import Failure, heading, paint, run_visible, say

DATA = os.path.join("data", "tinytales")
MODEL = os.path.join("models", "demo")


def run_step(plan, words, times, stage):
    """Runs `tinygpt` with these words. Returns its exit code, 130 where Ctrl-C ended it."""
    command = [os.path.join(plan.folder, "bin", "tinygpt")] + words
    say(paint("$ tinygpt " + " ".join(words), "dim"))
    with times.stage(stage):
        code, interrupted = run_visible(command, plan.root)
    return 130 if interrupted else code


def say_next(plan):
    program = os.path.relpath(os.path.join(plan.folder, "bin", "tinygpt"), plan.root)
    heading("What to try next")
    for words, what in (
            ('generate %s --prompt "Once upon a time"' % MODEL, "another story"),
            ("generate %s --temperature 1.5" % MODEL, "a wilder one; 0.1 is a cautious one"),
            ("info %s" % MODEL, "where its parameters and memory go"),
            ("data shakespeare", "another corpus; then: train --data data/shakespeare"),
    ):
        say("  %s %s\n      %s" % (program, words, paint(what, "dim")))


def demo(root, fetch, times):
    plan = build.make_plan(root, "default", fetch)
    heading("tinygpt: a GPT from nothing, on this machine")
    build.prepare(plan, ("tinygpt",), times)
    heading("1. The text: short stories drawn from a grammar, so that the best possible loss is known")
    code = run_step(plan, ["data", "tinytales", "--out", DATA], times, "data")
    if code == 0:
        heading("2. The training: watch the loss approach the floor")
        code = run_step(plan, ["train", "--preset", "demo", "--data", DATA, "--out", MODEL], times, "train")
    if code == 130:
        say("\nStopped. What was trained up to the last save is in %s." % MODEL)
        times.show()
        return 130
    if code != 0:
        raise Failure("tinygpt ended with exit code %d; its message is above." % code, code=1)
    say_next(plan)
    times.show()
    return 0
