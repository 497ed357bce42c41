"""The commands, their options, and how an error ends."""
import argparse
import difflib
import sys

from course import build, check, demo, doctor, learn, mine, notebook, testing
from course.terminal import Failure, Interrupted, paint, say
from course.times import Times

COMMANDS = (
    ("list", "the lessons, their tasks, and which of them you have passed"),
    ("check", "compile what you wrote and say what is wrong: check 03, check 03.2"),
    ("watch", "check whatever you save, as soon as you save it"),
    ("hint", "one hint more for a task"),
    ("solution", "our code for a task"),
    ("diff", "your code beside ours"),
    ("reset", "a task back to how it was at the start"),
    ("train", "train --mine: a GPT trained by your own kernels"),
    ("parity", "your kernels against PyTorch's numbers: logits, loss, every gradient"),
    ("demo", "train a small GPT on this machine and read what it writes (about five minutes); demo 03: a lesson's"),
    ("notebook", "notebook 08: a lesson's pictures to play with, in JupyterLab"),
    ("test", "build everything and run every test"),
    ("doctor", "look at this machine and say what is missing"),
    ("help", "show this list"),
)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure("%s. Help: ./course %s --help" % (message.capitalize(), self.prog.split()[-1]))


def overview():
    say(paint("tinygpt", "title") + ": build a GPT from scratch, in C++ and CUDA.\n")
    say("  ./course %-8s %s" % ("", "where you are and what is next"))
    for name, what in COMMANDS:
        say("  ./course %-8s %s" % (name, what))
    say("\nTasks are named by number (03.2) or name (03.matmul_tiled). Add --help to a command for its options.")
    return 0


def where(root):
    learn.where_you_are(root)
    say(paint("\nMore: ./course help", "dim"))
    return 0


def parser_for(command, description):
    parser = Parser(prog="./course " + command, description=description)
    if command in ("demo", "notebook", "test", "check", "watch", "train", "parity"):
        parser.add_argument("--fetch", action="store_true",
                            help="download the sources of missing libraries instead of installing packages")
    return parser


def run_demo(root, arguments, times):
    if arguments and not arguments[0].startswith("-"):
        return demo.lesson_demo(root, arguments[0], arguments[1:], times)
    parser = parser_for("demo", "Train a small GPT on tinytales, watch its loss, and read its stories. "
                                "With a lesson's number: that lesson's experiments.")
    parser.add_argument("--restart", action="store_true", help="begin again where an earlier demo was stopped")
    options = parser.parse_args(arguments)
    return demo.demo(root, options.fetch, options.restart, times)


def run_test(root, arguments, times):
    parser = parser_for("test", "Build everything and run the tests; the last line counts them.")
    parser.add_argument("filter", nargs="?", help="run only tests whose name matches this regular expression")
    parser.add_argument("--preset", action="append", metavar="NAME",
                        help="%s; may be given more than once" % ", ".join(build.preset_names(root)))
    options = parser.parse_args(arguments)
    return testing.test(root, options.preset or ["default"], options.filter, options.fetch, times)


def run_doctor(root, arguments, _times):
    parser_for("doctor", "Look at this machine and say what is missing.").parse_args(arguments)
    return doctor.doctor(root)


def task_parser(command, description, yes=False):
    parser = parser_for(command, description)
    parser.add_argument("task", nargs="?", help="a lesson (03) or a task (03.2, 03.matmul_tiled); "
                                                "without: where you are")
    if yes:
        parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def run_list(root, arguments, _times):
    parser = parser_for("list", "The lessons and their tasks.")
    parser.add_argument("lesson", nargs="?", help="only this lesson")
    return learn.list_all(root, parser.parse_args(arguments).lesson)


def run_check(root, arguments, _times):
    options = task_parser("check", "Compile what you wrote and say what is wrong.").parse_args(arguments)
    return check.check(root, options.task, options.fetch)


def run_watch(root, arguments, _times):
    options = task_parser("watch", "Check every exercise file as soon as it is saved.").parse_args(arguments)
    return check.watch(root, options.task, options.fetch)


def run_hint(root, arguments, _times):
    return learn.hint(root, task_parser("hint", "One hint more at each call.").parse_args(arguments).task)


def run_solution(root, arguments, _times):
    options = task_parser("solution", "Our code for a task.", yes=True).parse_args(arguments)
    return learn.solution(root, options.task, options.yes)


def run_diff(root, arguments, _times):
    options = task_parser("diff", "Your code beside ours.", yes=True).parse_args(arguments)
    return learn.diff(root, options.task, options.yes)


def run_reset(root, arguments, _times):
    parser = task_parser("reset", "Put a task back to how it was at the start. Asks, and keeps a copy.", yes=True)
    parser.add_argument("--file", action="store_true", help="the task's whole file")
    options = parser.parse_args(arguments)
    return learn.reset(root, options.task, options.file, options.yes)


def run_train(root, arguments, times):
    fetch = "--fetch" in arguments
    words = [word for word in arguments if word not in ("--mine", "--fetch")]
    if "--mine" not in arguments:
        raise Failure("./course train --mine trains with your own kernels. To train with the library's: "
                      "build/default/bin/tinygpt train --help")
    return mine.train(root, words, fetch, times)


def run_parity(root, arguments, times):
    parser = parser_for("parity", "Run models with your kernels, and with lesson 11's machine where it is written, and "
                                  "compare logits, loss and gradients with PyTorch's.")
    return mine.parity(root, parser.parse_args(arguments).fetch, times)


def run_notebook(root, arguments, times):
    parser = parser_for("notebook", "Open a lesson's notebook in JupyterLab, which is installed into .venv where it is "
                                    "missing.")
    parser.add_argument("lesson", help="a lesson's number, such as 08")
    options = parser.parse_args(arguments)
    return notebook.notebook(root, options.lesson, options.fetch, times)


RUNNERS = {"list": run_list, "check": run_check, "watch": run_watch, "hint": run_hint, "solution": run_solution,
           "diff": run_diff, "reset": run_reset, "train": run_train, "parity": run_parity, "demo": run_demo,
           "notebook": run_notebook, "test": run_test, "doctor": run_doctor}


def dispatch(root, arguments):
    if not arguments:
        return where(root)
    command, rest = arguments[0], arguments[1:]
    if command in ("help", "--help", "-h"):
        return overview()
    if command not in RUNNERS:
        near = difflib.get_close_matches(command, RUNNERS, 1)
        raise Failure("There is no command '%s'%s. The commands: %s"
                      % (command, " (did you mean %s?)" % near[0] if near else "", ", ".join(RUNNERS)))
    return RUNNERS[command](root, rest, Times())


def main(root, arguments):
    if sys.platform in ("win32", "cygwin", "msys"):
        print("course: runs on Linux and macOS. On Windows use WSL: `wsl --install`, then clone and run inside it.",
              file=sys.stderr)
        return 2
    try:
        return dispatch(root, arguments)
    except Failure as failure:
        print("course: %s" % failure, file=sys.stderr)
        return failure.code
    except (Interrupted, KeyboardInterrupt):
        print("\ncourse: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has left
        sys.stderr.close()
        return 141
