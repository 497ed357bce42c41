"""`tinygpt finetune`, `merge` and `generate --adapter` as a user meets them."""
import json
import os
import shutil
import struct
import subprocess
import unittest

from program import PROGRAM, ProgramTest, newest, write_text

SHAPE = ["--config", "nano-cpu", "--family", "llama", "--layers", 2, "--heads", 2, "--width", 32, "--context", 32]
STEPS = ["--batch", 4, "--steps", 30, "--eval-every", 10, "--eval-tokens", 256, "--last-eval-tokens", 2000,
         "--log-every", 1, "--threads", 1]
ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]


def values_in(content):
    """{name: bytes} of a safetensors file."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    return {name: content[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]]
            for name, t in header.items() if name != "__metadata__"}


class FinetuneCommandTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        text, cls.other = os.path.join(cls.shared, "other.txt"), os.path.join(cls.shared, "other")
        write_text(text, seed=2)
        with open(text, encoding="utf-8") as file:
            words = file.read().upper()
        with open(text, "w", encoding="utf-8") as file:
            file.write(words)
        cls.base = os.path.join(cls.shared, "base")
        tokenizer = os.path.join(cls.corpus, "tokenizer.json")
        for command in (["data", text, "--out", cls.other, "--tokenizer", tokenizer],
                        ["train", "--data", cls.corpus, "--out", cls.base] + SHAPE + STEPS + ["--lr", 1e-2]):
            subprocess.run([PROGRAM] + [str(word) for word in command], check=True, capture_output=True)

    def words(self, *more, out="tuned"):
        return ["finetune", "--model", self.base, "--data", self.other, "--out", out] + STEPS + list(more)

    def base_file(self):
        with open(os.path.join(self.base, "model.safetensors"), "rb") as file:
            return file.read()

    def result(self, *words):
        return json.loads(self.succeed(*words, "--json").splitlines()[-1])

    def test_an_adapter_learns_and_the_base_stays(self):
        before = self.base_file()
        start = self.result(*self.words("--method", "full", "--steps", 1, "--lr", 0, out="none"))["validation_loss"]
        full = self.result(*self.words("--method", "full", out="full"))["validation_loss"]
        lora = self.result(*self.words("--rank", 4))
        self.assertEqual(lora["adapter"], "tuned")
        self.assertGreater(start - lora["validation_loss"], 0.3 * (start - full))
        self.assertEqual(self.base_file(), before)
        self.assertFalse(os.path.exists(self.path("tuned", "model.safetensors")))
        config = json.loads(self.read("tuned", "adapter_config.json"))
        self.assertEqual([config[name] for name in ("peft_type", "r", "lora_alpha")], ["LORA", 4, 8])
        self.assertEqual(config["base_model_name_or_path"], self.base)
        first = self.lines("tuned", "log.jsonl")[0]
        self.assertEqual(first["trained_parameters"], 2 * 4 * (4 * (32 + 32) + 3 * (32 + 128)) * 1)

    def test_products_of_bf16_tune_nearly_as_float(self):
        for method in ("lora", "full"):
            losses = [self.result(*self.words("--method", method, "--device", "cpu", "--matmul-precision", precision,
                                              out=method + precision))["validation_loss"]
                      for precision in ("float", "bf16")]
            self.assertNotEqual(losses[0], losses[1])
            self.assertAlmostEqual(losses[0], losses[1], delta=0.01 * losses[0])

    def test_only_the_layers_named_get_an_adapter(self):
        self.succeed(*self.words("--targets", "q_proj,v_proj", "--targets", "mlp.down_proj", "--dropout", 0.1))
        modules = {".".join(name.split(".")[5:7]) for name in values_in(self.read("tuned", ADAPTER[1]))}
        self.assertEqual(modules, {"self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"})

    def test_resumed_it_ends_as_if_it_had_not_stopped(self):
        words = ["--rank", 2, "--dropout", 0.1, "--checkpoint-every", 10]
        self.succeed(*self.words(*words, out="whole"))
        self.succeed(*self.words(*words, out="half"))
        shutil.rmtree(self.path("half", "checkpoints", "step-000030"))
        self.assertEqual(newest(self.path("half")), 20)
        self.refuse(*self.words(*words, out="half"), naming="there is an adapter already")
        self.refuse(*self.words("--resume", "--rank", 3, out="half"), naming="--rank 2, not 3")
        self.refuse(*self.words("--resume", "--method", "full", out="half"), naming="--method full")
        self.succeed("finetune", "--resume", "--out", "half", "--data", self.other)  # all else is known
        for name in ADAPTER:
            self.assertEqual(self.read("half", name), self.read("whole", name), name)

    def test_merged_it_writes_what_both_wrote(self):
        self.succeed(*self.words("--lr", 2e-2))
        self.succeed("merge", "--model", self.base, "--adapter", "tuned", "--out", "merged")
        sampling = ["--temperature", 0, "--max-tokens", 20, "--prompt", "THE C", "--json"]
        write = ["generate", "--threads", 1] + sampling
        alone = self.succeed(*write, "--model", self.base)
        both = self.succeed(*write, "--model", self.base, "--adapter", "tuned")
        self.assertNotEqual(alone, both)
        self.assertEqual(self.succeed(*write, "--model", "merged"), both)
        self.succeed(*self.words("--lr", 1e-4, "--steps", 1, out="other"))
        two = self.succeed(*write, "--model", self.base, "--adapter", "other", "--adapter", "tuned").splitlines()
        self.assertEqual([json.loads(line)["text"] for line in two],
                         [json.loads(self.succeed(*write, "--model", self.base, "--adapter", name))["text"]
                          for name in ("other", "tuned")])
        self.refuse("merge", "--model", self.base, "--adapter", "tuned", "--out", "merged",
                    naming="there is a model already")
        self.refuse("merge", "--model", "merged", "--adapter", "tuned", "--out", "merged", "--overwrite",
                    naming="base's own folder")

    def test_what_does_not_fit_is_refused_and_costs_nothing(self):
        self.refuse(*self.words("--targets", "c_attn"), naming="there are: q_proj, k_proj, v_proj, o_proj")
        self.refuse(*self.words("--rank", 0), naming="the rank is 0")
        self.refuse(*self.words("--dropout", 1), naming="dropout is 1")
        self.refuse(*self.words("--method", "half"), naming="there are: lora, full")
        self.refuse(*self.words("--method", "full", "--rank", 4), naming="--rank: only for --method lora")
        self.refuse(*self.words("--dtype", "bf16"), naming="--dtype")
        self.refuse(*self.words(out=self.base), naming="base's own folder")
        self.refuse("finetune", "--model", "nowhere", "--data", self.other, naming="nowhere")
        self.assertFalse(os.path.exists(self.path("tuned")))
        self.refuse("generate", "--model", self.base, "--adapter", "nowhere", naming="adapter_config.json")

    def test_a_corpus_with_another_tokenizer_is_refused_with_advice(self):
        write_text(self.path("text.txt"))
        self.succeed("data", "text.txt", "--out", "own", "--tokenizer", "char")
        error = self.refuse("finetune", "--model", self.base, "--data", "own", "--out", "x", naming="--tokenizer")
        self.assertIn(os.path.join(self.base, "tokenizer.json"), error)

    def test_a_broken_adapter_is_refused(self):
        self.succeed(*self.words())
        content = self.read("tuned", ADAPTER[1])
        with open(self.path("tuned", ADAPTER[1]), "wb") as file:
            file.write(content[:-4])
        self.refuse("generate", "--model", self.base, "--adapter", "tuned", naming=ADAPTER[1])
        self.refuse("merge", "--model", self.base, "--adapter", "tuned", "--out", "merged", naming=ADAPTER[1])
        self.assertFalse(os.path.exists(self.path("merged")))


if __name__ == "__main__":
    unittest.main()
