"""`./course demo`: builds `tinygpt`, makes the stories, trains on them, draws two pictures, teaches the model a second
style by LoRA, makes it smaller, and says what to try next."""
import os

from course import build, lessons, setup
from course.terminal import Failure, heading, paint, run_visible, say

DATA = os.path.join("data", "tinytales")
MODEL = os.path.join("models", "demo")
LETTERS = os.path.join("data", "tinytales-letters")
ADAPTER = os.path.join("models", "demo-letters-lora")
MERGED = os.path.join("models", "demo-letters")
QUANTIZED = tuple((method, "%s-%s.gguf" % (MERGED, method)) for method in ("q8_0", "q4_0"))
PICTURES = "lesson-08"  # the program that draws a model's heads and its loss curve


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
            ("generate --model %s --seed 7" % MODEL, "another story"),
            ("generate --model %s --temperature 0.5" % MODEL, "a more cautious one; above 1 it gets wild"),
            ("generate --model %s --adapter %s" % (MODEL, ADAPTER), "a letter: the base and its adapter, not merged"),
            ("info %s" % MODEL, "where its parameters and its memory go"),
            ("data shakespeare", "another corpus; then: train --preset shakespeare"),
            ("bench", "how close the kernels come to this machine's limit"),
    ):
        say("  %s %s\n      %s" % (program, words, paint(what, "dim")))
    say('  ./course demo 08 look --text "Tom was a happy boy."\n      %s'
        % paint("who looks at whom in a sentence of yours", "dim"))


def train_words(root, restart):
    """The training's words: go on where an earlier demo was stopped, replace the model of one that finished."""
    stopped = setup.read_json(os.path.join(root, setup.STATE, "demo.json")).get("finished") is False
    words = ["train", "--preset", "demo", "--data", DATA, "--out", MODEL]
    if not os.path.exists(os.path.join(root, MODEL)):
        return words
    return words + ["--resume" if stopped and not restart else "--overwrite"]


def train(plan, restart, times):
    note = os.path.join(plan.root, setup.STATE, "demo.json")
    words = train_words(plan.root, restart)
    setup.write_json(note, {"finished": False})
    return run_step(plan, words, times, "train")


def build_programs(plan, times):
    """`tinygpt`, and the program that draws. Returns whether that one is there: a demo does not fail for a picture."""
    build.prepare(plan, ("tinygpt",), times)
    try:
        with build.alone(plan.root), times.stage("build"):
            build.compile_targets(plan, (PICTURES,))
        return True
    except Failure as failure:
        say("The demo goes on without pictures: %s could not be built.\n%s" % (PICTURES, failure))
        return False


def draw_pictures(plan, times):
    """Who looks at whom in the model, and its loss curve, as files. Returns False where Ctrl-C ended it."""
    words = ["pictures", "--model", MODEL]
    heading("3. Two pictures: who looks at whom in the model, and how its loss came down")
    say(paint("$ %s %s" % (PICTURES, " ".join(words)), "dim"))
    with times.stage("draw"):
        try:
            code, interrupted = run_visible([os.path.join(plan.folder, "bin", PICTURES)] + words, plan.root)
        except OSError as error:
            code, interrupted = error.strerror, False
    if code != 0 and not interrupted:
        say("Not all could be drawn (%s); the model itself is in %s."
            % (code if isinstance(code, str) else "exit code %d" % code, MODEL))
    return not interrupted


def adapt(plan, times):
    """A LoRA adapter teaches the model a second style, and becomes part of it. Returns the exit code."""
    tokenizer = os.path.join(MODEL, "tokenizer.json")
    heading("4. A second style: a small LoRA adapter learns to tell the stories as letters home")
    for words, stage in (
            (["data", "tinytales", "--style", "letters", "--tokenizer", tokenizer, "--out", LETTERS], "data"),
            (["finetune", "--model", MODEL, "--data", LETTERS, "--out", ADAPTER, "--rank", "8", "--documents",
              "--batch", "8", "--time", "96", "--lr", "0.01", "--steps", "800", "--max-minutes", "1",
              "--overwrite"], "adapt"),
            (["merge", "--model", MODEL, "--adapter", ADAPTER, "--out", MERGED, "--overwrite"], "adapt")):
        code = run_step(plan, words, times, stage)
        if code != 0:
            return code
    return 0


def compress(plan, times):
    """Eight and four bits a weight, and what each costs and gains. Returns the exit code."""
    heading("5. The same model in eight bits a weight, and in four: what is lost, what is gained")
    for method, path in QUANTIZED:
        code = run_step(plan, ["quantize", "--method", method, "--model", MERGED, "--out", path, "--overwrite"],
                        times, "quantize")
        if code != 0:
            return code
    models = [word for path in [MERGED] + [path for _, path in QUANTIZED] for word in ("--model", path)]
    code = run_step(plan, ["eval", "--speed", "--tokens", "50000", "--data", LETTERS] + models, times, "measure")
    if code != 0:
        return code
    say("\nA letter by the model of four bits:\n")
    return run_step(plan, ["generate", "--model", QUANTIZED[-1][1], "--seed", "3"], times, "measure")


def demo(root, fetch, restart, times):
    plan = build.make_plan(root, "default", fetch)
    heading("tinygpt: a GPT from nothing, on this machine")
    can_draw = build_programs(plan, times)
    heading("1. The text: short stories drawn from a grammar, so that the best possible loss is known")
    code = run_step(plan, ["data", "tinytales", "--out", DATA], times, "data")
    if code == 0:
        heading("2. The training: watch the loss approach the floor")
        code = train(plan, restart, times)
    if code == 0 and can_draw and not draw_pictures(plan, times):
        code = 130
    if code == 0:
        code = adapt(plan, times) or compress(plan, times)
    if code == 130:
        say("\nStopped. ./course demo goes on from here; ./course demo --restart begins again.")
        times.show()
        return 130
    if code != 0:
        raise Failure("tinygpt ended with exit code %d; its message is above. ./course demo --restart begins again."
                      % code, code=1)
    setup.write_json(os.path.join(root, setup.STATE, "demo.json"), {"finished": True})
    say_next(plan)
    times.show()
    return 0


def lesson_demo(root, name, words, times):
    """Runs the demo program of a lesson; without further words it lists its experiments."""
    lesson = lessons.find_lesson(lessons.load(root), name)
    if lesson is None or not os.path.exists(os.path.join(root, "lessons", lesson.name, "demo.cpp")):
        raise Failure("There is no demo of '%s'. ./course demo alone trains a small GPT; ./course list shows the "
                      "lessons." % name)
    plan = build.make_plan(root, "default")
    program = "lesson-%02d" % lesson.number
    build.prepare(plan, (program,), times)
    code, interrupted = run_visible([os.path.join(plan.folder, "bin", program)] + (words or ["--help"]), root)
    return 130 if interrupted else code
