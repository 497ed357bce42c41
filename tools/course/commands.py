"""The commands, their options, and how an error ends."""
import argparse
import sys

from course import build, demo, doctor, testing
from course.terminal import Failure, Interrupted, paint, say
from course.times import Times

COMMANDS = (
    ("demo", "train a small GPT on this machine and read what it writes (about five minutes)"),
    ("test", "build everything and run every test"),
    ("doctor", "look at this machine and say what is missing"),
    ("help", "show this list"),
)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure("%s. Help: ./course %s --help" % (message.capitalize(), self.prog.split()[-1]))


def overview():
    say(paint("tinygpt", "title") + ": build a GPT from scratch, in C++ and CUDA.\n")
    for name, what in COMMANDS:
        say("  ./course %-8s %s" % (name, what))
    say("\nEach command first sets up what it needs. Add --help to a command for its options.")
    return 0


def parser_for(command, description):
    parser = Parser(prog="./course " + command, description=description)
    if command in ("demo", "test"):
        parser.add_argument("--fetch", action="store_true",
                            help="download the sources of missing libraries instead of installing packages")
    return parser


def run_demo(root, arguments, times):
    parser = parser_for("demo", "Train a small GPT on tinytales, watch its loss, and read its stories.")
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


def dispatch(root, arguments):
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command in ("help", "--help", "-h"):
        return overview()
    runners = {"demo": run_demo, "test": run_test, "doctor": run_doctor}
    if command not in runners:
        names = ", ".join(name for name, _ in COMMANDS)
        raise Failure("There is no command '%s'. The commands: %s" % (command, names))
    return runners[command](root, rest, Times())


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
