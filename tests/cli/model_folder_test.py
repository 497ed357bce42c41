"""Model folders that someone damaged, or made to do harm: one line, quickly, and without much memory."""
import json
import os
import pty
import resource
import shutil
import struct
import subprocess
import unittest

from program import PROGRAM, ProgramTest

GIBIBYTE = 1 << 30


def little_memory():
    """Many times what the model needs, and a fraction of what a hostile file may ask for."""
    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTE, GIBIBYTE))


# AddressSanitizer reserves terabytes of addresses, so that no program under it can do with less.
@unittest.skipIf("address" in os.environ.get("TINYGPT_TEST_SANITIZE", ""), "AddressSanitizer needs all addresses")
class ModelFolderTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = {}
        for family in ("gpt2", "llama"):
            cls.models[family] = os.path.join(cls.shared, family)
            subprocess.run([PROGRAM, "train", "--data", cls.corpus, "--out", cls.models[family],
                            "--config", "nano-cpu", "--family", family, "--layers", "1", "--heads", "2",
                            "--width", "16", "--context", "32", "--steps", "1", "--threads", "1"],
                           check=True, capture_output=True)

    def copy(self, family="gpt2"):
        shutil.rmtree(self.path("model"), ignore_errors=True)
        shutil.copytree(self.models[family], self.path("model"))

    def generate(self):
        return ["generate", "--model", "model", "--prompt", "a", "--threads", 1, "--max-tokens", 5]

    def refuse_both(self, naming):
        self.refuse(*self.generate(), naming=naming, preexec_fn=little_memory)
        self.refuse("info", "model", naming=naming, preexec_fn=little_memory)

    def refuse_generate(self, naming):
        self.refuse(*self.generate(), naming=naming, preexec_fn=little_memory)

    def change_config(self, **fields):
        config = json.loads(self.read("model", "config.json"))
        config.update(fields)
        with open(self.path("model", "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)

    def write(self, name, content):
        with open(self.path("model", name), "wb") as file:
            file.write(content)

    def split_weights(self):
        content = self.read("model", "model.safetensors")
        size = struct.unpack("<Q", content[:8])[0]
        return json.loads(content[8:8 + size]), content[8 + size:]

    def write_weights(self, header, data):
        text = json.dumps(header).encode()
        self.write("model.safetensors", struct.pack("<Q", len(text)) + text + data)

    def test_the_folders_work_before_they_are_damaged(self):
        for family in self.models:
            self.copy(family)
            self.succeed(*self.generate(), preexec_fn=little_memory)
            self.succeed("info", "model", preexec_fn=little_memory)

    def test_weights_that_are_cut_short_are_refused(self):
        self.copy()
        content = self.read("model", "model.safetensors")
        for size in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
            self.write("model.safetensors", content[:size])
            self.refuse_both("model.safetensors")
        self.write("model.safetensors", content + b"\x00")
        self.refuse_both("model.safetensors")

    def test_headers_that_claim_huge_sizes_are_refused(self):
        self.copy()
        header, data = self.split_weights()
        for size in (1 << 20, 1 << 40, (1 << 63) - 1, (1 << 64) - 1):
            self.write("model.safetensors", struct.pack("<Q", size) + b"{}")
            self.refuse_both("model.safetensors")
        name = sorted(name for name in header if name != "__metadata__")[0]
        for shape in ([1 << 62], [1 << 32, 1 << 32, 4], [-1], [1 << 64], [[1]] * 9):
            self.write_weights({**header, name: {**header[name], "shape": shape}}, data)
            self.refuse_both(name)
        for offsets in ([0, 1 << 62], [1 << 62, 1 << 62], [8, 0], [0], "0", [-8, 8]):
            self.write_weights({**header, name: {**header[name], "data_offsets": offsets}}, data)
            self.refuse_both("model.safetensors")

    def test_configs_with_absurd_numbers_are_refused(self):
        for family, fields in [
            ("gpt2", ("n_layer", "n_head", "n_embd", "n_inner", "n_positions", "vocab_size")),
            ("llama", ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "hidden_size",
                       "intermediate_size", "vocab_size", "max_position_embeddings")),
        ]:
            for field in fields:
                for value in (0, -1, 2147483647, 1 << 40, 1 << 64, 1e300, 1.5, "12", [], True):
                    self.copy(family)
                    self.change_config(**{field: value})
                    self.refuse_both("config.json")
                self.copy(family)
                if field != "max_position_embeddings":  # no weight depends on it
                    self.change_config(**{field: 4096})
                    self.refuse_both("model")

    def test_a_context_that_no_memory_could_hold_is_not_given_memory(self):
        self.copy("llama")
        self.change_config(max_position_embeddings=1 << 24)
        self.succeed(*self.generate(), preexec_fn=little_memory)
        self.refuse(*self.generate(), "--max-tokens", 2000000000, naming="memory", preexec_fn=little_memory)

    def test_a_config_alone_is_given_no_memory(self):
        self.copy()
        os.remove(self.path("model", "model.safetensors"))
        self.change_config(n_layer=4096, n_embd=1 << 16, n_inner=1 << 18)
        self.refuse_generate("model.safetensors")
        self.succeed("info", "model", preexec_fn=little_memory)  # what such a model would cost

    def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(self):
        self.copy()
        self.succeed("tokenizer", "train", "--kind", "byte", "--out", "model/tokenizer.json")
        self.refuse_generate("257 tokens")

    def test_weights_that_are_not_finite_are_refused(self):
        self.copy()
        header, data = self.split_weights()
        for value in (float("nan"), float("inf"), float("-inf")):
            for at in (0, len(data) // 8 * 4, len(data) - 4):
                self.write_weights(header, data[:at] + struct.pack("<f", value) + data[at + 4:])
                self.refuse_generate("not finite")
        self.succeed("info", "model")  # reads no values

    def test_a_folder_that_is_something_else_is_refused(self):
        self.copy()
        for name in ("config.json", "model.safetensors"):
            os.remove(self.path("model", name))
            os.mkfifo(self.path("model", name))  # must not be waited for
            self.refuse_both(name)
            self.copy()
        shutil.rmtree(self.path("model"))
        self.refuse_both("model")
        with open(self.path("model"), "w", encoding="utf-8"):
            pass
        self.refuse_both("model")

    def test_a_terminal_gets_no_control_characters_and_a_pipe_gets_every_byte(self):
        words = ["generate", "--model", self.models["gpt2"], "--prompt", "\x1b[2Ja\x08\x7f\tb",
                 "--max-tokens", "200", "--threads", "1"]
        ours, theirs = pty.openpty()
        process = subprocess.Popen([PROGRAM] + words, stdout=theirs, stderr=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL)
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
        os.close(ours)
        self.assertEqual(process.wait(timeout=60), 0)
        # The terminal's driver writes line feeds as two characters.
        self.assert_plain(shown.decode().replace("\r\n", "\n"))
        self.assertIn("\ufffd[2Ja\ufffd\ufffd\tb", shown.decode())
        out = self.succeed(*words)
        self.assertTrue(out.startswith("\x1b[2Ja\x08\x7f\tb"))
        self.assertGreaterEqual(len(os.fsencode(out)), 200)
        self.assertEqual(json.loads(self.succeed(*words, "--json"))["prompt"], "\x1b[2Ja\x08\x7f\tb")


if __name__ == "__main__":
    unittest.main()
