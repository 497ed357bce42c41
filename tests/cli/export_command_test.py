"""A model as one GGUF file, and back to a folder; folders that others wrote."""
import json
import os
import shutil
import struct
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

    def split(self, family, parts):
        """The model as others lay it out: its tensors in several files, in bfloat16, with an index."""
        shutil.copytree(self.models[family], self.path("theirs"), ignore=shutil.ignore_patterns("checkpoints", "log*"))
        content = self.read("theirs", "model.safetensors")
        size = struct.unpack("<Q", content[:8])[0]
        header, data = json.loads(content[8:8 + size]), content[8 + size:]
        names = sorted(name for name in header if name != "__metadata__")
        index = {}
        for part in range(parts):
            file, shard, values = "model-%05d-of-%05d.safetensors" % (part + 1, parts), {}, b""
            for name in names[part::parts]:
                begin, end = header[name]["data_offsets"]
                half = b"".join(data[i + 2:i + 4] for i in range(begin, end, 4))
                shard[name] = {"dtype": "BF16", "shape": header[name]["shape"],
                               "data_offsets": [len(values), len(values) + len(half)]}
                values += half
                index[name] = file
            text = json.dumps(shard).encode()
            with open(self.path("theirs", file), "wb") as out:
                out.write(struct.pack("<Q", len(text)) + text + values)
        with open(self.path("theirs", "model.safetensors.index.json"), "w", encoding="utf-8") as out:
            json.dump({"metadata": {}, "weight_map": index}, out)
        os.remove(self.path("theirs", "model.safetensors"))

    def test_a_folder_in_shards_becomes_one_of_ours(self):
        for family in self.models:
            with self.subTest(family=family):
                self.split(family, 3)
                self.succeed("import", "theirs", "--out", "ours")
                self.assertEqual(sorted(os.listdir(self.path("ours"))), ["config.json", "model.safetensors",
                                                                         "tokenizer.json", "tokenizer_config.json"])
                self.assertEqual(self.text_of("ours"), self.text_of("theirs"))
                self.refuse("import", "theirs", "--out", "ours", naming="--overwrite")
                self.refuse("import", "theirs", naming="--out")
                self.refuse("import", "theirs", "--out", "theirs", "--overwrite", naming="the folder itself")
                for folder in ("theirs", "ours"):
                    shutil.rmtree(self.path(folder))

    def test_a_folder_that_is_not_understood_is_refused_and_nothing_is_written(self):
        self.split("llama", 2)
        config = json.loads(self.read("theirs", "config.json"))
        tokenizer = json.loads(self.read("theirs", "tokenizer.json"))

        def refuse(naming):
            self.refuse("import", "theirs", "--out", "ours", naming=naming)
            self.assertFalse(os.path.exists(self.path("ours")))

        def write(name, value):
            with open(self.path("theirs", name), "w", encoding="utf-8") as out:
                json.dump(value, out)

        write("config.json", dict(config, model_type="mistral"))
        refuse("model_type: \"mistral\" is not supported, only gpt2 and llama")
        write("config.json", dict(config, rope_scaling={"rope_type": "llama3", "factor": 8.0}))
        refuse("rope_scaling.rope_type: \"llama3\" is not supported")
        write("config.json", dict(config, num_hidden_layers=1))
        refuse("does not belong to the model")
        write("config.json", config)
        write("tokenizer.json", dict(tokenizer, pre_tokenizer={"type": "Metaspace"}))
        refuse("Metaspace")
        os.remove(self.path("theirs", "tokenizer.json"))
        refuse("tokenizer.json")

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
