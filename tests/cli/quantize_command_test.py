"""A model in fewer bits, and how well models predict."""
import json
import math
import os
import subprocess
import unittest

from program import PROGRAM, ProgramTest, write_text


class QuantizeTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = {}
        for family in ("gpt2", "llama"):
            cls.models[family] = os.path.join(cls.shared, family)
            subprocess.run([PROGRAM, "train", "--data", cls.corpus, "--out", cls.models[family], "--config",
                            "nano-cpu", "--family", family, "--layers", "2", "--heads", "2", "--width", "32",
                            "--hidden", "64", "--context", "32", "--steps", "120", "--lr", "0.003", "--threads", "1"],
                           check=True, capture_output=True)

    def loss(self, model, *words):
        result = json.loads(self.succeed("eval", "--model", model, "--data", self.corpus, "--json", "--threads", 1,
                                         *words))
        self.assertAlmostEqual(result["perplexity"], math.exp(result["loss"]), places=9)
        return result

    def quantize(self, family, method, out, *words):
        return json.loads(self.succeed("quantize", "--model", self.models[family], "--method", method, "--out", out,
                                       "--calibration", self.corpus, "--sequences", 60, "--json", "--threads", 1,
                                       *words))

    def test_every_method_writes_a_file_that_predicts_almost_as_well(self):
        for family, model in self.models.items():
            plain = self.loss(model)["loss"]
            sizes, losses = {}, {}
            for method in ("q8_0", "q4_0", "gptq", "awq"):
                with self.subTest(family=family, method=method):
                    report = self.quantize(family, method, method + ".gguf")
                    losses[method] = self.loss(method + ".gguf")["loss"]
                    self.assertLess(losses[method], plain + (0.002 if method == "q8_0" else 0.2))
                    sizes[method] = report["bytes"]
                    self.assertLess(report["bytes"], os.path.getsize(self.path(method + ".gguf")))
                    self.assertGreater(report["bytes"] * 8, report["float_bytes"])
                    named = {m["name"]: m for m in report["matrices"]}
                    self.assertIn("h.1.mlp.down.weight", named)
                    self.assertIn("output_error", named["h.0.attn.qkv.weight"])
                    self.assertEqual("alpha" in named["h.0.attn.qkv.weight"], method == "awq")
            self.assertEqual(sizes["q4_0"], sizes["gptq"])
            self.assertEqual(sizes["q4_0"], sizes["awq"])
            self.assertLess(sizes["q4_0"], sizes["q8_0"])

    def test_gptq_changes_outputs_less_than_q4_0(self):
        errors = {}
        for method in ("q4_0", "gptq", "awq"):
            report = self.quantize("gpt2", method, method + ".gguf")
            errors[method] = sum(m["output_error"] for m in report["matrices"] if "output_error" in m)
        self.assertLess(errors["gptq"], 0.7 * errors["q4_0"])
        self.assertLess(errors["awq"], errors["q4_0"])

    def test_awq_clips_unless_told_not_to(self):
        errors = {}
        for scales in ("absmax", "outputs"):
            report = self.quantize("llama", "awq", "m.gguf", "--scales", scales)
            errors[scales] = sum(m["output_error"] for m in report["matrices"] if "output_error" in m)
        self.assertLess(errors["outputs"], 0.95 * errors["absmax"])
        clipped = self.read("m.gguf")
        self.quantize("llama", "awq", "m.gguf")
        self.assertEqual(self.read("m.gguf"), clipped)

    def test_the_files_are_as_export_writes_them(self):
        self.succeed("export", self.models["gpt2"], "--type", "q8_0", "--out", "export.gguf", "--name", "m")
        self.quantize("gpt2", "q8_0", "m.gguf")
        self.assertEqual(self.read("export.gguf"), self.read("m.gguf"))

    def test_a_folder_holds_any_format_as_floats(self):
        report = self.quantize("gpt2", "gptq", "wide", "--group", 0, "--asymmetric", "--embedding", "f16",
                               "--order", "natural", "--scales", "absmax", "--damping", 0.05)
        self.assertTrue(os.path.exists(self.path("wide", "model.safetensors")))
        self.assertLess(report["bytes"] * 2, report["float_bytes"])
        wide = self.loss("wide")["loss"]
        self.assertLess(wide, self.loss(self.models["gpt2"])["loss"] + 0.5)
        self.refuse("quantize", "--model", "wide", "--method", "q8_0", "--out", "wide", naming="--overwrite")
        self.quantize("gpt2", "q4_0", "wide", "--overwrite")

    def test_eight_bits_may_have_another_group_zero_and_rule(self):
        plain = self.quantize("gpt2", "q8_0", "m.gguf")
        row = self.quantize("gpt2", "q8_0", "row", "--group", 0)
        self.assertLess(row["bytes"], plain["bytes"])  # fewer scales
        error = {"usual": self.mean_error(plain), "row": self.mean_error(row)}
        for name, words in (("narrow", ["--group", 8]), ("asymmetric", ["--asymmetric"]),
                            ("searched", ["--scales", "searched"])):
            error[name] = self.mean_error(self.quantize("gpt2", "q8_0", name, *words))
        self.assertLess(error["narrow"], 0.8 * error["row"])
        self.assertLess(error["asymmetric"], error["usual"])
        self.assertLess(error["searched"], error["usual"])
        four = self.quantize("gpt2", "q4_0", "four", "--group", 0)
        self.assertGreater(self.mean_error(four), 100 * error["row"])  # 16 times the step
        self.assertLess(self.loss("row")["loss"], self.loss(self.models["gpt2"])["loss"] + 0.002)
        for words in (["--group", 0], ["--asymmetric"], ["--scales", "searched"]):
            self.refuse("quantize", "--model", self.models["gpt2"], "--method", "q8_0", "--out", "new.gguf", *words,
                        naming="Q8_0")

    @staticmethod
    def mean_error(report):
        errors = [m["weight_error"] for m in report["matrices"] if m["name"].startswith("h.")]
        return sum(errors) / len(errors)

    def test_equal_seeds_write_equal_files(self):
        for out in ("a.gguf", "b.gguf"):
            self.quantize("llama", "gptq", out)
            os.replace(self.path(out), self.path(out + ".moved"))
            self.quantize("llama", "gptq", "m.gguf", "--threads", "2")
            os.replace(self.path("m.gguf"), self.path(out))
        self.assertEqual(self.read("a.gguf"), self.read("b.gguf"))

    def test_people_get_a_table_and_what_was_written(self):
        out = self.succeed("quantize", "--model", self.models["llama"], "--method", "awq", "--calibration",
                           os.path.join(self.shared, "text.txt"), "--out", "m.gguf", "--sequences", 20,
                           "--threads", 1)
        self.assertRegex(out, r"h\.0\.attn\.qkv\.weight .* alpha \d\.\d\d")
        self.assertRegex(out, r"Wrote m.gguf: \d+\.\d\d MB of parameters instead of \d+\.\d\d MB, in ")
        self.assert_plain(out)
        out = self.succeed("eval", "--model", "m.gguf", "--data", self.corpus, "--threads", 1)
        self.assertRegex(out, r"perplexity +\d+\.\d+\n")
        self.assert_plain(out)

    def test_eval_of_a_text_is_eval_of_its_tokens(self):
        write_text(self.path("new.txt"), size=3000, seed=5)
        result = json.loads(self.succeed("eval", "--model", self.models["gpt2"], "--data", "new.txt", "--json",
                                         "--threads", 1))
        self.assertAlmostEqual(result["bits_per_byte"], result["loss"] / math.log(2), places=6)  # a byte a token
        self.assertGreater(result["tokens"], 2500)
        losses = [self.loss(self.models["gpt2"], "--batch", batch)["loss"] for batch in (1, 8)]
        self.assertAlmostEqual(*losses, places=5)

    def test_a_reference_shows_how_far_predictions_are_apart(self):
        self.quantize("gpt2", "q4_0", "four.gguf")
        self.quantize("gpt2", "q8_0", "eight.gguf")
        model = self.models["gpt2"]
        apart = [self.loss(name, "--reference", model)["divergence"] for name in (model, "eight.gguf", "four.gguf")]
        self.assertEqual(apart[0], 0)
        self.assertLess(0, apart[1])
        self.assertLess(10 * apart[1], apart[2])

    def test_a_file_is_judged_by_what_generate_computes_or_as_floats(self):
        for family, model in self.models.items():
            self.succeed("export", model, "--type", "f32", "--out", "f32.gguf")
            self.quantize(family, "q4_0", "four.gguf")
            self.quantize(family, "q4_0", "wide", "--overwrite")
            plain, wide = self.loss(model), self.loss("wide")
            self.assertAlmostEqual(self.loss("f32.gguf")["loss"], plain["loss"], places=5)
            integers = self.loss("four.gguf", "--reference", "four.gguf")
            self.assertEqual(integers["divergence"], 0)
            floats = self.loss("four.gguf", "--floats", "--reference", "wide")
            self.assertAlmostEqual(floats["loss"], wide["loss"], places=6)
            self.assertLess(abs(floats["divergence"]), 1e-9)
            # Activations in eight bits move the predictions a little, and no more.
            self.assertNotEqual(integers["loss"], floats["loss"])
            apart = self.loss("four.gguf", "--reference", "wide")["divergence"]
            self.assertLess(1e-7, apart)
            self.assertLess(apart, 0.1 * self.loss("four.gguf", "--reference", model)["divergence"])
            products = [result["products"] for result in (plain, self.loss("f32.gguf"), integers, floats)]
            self.assertEqual(products, ["floats", "floats", "integers", "floats"])

    def test_refuses_what_makes_no_sense(self):
        model = self.models["gpt2"]
        words = ("quantize", "--model", model, "--out", "m.gguf", "--method")
        self.refuse(*words, "q5_0", naming="q5_0")
        self.refuse(*words, "gptq", naming="--calibration")
        self.refuse(*words, "awq", "--calibration", "nothing", naming="nothing")
        self.refuse(*words, "q4_0", "--group", 128, naming="Q4_0")
        self.refuse(*words, "q4_0", "--scales", "guessed", naming="guessed")
        self.refuse(*words, "q4_0", "--scales", "outputs", naming="--calibration")
        self.refuse(*words, "q4_0", "--embedding", "q2_k", naming="q2_k")
        self.refuse(*words, "q4_0", "--context", 64, naming="32")
        self.refuse(*words, "q4_0", "--batch", 0, naming="--batch")
        self.refuse(*words, "gptq", "--calibration", self.corpus, "--damping", 0, naming="--damping")
        self.refuse("quantize", "--model", "nothing", "--method", "q8_0", "--out", "m.gguf", naming="nothing")
        self.refuse("quantize", "--model", model, "--method", "q8_0", naming="--out")
        with open(self.path("empty.txt"), "w"):
            pass
        self.refuse(*words, "gptq", "--calibration", "empty.txt", naming="empty.txt")
        self.refuse("eval", "--model", model, "--data", "nothing", naming="nothing")
        self.refuse("eval", "--model", model, "--data", "empty.txt", naming="empty.txt")
        self.refuse("eval", "--model", model, "--data", self.corpus, "--context", 99, naming="32")
        with open(self.path("bad.gguf"), "wb") as file:
            file.write(b"GGUF" + bytes(40))
        self.refuse("eval", "--model", "bad.gguf", "--data", self.corpus, naming="version 0")
        self.assertFalse(os.path.exists(self.path("m.gguf")))
        self.assertEqual([name for name in os.listdir(self.folder) if "tmp" in name], [])

    def test_refuses_a_corpus_of_another_tokenizer(self):
        self.succeed("data", os.path.join(self.shared, "text.txt"), "--out", "bpe", "--tokenizer", "bpe",
                     "--vocab-size", 300)
        self.refuse("eval", "--model", self.models["gpt2"], "--data", "bpe", naming="another tokenizer")
        self.refuse("quantize", "--model", self.models["gpt2"], "--method", "gptq", "--out", "m.gguf",
                    "--calibration", "bpe", naming="another tokenizer")


if __name__ == "__main__":
    unittest.main()
