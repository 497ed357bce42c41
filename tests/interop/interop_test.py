"""What the set-up makes of installers that fail: a registry out of reach is a reason to skip, nothing else is."""
import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import interop

HERE = pathlib.Path(__file__).resolve().parent


def install(script, limit=20):
    with contextlib.redirect_stdout(io.StringIO()):
        interop.install("peers", [sys.executable, "-c", script], HERE, limit)


class InteropTest(unittest.TestCase):
    def test_an_installer_that_succeeds_says_nothing(self):
        install("print('timed out, then done')")

    def test_a_registry_out_of_reach_is_a_reason_to_skip(self):
        for words in ("WARNING: Retrying after connection broken by 'NewConnectionError'", "npm error code EAI_AGAIN",
                      "npm error network request failed, reason: connect ETIMEDOUT"):
            with self.assertRaisesRegex(interop.Skipped, "out of reach"):
                install("import sys; sys.exit(%r)" % words)

    def test_an_installer_that_hangs_is_ended(self):
        with self.assertRaisesRegex(interop.Skipped, "within 1 seconds"):
            install("import time; time.sleep(60)", limit=1)

    def test_any_other_failure_is_one(self):
        with self.assertRaises(SystemExit) as caught:
            install("import sys; sys.exit('No matching distribution found for tokenizers==9')")
        self.assertIn("No matching distribution", caught.exception.code)

    def test_nothing_is_installed_where_it_is_not_asked_for(self):
        environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TINYGPT_INTEROP")}
        with tempfile.TemporaryDirectory() as build:
            for words in (["set-up"], ["check", "gguf"]):
                done = subprocess.run([sys.executable, str(HERE / "interop.py"), *words, build], env=environment,
                                      stdout=subprocess.PIPE, universal_newlines=True)
                self.assertEqual(done.returncode, interop.SKIPPED)
                self.assertRegex(done.stdout.splitlines()[-1], "^skipped: .*TINYGPT_INTEROP=1")
            self.assertEqual(os.listdir(build), [])


if __name__ == "__main__":
    unittest.main()
