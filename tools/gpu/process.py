"""Programs with a time limit, whose output goes to a log; and the time that is left for all of them."""
import os
import signal
import subprocess
import time
from collections import namedtuple

# code is None where the limit ended the program. output: stdout and stderr, in the order of writing.
Done = namedtuple("Done", "code seconds output")


class Clock:
    """Counts down the seconds of a whole run."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return max(0.0, self.end - time.monotonic())


def stop(process):
    """The program and what it has started."""
    for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=patience)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def run(words, limit, cwd, log, environment=None):
    """Runs a program for `limit` seconds at most, in a group of its own, so that no child outlives it."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    begin = time.monotonic()
    with open(log, "wb") as output:
        output.write(("$ " + " ".join(words) + "\n").encode())
        output.flush()
        try:
            process = subprocess.Popen(words, cwd=cwd, env=dict(os.environ, **(environment or {})), stdout=output,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            return Done(127, 0.0, "%s: %s" % (words[0], error))
        try:
            code = process.wait(timeout=max(0.1, limit))
        except subprocess.TimeoutExpired:
            stop(process)
            code = None
        except BaseException:
            stop(process)
            raise
    with open(log, encoding="utf-8", errors="replace") as text:
        lines = text.read().split("\n", 1)
    return Done(code, time.monotonic() - begin, lines[1] if len(lines) > 1 else "")


def last_lines(text, count=8):
    return "\n".join(text.strip().splitlines()[-count:])
