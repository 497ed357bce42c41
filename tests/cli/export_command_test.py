"""A model as one GGUF file, and back to a folder."""
import os
import subprocess
import unittest

from program import PROGRAM, ProgramTest


class ExportTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = {}
        for family in ("gpt2", "llama"):
            cls.models[family] = os.path.join(cls.shared, family)
            subprocess.run([PROGRAM, "train", "--data", cls.corpus, "--out", cls.models[family], "--config",
                            "nano-cpu", "--family", family, "--layers", "2", "--heads", "2", "--width", "32",
                            "--hidden", "64", "--context", "32", "--steps", "30", "--threads", "1"],
                           check=True, capture_output=True)

    def text_of(self, model):
        return self.succeed("generate", "--model", model, "--prompt", "the ", "--temperature", 0, "--max-tokens", 20,
                            "--threads", 1)

    def test_a_model_comes_back_and_writes_the_same(self):
        for family, model in self.models.items():
            with self.subTest(family=family):
                out = self.succeed("export", model, "--type", "f32", "--out", family + ".gguf")
                self.assertRegex(out, r"Wrote %s.gguf: .* parameters in F32, \d" % family)
                self.succeed("import", family + ".gguf")
                self.assertEqual(self.text_of(family), self.text_of(model))

    def test_fewer_bits_take_fewer_bytes(self):
        sizes = []
        for kind in ("f32", "f16", "q8_0", "q4_0"):
            self.succeed("export", self.models["llama"], "--type", kind, "--out", "m.gguf")
            sizes.append(os.path.getsize(self.path("m.gguf")))
            self.succeed("import", "m.gguf", "--out", kind)
            self.assertTrue(self.text_of(kind).startswith("the "))
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertLess(sizes[2], 0.6 * sizes[1])

    def test_the_files_name_is_the_folders(self):
        os.symlink(self.models["gpt2"], self.path("mine"))
        self.succeed("export", "mine/")
        self.assertTrue(os.path.exists(self.path("mine.gguf")))

    def test_refuses_what_is_not_there_or_would_be_lost(self):
        self.refuse("export", "nothing", naming="nothing")
        self.refuse("export", self.models["gpt2"], "--type", "q5_0", naming="q5_0")
        os.mkdir(self.path("folder"))
        self.refuse("export", self.models["gpt2"], "--out", "folder", naming="is a folder")
        self.refuse("import", "nothing.gguf", naming="nothing.gguf")
        with open(self.path("bad.gguf"), "wb") as file:
            file.write(b"GGUF" + bytes(40))
        self.refuse("import", "bad.gguf", "--out", "bad", naming="version 0")
        self.assertFalse(os.path.exists(self.path("bad")))
        self.succeed("export", self.models["gpt2"], "--out", "m.gguf")
        self.succeed("import", "m.gguf")
        self.refuse("import", "m.gguf", naming="--overwrite")
        self.succeed("import", "m.gguf", "--overwrite")


if __name__ == "__main__":
    unittest.main()
