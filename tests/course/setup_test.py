"""How `./course` finds and installs what is missing, configures and builds."""
import ast
import contextlib
import glob
import io
import os
import unittest
from unittest import mock

from sandbox import ROOT, Sandbox

from course import commands, packages, setup
from course.terminal import Failure


class SetUp(Sandbox):
    def test_nothing_is_installed_where_nothing_is_missing(self):
        done = self.course("test")
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = self.calls()
        self.assertFalse([call for call in calls if call.startswith("apt-get")])
        self.assertEqual([call.split()[1] for call in calls if call.startswith("cmake --") and "--version" not in call],
                         ["--preset", "--build"])

    @unittest.skipIf(os.geteuid() != 0, "installs only as root")
    def test_root_installs_exactly_the_packages_of_what_is_missing_and_says_why(self):
        self.write("missing", "missing:eigen\nmissing:utf8proc\n")
        done = self.course("test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        installs = self.calls("apt-get")
        self.assertEqual(len(installs), 1)
        self.assertTrue(installs[0].endswith("install -y --no-install-recommends libeigen3-dev libutf8proc-dev"))
        self.assertLess(done.stdout.index("checks kernels in double precision"), done.stdout.index("Installing with"))

    @unittest.skipIf(os.geteuid() != 0, "installs only as root")
    def test_package_lists_are_refreshed_first_where_apt_does_not_know_a_package(self):
        self.write("missing", "missing:fmt\n")
        self.course("test", CANDIDATE="(none)")
        self.assertEqual([call.split()[3] for call in self.calls("apt-get")], ["update", "install"])

    @unittest.skipIf(os.geteuid() != 0, "installs only as root")
    def test_an_installation_that_changes_nothing_is_an_error(self):
        self.write("missing", "missing:fmt\n")
        self.stub("apt-get", ":")
        done = self.course("test")
        self.assertEqual(done.returncode, 2)
        self.assertIn("Still missing after the installation: fmt", done.stderr)

    @unittest.skipIf(os.geteuid() != 0, "installs only as root")
    def test_a_failed_installation_shows_the_log_and_the_line_to_type(self):
        self.write("missing", "missing:fmt\n")
        self.stub("apt-get", "echo E: no space left; exit 100")
        done = self.course("test")
        self.assertEqual(done.returncode, 2)
        self.assertIn("E: no space left", done.stdout)
        self.assertIn("sudo apt-get install -y libfmt-dev", done.stderr)

    def test_without_a_package_manager_the_line_for_each_of_four_is_printed(self):
        self.write("missing", "missing:fmt\nmissing:json\n")
        self.remove("apt-get")
        done = self.course("demo")
        self.assertEqual(done.returncode, 2)
        for line in ("sudo apt-get install -y nlohmann-json3-dev libfmt-dev",
                     "sudo dnf install -y json-devel fmt-devel",
                     "sudo pacman -S --needed nlohmann-json fmt", "brew install nlohmann-json fmt", "--fetch"):
            self.assertIn(line, done.stderr)

    def test_fetch_goes_on_without_libraries_but_not_without_a_compiler(self):
        self.write("missing", "missing:fmt\n")
        self.remove("apt-get")
        self.assertEqual(self.course("test", "--fetch").returncode, 0)
        self.remove("c++")
        self.assertEqual(self.course("test", "--fetch").returncode, 2)

    def test_an_old_compiler_is_refused_in_one_sentence(self):
        done = self.course("test", GCC="9")
        self.assertEqual(done.returncode, 2)
        self.assertIn("gcc 9; the project needs g++ 11", done.stderr)
        self.assertFalse(self.calls("apt-get"))

    def test_an_old_cmake_is_refused_in_one_sentence(self):
        done = self.course("test", CMAKE="3.16.3")
        self.assertEqual(done.returncode, 2)
        self.assertIn("3.16; the project needs 3.22", done.stderr)

    def test_make_is_used_where_ninja_is_absent(self):
        self.remove("ninja")
        self.stub("make", ":")
        self.course("test")
        self.assertIn("-G Unix Makefiles", self.calls("cmake --preset")[0])

    def test_a_second_run_only_builds_and_takes_under_a_second_of_processor_time(self):
        self.course("test")
        self.calls()
        before = os.times()
        self.course("test")
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        self.assertLess(spent, 1.0)  # not the clock's time, which other tests running at once would stretch
        self.assertEqual([call.split()[:2] for call in self.calls()][0], ["cmake", "--build"])

    def test_what_was_found_is_looked_for_again_after_a_failed_build(self):
        self.course("test")
        self.course("test", BROKEN="1")
        self.calls()
        self.course("test")
        self.assertTrue(self.calls("c++"))

    def test_a_failed_build_shows_its_end_and_its_log(self):
        done = self.course("test", BROKEN="1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: expected ';'", done.stdout)
        self.assertIn(os.path.join("build", "default", "logs", "build.log"), done.stderr)

    def test_a_clone_that_has_moved_is_configured_anew(self):
        self.course("test")
        moved = os.path.join(self.folder, "moved")
        os.rename(self.clone, moved)
        self.clone = moved
        self.calls()
        self.assertEqual(self.course("test").returncode, 0)
        self.assertTrue(self.calls("cmake --preset"))

    def test_continuous_integration_makes_warnings_errors_in_a_folder_of_its_own(self):
        self.course("test", CI="true")
        line = self.calls("cmake --preset")[0]
        self.assertIn("-DCMAKE_COMPILE_WARNING_AS_ERROR=ON", line)
        self.assertIn("build/default-ci ", line)

    def test_presets_for_clang_find_it_by_number_or_say_what_to_install(self):
        done = self.course("test", "--preset", "tsan")
        self.assertEqual(done.returncode, 2)
        self.assertIn("sudo apt-get install -y clang libomp-dev", done.stderr)
        self.stub("clang++-17", 'echo "#define __clang_major__ 17"')
        self.assertEqual(self.course("test", "--preset", "tsan").returncode, 0)
        self.assertIn("clang++-17", self.calls("cmake --preset")[0])

    def test_an_unknown_preset_is_refused_with_the_list_of_presets(self):
        done = self.course("test", "--preset", "fast")
        self.assertEqual(done.returncode, 2)
        self.assertIn("default, portable, release, debug, asan, tsan, fuzz", done.stderr)

    @unittest.skipIf(os.geteuid() != 0, "installs only as root")
    def test_python_itself_is_installed_where_it_is_missing(self):
        python = os.readlink(os.path.join(self.bin, "python3"))
        self.remove("python3")
        self.stub("apt-get", 'case "$*" in *install*python3) ln -s "%s" "$SANDBOX/bin/python3" ;; esac' % python)
        done = self.course("help")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("./course demo", done.stdout)

    def test_where_python_cannot_be_installed_the_line_to_type_is_printed(self):
        self.remove("python3")
        self.remove("apt-get")
        done = self.course("help")
        self.assertEqual(done.returncode, 2)
        self.assertIn("sudo apt-get install python3", done.stderr)


class Sudo(unittest.TestCase):
    """Who installs, decided without a real sudo."""

    def as_user(self, sudo_code, terminal):
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(setup.os, "geteuid", return_value=1000))
            stack.enter_context(mock.patch.object(setup.shutil, "which", return_value=sudo_code is not None or None))
            for stream in ("stdin", "stdout"):
                fake = mock.Mock(isatty=lambda: terminal, write=io.StringIO().write)
                stack.enter_context(mock.patch.object(setup.sys, stream, fake))
            call = stack.enter_context(mock.patch.object(setup.subprocess, "call", return_value=sudo_code))
            return setup.as_root(), call

    def test_no_sudo_means_no_way(self):
        self.assertIsNone(self.as_user(None, False)[0])

    def test_without_a_terminal_sudo_never_asks_for_a_password(self):
        words, call = self.as_user(0, False)
        self.assertEqual(words, ["sudo", "-n"])
        self.assertEqual(call.call_args[0][0], ["sudo", "-n", "true"])
        self.assertIsNone(self.as_user(1, False)[0])

    def test_on_a_terminal_sudo_may_ask_once(self):
        words, call = self.as_user(0, True)
        self.assertEqual(words, ["sudo", "-n"])
        self.assertEqual(call.call_args[0][0], ["sudo", "-v"])

    def test_a_learner_without_rights_gets_the_line_to_type(self):
        with mock.patch.object(setup, "as_root", return_value=None), \
                mock.patch.object(packages, "present_manager", return_value="dnf"):
            with self.assertRaises(Failure) as caught:
                setup.install("/nowhere", ["cmake", "fmt"])
        self.assertEqual(caught.exception.code, 2)
        self.assertIn("sudo dnf install -y cmake fmt-devel", str(caught.exception))
        self.assertNotIn("--fetch", str(caught.exception))


class Sources(unittest.TestCase):
    def test_every_file_is_python_3_8(self):
        files = glob.glob(os.path.join(ROOT, "tools", "course", "*.py")) + [os.path.join(ROOT, "course")]
        self.assertGreater(len(files), 5)
        for path in files:
            with open(path, encoding="utf-8") as source:
                ast.parse(source.read(), path, feature_version=(3, 8))

    def test_windows_is_told_about_wsl(self):
        errors = io.StringIO()
        with mock.patch.object(commands.sys, "platform", "win32"), contextlib.redirect_stderr(errors):
            self.assertEqual(commands.main(ROOT, ["test"]), 2)
        self.assertIn("wsl --install", errors.getvalue())

    def test_each_requirement_is_named_for_every_package_manager(self):
        for need in packages.REQUIREMENTS:
            for manager in packages.MANAGERS:
                self.assertTrue(getattr(need, manager), (need.key, manager))


if __name__ == "__main__":
    unittest.main()
