"""A machine made of stubs: a copy of the script in a folder with spaces, and a PATH on which every tool is a small
shell script that notes how it was called. No test here installs, configures or compiles anything real."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

STUBS = {
    "c++": """case "$*" in
  *-dM*) echo "#define __GNUC__ ${GCC:-12}" ;;
  *) cat "$SANDBOX/missing" 2>/dev/null || true ;;
esac""",
    "cmake": """case "$1" in
  --version) echo "cmake version ${CMAKE:-3.25.1}"; exit 0 ;;
  --preset)
    if [ -f "$4/CMakeCache.txt" ] && ! grep -q "=$PWD$" "$4/CMakeCache.txt"; then exit 1; fi
    mkdir -p "$4"; echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" > "$4/CMakeCache.txt"; touch "$4/build.ninja" ;;
  --build)
    if [ -n "$BROKEN" ]; then echo "kernel.cpp:1: error: expected ';'"; exit 1; fi
    mkdir -p "$2/bin"; cp "$SANDBOX/tinygpt" "$2/bin/tinygpt"
    case "$*" in *lesson-08*)
      if [ -n "$BROKEN_LESSON" ]; then echo "demo.cpp:1: error: expected ';'"; exit 1; fi
      cp "$SANDBOX/lesson-08" "$2/bin/lesson-08" ;;
    esac ;;
esac""",
    "ctest": """case "$*" in *--show-only*) cat "$SANDBOX/labels.json" 2>/dev/null; exit 0 ;; esac
while [ $# -gt 0 ]; do
  if [ "$1" = --output-junit ] && [ -f "$SANDBOX/results.xml" ]; then cp "$SANDBOX/results.xml" "$2"; fi
  shift
done
exit ${CTEST_CODE:-0}""",
    "ninja": ":",
    "git": ":",
    "apt-cache": 'shift; for package in "$@"; do echo "Candidate: ${CANDIDATE:-1}"; done',
    "apt-get": 'case "$*" in *install*) rm -f "$SANDBOX/missing" ;; esac',
}
TINYGPT = """#!/bin/sh
echo "tinygpt $*" >> "$SANDBOX/calls"
echo "tinygpt says $1"
exit ${TINYGPT_CODE:-0}
"""
LESSON = """#!/bin/sh
echo "lesson-08 $*" >> "$SANDBOX/calls"
echo "wrote lessons-out/demo-attention.svg"
exit ${LESSON_CODE:-0}
"""
ONE_PASSED = '<testsuite><testcase name="a" status="run"><system-out>fine</system-out></testcase></testsuite>'


class Sandbox(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="course test ")
        self.addCleanup(shutil.rmtree, self.folder)
        self.clone = os.path.join(self.folder, "a clone")
        self.bin = os.path.join(self.folder, "bin")
        os.makedirs(self.clone)
        os.makedirs(self.bin)
        for name in ("course", "CMakePresets.json"):
            shutil.copy(os.path.join(ROOT, name), self.clone)
        shutil.copytree(os.path.join(ROOT, "tools", "course"), os.path.join(self.clone, "tools", "course"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("sh", "env", "id", "dirname", "cat", "cp", "rm", "mkdir", "touch", "sleep", "ln", "grep"):
            os.symlink(shutil.which(name), os.path.join(self.bin, name))
        os.symlink(sys.executable, os.path.join(self.bin, "python3"))
        for name, body in STUBS.items():
            self.stub(name, body)
        self.write("tinygpt", TINYGPT, 0o755)
        self.write("lesson-08", LESSON, 0o755)
        self.write("results.xml", ONE_PASSED)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def stub(self, name, body):
        note = 'echo "%s $*" >> "$SANDBOX/calls"\n' % name
        self.write(os.path.join("bin", name), "#!/bin/sh\n" + note + body + "\n", 0o755)

    def remove(self, name):
        os.remove(os.path.join(self.bin, name))

    def environment(self, **extra):
        values = {"PATH": self.bin, "SANDBOX": self.folder, "HOME": self.folder}
        values.update(extra)
        return values

    def course(self, *arguments, cwd=None, **extra):
        """Runs the script. Returns the finished process, with text output."""
        return subprocess.run([os.path.join(self.clone, "course")] + list(arguments), cwd=cwd or self.folder,
                              env=self.environment(**extra), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, timeout=60)

    def calls(self, tool=None):
        """How the stubs were called, in order; forgotten once read."""
        path = os.path.join(self.folder, "calls")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        os.remove(path)
        return [line for line in lines if tool is None or line.startswith(tool + " ")]
