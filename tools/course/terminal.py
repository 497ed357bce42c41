"""Words on the screen, and commands that run behind a progress line with their output in a log."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

TAIL_LINES = 40  # of a failed command's log
QUIET_SECONDS = 30  # between two progress lines where the output is no terminal


class Failure(Exception):
    """Ends the command with one message and an exit code: 1 when the work failed, 2 when it could not start."""

    def __init__(self, message, code=2):
        super().__init__(message)
        self.code = code


class Interrupted(Exception):
    """The learner pressed Ctrl-C."""


def is_terminal(stream=None):
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def paint(text, style):
    """The text in a style, where the output is a terminal that shows styles."""
    codes = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "warn": "33", "title": "1;36"}
    if not is_terminal() or "NO_COLOR" in os.environ:
        return text
    return "\033[%sm%s\033[0m" % (codes[style], text)


def say(text=""):
    print(text, flush=True)


def heading(text):
    say("\n" + paint(text, "title"))


def duration(seconds):
    if seconds < 60:
        return "%.1f s" % seconds
    return "%d min %02d s" % divmod(int(round(seconds)), 60)


def count_from_log(text):
    """The newest "done/total" that ninja, make or ctest wrote, as (done, total)."""
    found = None
    for match in re.finditer(r"\[(\d+)/(\d+)\]|\[ *(\d+)%\]|^ *(\d+)/(\d+) Test ", text, re.MULTILINE):
        done, total, percent, test, tests = match.groups()
        found = (int(done or percent or test), int(total or tests or 100))
    return found


def read_end(path, size=8192):
    try:
        with open(path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - size))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""


class Progress:
    """One line that is redrawn on a terminal, or a plain line now and then elsewhere."""

    def __init__(self, title, log):
        self.title, self.log = title, log
        self.begin = time.monotonic()
        self.next_line = self.begin + QUIET_SECONDS
        self.drawn = False
        if not is_terminal():
            say(title + " ...")

    def update(self):
        now = time.monotonic()
        if not is_terminal() and now < self.next_line:
            return
        count = count_from_log(read_end(self.log))
        where = "  %d/%d" % count if count else ""
        if is_terminal():
            wheel = "|/-\\"[int(now * 8) % 4]
            line = "%s %s%s  %s" % (wheel, self.title, where, duration(now - self.begin))
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r\033[K" + line[:width])
            sys.stdout.flush()
            self.drawn = True
        else:
            self.next_line = now + QUIET_SECONDS
            say("  still at it:%s  %s" % (where, duration(now - self.begin)))

    def finish(self):
        if self.drawn:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()
        return time.monotonic() - self.begin


def terminal_sends_interrupts():
    """Whether Ctrl-C reaches a child process by itself, because the terminal signals the whole foreground group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def run_visible(command, cwd, env=None):
    """Runs a command that talks to the learner itself. Ctrl-C is the command's to handle: it gets the signal exactly
    once and this waits for it to end. Returns (exit code, whether it was interrupted)."""
    interrupts = []
    process = subprocess.Popen(command, cwd=cwd, env=env)

    def pass_on(number, _frame):
        interrupts.append(number)
        if number != signal.SIGINT or not terminal_sends_interrupts():
            process.send_signal(number)

    previous = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code, bool(interrupts) or code in (-signal.SIGINT, 128 + signal.SIGINT)


def stop_child(process):
    if not terminal_sends_interrupts():
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_logged(title, command, log, cwd, env=None):
    """Runs a command with its output in a log file and progress on the screen. Returns (exit code, seconds)."""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "wb") as output:
        output.write(("$ " + " ".join(command) + "\n").encode())
        output.flush()
        progress = Progress(title, log)
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    code = process.wait(timeout=0.12)
                    break
                except subprocess.TimeoutExpired:
                    progress.update()
        except KeyboardInterrupt:
            stop_child(process)
            progress.finish()
            raise Interrupted() from None
        return code, progress.finish()


def must_run(title, command, log, cwd, env=None):
    """run_logged, with the log's end shown and Failure raised when the command fails. Returns the seconds."""
    code, seconds = run_logged(title, command, log, cwd, env)
    if code != 0:
        lines = read_end(log, 65536).splitlines()[-TAIL_LINES:]
        say("\n".join(lines))
        raise Failure("%s failed (exit code %d). The full log: %s" % (title, code, log), code=1)
    say("%s %s" % (paint("%-34s" % title, "bold"), paint(duration(seconds), "dim")))
    return seconds
