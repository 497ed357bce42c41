"""`tinygpt generate` as a user meets it."""
import json
import os
import shutil
import subprocess
import unittest

from program import PROGRAM, ProgramTest


class GenerateCommandTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = os.path.join(cls.shared, "model")
        subprocess.run([PROGRAM, "train", "--data", cls.corpus, "--out", cls.model, "--layers", "1",
                        "--heads", "2", "--width", "32", "--context", "32", "--steps", "60",
                        "--lr", "0.01"], check=True, capture_output=True)

    def words(self, *more):
        return ["generate", "--model", self.model, "--max-tokens", 60] + list(more)

    def test_a_prompt_is_continued_and_equal_seeds_write_equal_texts(self):
        first = self.run_program(*self.words("--prompt", "the cat"))
        self.assertEqual(first.returncode, 0, first.err)
        self.assertTrue(first.out.startswith("the cat"))
        self.assertGreaterEqual(len(first.out.encode()), len("the cat") + 60)
        self.assertIn("tokens/s", first.err)
        self.assertEqual(self.succeed(*self.words("--prompt", "the cat")), first.out)
        self.assertNotEqual(self.succeed(*self.words("--prompt", "the cat", "--seed", 2)), first.out)

    def test_a_draft_a_small_cache_and_texts_together_write_as_ever(self):
        greedy = self.words("--prompt", "the", "--temperature", 0, "--max-tokens", 20)
        plain = self.succeed(*greedy)
        drafted = self.run_program(*greedy, "--draft", self.model)
        self.assertEqual(drafted.out, plain)
        self.assertIn("drafted accepted", drafted.err)
        self.assertEqual(len(self.succeed(*greedy, "--cache", "int8")) > 3, True)
        self.assertEqual(self.succeed(*greedy, "--samples", 2), plain + "\n" + plain)
        self.refuse(*greedy, "--cache", "q2", naming="--cache")
        self.refuse(*greedy, "--draft", self.model, "--samples", 2, naming="--samples")
        self.refuse(*greedy, "--draft", "nothing", naming="nothing")
        long = self.words("--prompt", "the cat " * 20, "--temperature", 0, "--context", "end")
        self.refuse(*long, naming="context")

    def test_a_conversation_keeps_what_was_said(self):
        words = ["chat", "--model", self.model, "--temperature", 0, "--max-tokens", 5]
        with open(self.path("said.txt"), "w", encoding="utf-8") as file:
            file.write("the cat\nthe dog\n/new\nthe cat\n")
        with open(self.path("said.txt"), encoding="utf-8") as said:
            talk = self.run_program(*words, stdin=said)
        self.assertEqual(talk.returncode, 0, talk.err)
        self.assertIn("no chat template", talk.err)
        answers = talk.out.split("\n")
        self.assertEqual(talk.err.count("tokens/s"), 6, talk.err)
        self.assertTrue(answers[0])
        self.assertEqual(answers[0], answers[-2])
        self.refuse(*words, "--template", "{assistant}", naming="{user}")

    def test_greedy_text_does_not_depend_on_the_seed(self):
        texts = {self.succeed(*self.words("--prompt", "the", "--temperature", 0, "--seed", seed))
                 for seed in (1, 2, 3)}
        texts.add(self.succeed(*self.words("--prompt", "the", "--top-k", 1)))
        self.assertEqual(len(texts), 1)

    def test_the_prompt_may_come_from_a_file_or_from_standard_input(self):
        with open(self.path("prompt.txt"), "w", encoding="utf-8") as file:
            file.write("the cat")
        wanted = self.succeed(*self.words("--prompt", "the cat"))
        self.assertEqual(self.succeed(*self.words("--prompt-file", "prompt.txt")), wanted)
        with open(self.path("prompt.txt"), encoding="utf-8") as file:
            self.assertEqual(self.succeed(*self.words("--prompt-file", "-"), stdin=file), wanted)

    def test_samples_use_one_seed_after_another(self):
        out = self.succeed(*self.words("--prompt", "on", "--samples", 3, "--seed", 5, "--json"))
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["seed"] for line in lines], [5, 6, 7])
        self.assertEqual(len({line["text"] for line in lines}), 3)
        for line in lines:
            self.assertEqual(line["prompt"], "on")
            self.assertEqual(line["tokens"], 60)

    def test_any_bytes_may_be_a_prompt(self):
        for prompt in ("", "日本語 👩‍👩‍👧", "\n\t", "x" * 5000):
            out = self.succeed(*self.words("--prompt", prompt, "--json", "--max-tokens", 5))
            self.assertEqual(json.loads(out)["prompt"], prompt)
        with open(self.path("bytes"), "wb") as file:
            file.write(b"\xff\xfe\x80")
        json.loads(self.succeed(*self.words("--prompt-file", "bytes", "--json")))

    def test_options_that_cannot_be_are_refused(self):
        for words, naming in [
            (["--temperature", "-1"], "--temperature"), (["--temperature", "nan"], "--temperature"),
            (["--temperature", "hot"], "--temperature"), (["--top-k", "-1"], "--top-k"),
            (["--top-p", "0"], "--top-p"), (["--top-p", "1.5"], "--top-p"),
            (["--max-tokens", "0"], "--max-tokens"), (["--max-tokens", "-1"], "--max-tokens"),
            (["--samples", "0"], "--samples"), (["--seed", "x"], "--seed"),
            (["--kernels", "none"], "none"), (["--device", "tpu"], "tpu"),
            (["--device", "emulated", "--kernels", "cpu"], "ref_cuda"),
            (["--prompt-file", "nowhere"], "nowhere"),
            (["--prompt", "a", "--prompt-file", "b"], "--prompt"), (["--model", "nowhere"], "nowhere"),
        ]:
            self.refuse(*self.words(), *words, naming=naming)

    def test_a_broken_model_folder_is_refused_by_the_file_s_name(self):
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            for content in (None, b"", b"\x00\x01 nonsense {"):
                folder = self.path("model")
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(self.model, folder)
                os.remove(os.path.join(folder, name))
                if content is not None:
                    with open(os.path.join(folder, name), "wb") as file:
                        file.write(content)
                self.refuse("generate", "--model", folder, naming=name)


if __name__ == "__main__":
    unittest.main()
