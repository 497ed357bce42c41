"""`./course demo`: its steps, and Ctrl-C."""
import os
import pty
import signal
import subprocess
import time
import unittest

from sandbox import TINYGPT, Sandbox

# Trains until it is interrupted; counts the interrupts it gets within half a second of the first.
PATIENT = """#!/bin/sh
[ "$1" = train ] || exit 0
interrupts=0
trap 'interrupts=$((interrupts + 1))' INT
echo training
touch "$SANDBOX/training"
while [ $interrupts -eq 0 ]; do sleep 0.05; done
sleep 0.2; sleep 0.2; sleep 0.2
echo "saved after $interrupts interrupt"
exit 130
"""


class Demo(Sandbox):
    def test_it_builds_makes_the_text_trains_and_says_what_is_next(self):
        done = self.course("demo")
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = [call.split()[1] for call in self.calls("tinygpt")]
        self.assertEqual(calls, ["data", "train", "data", "finetune", "merge", "quantize", "quantize", "eval",
                                 "generate"])
        self.assertIn("What to try next", done.stdout)
        self.assertRegex(done.stdout.splitlines()[-1],
                         "set-up .* configure .* build .* data .* train .* draw .* adapt .* quantize .* measure "
                         ".* total")

    def test_it_ends_with_pictures_and_says_where_they_are(self):
        done = self.course("demo")
        self.assertEqual(self.calls("lesson-08"), ["lesson-08 pictures --model models/demo"])
        self.assertIn("wrote lessons-out/demo-attention.svg", done.stdout)
        self.assertLess(done.stdout.index("wrote lessons-out"), done.stdout.index("What to try next"))

    def test_it_does_not_fail_for_a_picture(self):
        for trouble in ({"LESSON_CODE": "2"}, {"LESSON_CODE": "139"}, {"BROKEN_LESSON": "1"}):
            self.calls()
            done = self.course("demo", **trouble)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"Not all could be drawn \(exit code|goes on without pictures")
            self.assertIn("What to try next", done.stdout)
            self.assertEqual(len([call for call in self.calls() if call.startswith("tinygpt")]), 9)

    def test_a_program_that_cannot_start_is_said_in_a_line(self):
        self.write("lesson-08", "#!/no/such/shell\n", 0o755)
        done = self.course("demo")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Not all could be drawn (No such file or directory)", done.stdout)

    def test_a_training_that_was_stopped_draws_nothing(self):
        self.write("tinygpt", TINYGPT.replace("exit", '[ "$1" = data ] || exit'), 0o755)
        self.course("demo", TINYGPT_CODE="130")
        self.assertEqual(self.calls("lesson-08"), [])

    def test_a_failed_step_ends_it(self):
        done = self.course("demo", TINYGPT_CODE="2")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(self.calls("tinygpt")), 1)
        self.assertNotIn("What to try next", done.stdout)

    def test_a_stopped_demo_is_gone_on_with_and_a_finished_one_is_replaced(self):
        model = os.path.join(self.clone, "models", "demo")
        endings = []
        for code, arguments in (("130", []), ("0", []), ("0", []), ("130", []), ("0", ["--restart"])):
            self.write("tinygpt", TINYGPT.replace("exit", '[ "$1" = data ] || exit'), 0o755)
            self.course("demo", *arguments, TINYGPT_CODE=code)
            endings.append([call for call in self.calls("tinygpt") if " train " in call][-1].split()[-1])
            os.makedirs(model, exist_ok=True)
        self.assertEqual(endings, ["models/demo", "--resume", "--overwrite", "--overwrite", "--overwrite"])

    def test_what_comes_after_the_training_ends_it_where_it_fails(self):
        for step, code, said in (("finetune", "2", "exit code 2"), ("eval", "2", "exit code 2"),
                                 ("quantize", "130", "Stopped.")):
            self.calls()
            self.write("tinygpt", TINYGPT.replace("exit", '[ "$1" = %s ] || exit 0; exit' % step), 0o755)
            done = self.course("demo", TINYGPT_CODE=code)
            self.assertEqual(done.returncode, 130 if code == "130" else 1)
            self.assertIn(said, done.stdout + done.stderr)
            self.assertEqual(self.calls("tinygpt")[-1].split()[1], step)
            self.assertNotIn("What to try next", done.stdout)

    def wait_for_training(self):
        for _ in range(400):
            if os.path.exists(os.path.join(self.folder, "training")):
                return
            time.sleep(0.05)
        self.fail("the training did not start")

    def test_an_interrupt_reaches_the_training_once_and_is_reported(self):
        self.write("tinygpt", PATIENT, 0o755)
        process = subprocess.Popen([os.path.join(self.clone, "course"), "demo"], env=self.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   universal_newlines=True, start_new_session=True)
        self.wait_for_training()
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0]
        self.assertEqual(process.returncode, 130, output)
        self.assertIn("saved after 1 interrupt", output)
        self.assertIn("Stopped.", output)

    def test_control_c_on_a_terminal_reaches_the_training_once(self):
        self.write("tinygpt", PATIENT, 0o755)
        child, terminal = pty.fork()
        if child == 0:
            os.execve(os.path.join(self.clone, "course"), ["course", "demo"], self.environment(TERM="xterm"))
        self.wait_for_training()
        os.write(terminal, b"\x03")
        output = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            if not part:
                break
            output += part
        status = os.waitpid(child, 0)[1]
        self.assertEqual(os.WEXITSTATUS(status), 130, output)
        self.assertIn(b"saved after 1 interrupt", output)

    def test_an_interrupted_build_stops_at_once(self):
        self.stub("cmake", """case "$1" in
  --version) echo "cmake version 3.25.1" ;;
  --preset) mkdir -p "$4"; touch "$4/build.ninja" ;;
  --build) touch "$SANDBOX/training"; exec sleep 30 ;;
esac""")
        process = subprocess.Popen([os.path.join(self.clone, "course"), "demo"], env=self.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   universal_newlines=True, start_new_session=True)
        self.wait_for_training()
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=10)[0]
        self.assertEqual(process.returncode, 130, output)
        self.assertIn("course: stopped.", output)


if __name__ == "__main__":
    unittest.main()
