#!/usr/bin/env python3
"""`./course watch` checks a file that is saved, and ends with Ctrl-C."""
import os
import queue
import signal
import subprocess
import sys
import threading
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PATIENCE = 240  # seconds: the graders may have to be built first


class Watch(unittest.TestCase):
    def setUp(self):
        # -u: lines come when they are printed. No terminal: no colours.
        self.watch = subprocess.Popen([sys.executable, "-u", os.path.join(ROOT, "course"), "watch", "00"], cwd=ROOT,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      universal_newlines=True, start_new_session=True,
                                      # what runs in the background of a shell ignores Ctrl-C, and hands that on
                                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.watch.stdout], daemon=True).start()
        self.addCleanup(self.watch.stdout.close)
        self.addCleanup(self.watch.kill)

    def wait_for(self, words):
        seen = []
        while words not in "".join(seen):
            try:
                seen.append(self.lines.get(timeout=PATIENCE))
            except queue.Empty:
                self.fail("'%s' did not come; what came: %s" % (words, "".join(seen)))

    def test_checks_what_is_saved(self):
        self.wait_for("Watching exercises/00-first-steps")
        os.utime(os.path.join(ROOT, "exercises", "00-first-steps", "first_steps.cpp"))  # saved as it is
        self.wait_for("00.2   scale")
        self.wait_for("passed in")
        os.killpg(self.watch.pid, signal.SIGINT)
        self.assertEqual(self.watch.wait(timeout=60), 130)


if __name__ == "__main__":
    unittest.main()
