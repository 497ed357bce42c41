"""cmake/Fetch.cmake: a pinned archive is downloaded once, checked and unpacked; anything else ends with a way out."""
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROJECT = """cmake_minimum_required(VERSION 3.22)
project(fetching NONE)
include("%s/cmake/Fetch.cmake")
tinygpt_fetch(parts "file://${FOLDER}/v1.0.tar.gz" ${HASH} "apt-name;dnf-name;pacman-name;brew-name" headers-only)
file(READ ${parts_SOURCE_DIR}/parts.h text)
message(STATUS "found ${text}")
""" % ROOT


class Fetch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fetch_test_")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path("CMakeLists.txt", PROJECT)
        header = self.path("parts.h", "// parts")
        self.archive = os.path.join(self.folder, "v1.0.tar.gz")
        with tarfile.open(self.archive, "w:gz") as archive:
            archive.add(header, "parts-1.0/parts.h")
        with open(self.archive, "rb") as file:
            self.digest = hashlib.sha256(file.read()).hexdigest()

    def path(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def configure(self, digest):
        command = ["cmake", "-S", self.folder, "-B", os.path.join(self.folder, "build"),
                   "-DFOLDER=" + self.folder, "-DHASH=" + digest]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def test_an_archive_is_unpacked_and_kept_for_the_next_preset(self):
        done = self.configure(self.digest)
        self.assertIn("found // parts", done.stdout)
        os.remove(self.archive)
        shutil.rmtree(os.path.join(self.folder, "build", "_deps"))
        done = self.configure(self.digest)
        self.assertIn("found // parts", done.stdout)
        self.assertNotIn("Downloading", done.stdout)

    def test_other_bytes_than_the_pinned_ones_are_refused_and_not_kept(self):
        done = self.configure("0" * 64)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("its SHA-256 is", done.stdout)
        self.assertEqual(os.listdir(os.path.join(self.folder, "build", "downloads")), [])

    def test_without_the_archive_the_package_is_named_for_four_package_managers(self):
        os.remove(self.archive)
        done = self.configure(self.digest)
        self.assertNotEqual(done.returncode, 0)
        for name in ("apt-get install -y apt-name", "dnf install -y dnf-name", "--needed pacman-name",
                     "brew install brew-name"):
            self.assertIn(name, done.stdout)

    def test_a_damaged_download_is_replaced(self):
        os.makedirs(os.path.join(self.folder, "build", "downloads"))
        self.path(os.path.join("build", "downloads", "parts-v1.0.tar.gz"), "half")
        self.assertIn("found // parts", self.configure(self.digest).stdout)


if __name__ == "__main__":
    unittest.main()
