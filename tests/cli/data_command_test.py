"""`tinygpt data` and `tinygpt tokenizer` as a user meets them: odd texts, odd options, broken downloads."""
import json
import os
import stat
import unittest

from program import ProgramTest, write_text

# Writes what a server would send: half of the file, then the rest.
FAKE_CURL = """#!/usr/bin/env python3
import os, sys
words = sys.argv[1:]
assert "--fail" in words and words[words.index("--continue-at") + 1] == "-", words
out = words[words.index("--output") + 1]
have = os.path.getsize(out) if os.path.exists(out) else 0
size = int(os.environ["FAKE_SIZE"])
end = size if have else size // 2
with open(out, "ab") as file:
    file.write(b"x" * (end - have))
if end < size:
    sys.stderr.write("curl: (18) the connection was closed\\n")
    sys.exit(18)
"""


class DataCommandTest(ProgramTest):
    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return name

    def files(self, folder="corpus"):
        return {name: self.read(folder, name) for name in sorted(os.listdir(self.path(folder)))}

    def words(self, source, *more, out="corpus"):
        return ["data", source, "--out", out] + list(more)

    def stories(self, *more, out="corpus"):
        return self.words("tinytales", "--stories", 50, "--tokenizer", "byte", *more, out=out)

    def refuse_cleanly(self, *words, naming, **options):
        """Refused, with every file as it was and none added."""
        before = sorted(os.listdir(self.folder))
        self.refuse(*words, naming=naming, **options)
        self.assertEqual(sorted(os.listdir(self.folder)), before, words)

    def test_texts_that_cannot_be_learned_from_are_refused(self):
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("pipe"))
        os.symlink("loop", self.path("loop"))
        self.write("empty", b"")
        self.write("letter", b"x")
        self.write("one", b"one document<|endoftext|>\n")
        self.write("ends", b"<|endoftext|>" * 5)
        for source, naming in [
            ("nowhere", "nowhere: no such file"), ("folder", "folder: not a regular file"),
            ("pipe", "pipe: not a regular file"), ("loop", "loop: "), ("empty/text", "empty/text"),
            ("empty", "empty: empty"), ("letter", "too short"), ("one", "two documents"),
            ("ends", "two documents"), ("x" * 5000, "x"), ("", "no such file"),
            ("line\nfeed", "line feed"), ("\x1b[2J", "no such file"),
        ]:
            for tokenizer in ("byte", "char", "bpe"):
                self.refuse_cleanly(*self.words(source, "--tokenizer", tokenizer), naming=naming)

    def test_options_that_cannot_be_are_refused(self):
        text = self.write("text.txt", b"some text to learn from. " * 100)
        self.write("broken.json", b"{")
        for words, naming in [
            (["--tokenizer", "words"], "words"), (["--tokenizer", "broken.json"], "broken.json"),
            (["--tokenizer", "."], "."), (["--vocab-size", "0"], "vocabulary"),
            (["--vocab-size", "-1"], "vocabulary"), (["--vocab-size", "x"], "--vocab-size"),
            (["--vocab-size", "100"], "vocabulary"), (["--vocab-size", "99999999999"], "--vocab-size"),
            (["--validation", "0"], "--validation"), (["--validation", "1"], "--validation"),
            (["--validation", "nan"], "--validation"), (["--validation", "-0.1"], "--validation"),
            (["--sha256", "0" * 64], "SHA-256"),
            (["--sha256", "nonsense"], "nonsense"), (["--from", text], "--from"),
            (["--grammar", text], "--grammar"), (["--what"], "--what"), (["more"], "more"),
            (["--out", text], text), (["--out", os.path.join(text, "corpus")], text),
        ]:
            self.refuse_cleanly(*self.words(text), *words, naming=naming)
        for words, naming in [
            (["--stories", "0"], "--stories"), (["--stories", "-1"], "--stories"),
            (["--stories", "99999999999999999999"], "--stories"), (["--seed", "-1"], "--seed"),
            (["--seed", "18446744073709551616"], "--seed"), (["--from", text], "--from"),
            (["--sha256", "0" * 64], "--sha256"), (["--grammar", "nowhere"], "nowhere"),
            (["--grammar", text], text), (["--grammar", "."], "."),
        ]:
            self.refuse_cleanly(*self.stories(), *words, naming=naming)
        self.refuse_cleanly("data", naming="source")

    def test_a_corpus_is_not_put_into_the_folder_of_a_model(self):
        os.mkdir(self.path("model"))
        self.write("model/config.json", b"{}")
        self.refuse(*self.stories(out="model"), naming="model")
        self.assertEqual(os.listdir(self.path("model")), ["config.json"])

    def test_any_bytes_can_be_learned_as_bytes_and_characters_are_refused(self):
        text = self.write("bytes", b"\xff\xfe\x80 caf\xe9 \x00\x01" * 200)
        for tokenizer in ("byte", "bpe"):
            self.succeed(*self.words(text, "--tokenizer", tokenizer, "--vocab-size", 300, out=tokenizer))
        self.assertEqual(json.loads(self.read("byte", "corpus.json"))["train"]["bytes"], 1980)
        self.refuse_cleanly(*self.words(text, "--tokenizer", "char"), naming="UTF-8 at byte 0")

    def test_a_corpus_that_is_ready_is_left_alone_and_made_again_when_an_option_changes(self):
        write_text(self.path("text.txt"), size=2000)
        words = self.words("text.txt", "--tokenizer", "byte")
        self.succeed(*words)
        before = self.files()
        written = os.stat(self.path("corpus", "train.npy")).st_mtime_ns
        for _ in range(2):
            self.assertEqual(self.succeed(*words), "corpus: ready, nothing to do\n")
        self.assertEqual(self.files(), before)
        self.assertEqual(os.stat(self.path("corpus", "train.npy")).st_mtime_ns, written)
        for change in (["--validation", 0.3], ["--tokenizer", "char"],
                       ["--tokenizer", "bpe", "--vocab-size", 260],
                       ["--tokenizer", "bpe", "--vocab-size", 261]):
            self.assertNotIn("ready", self.succeed(*words, *change))
            self.assertEqual(self.succeed(*words, *change), "corpus: ready, nothing to do\n")
        self.assertNotIn("ready", self.succeed(*words))
        write_text(self.path("text.txt"), size=2000, seed=2)
        self.assertNotIn("ready", self.succeed(*words))
        self.assertNotEqual(self.read("corpus", "train.npy"), before["train.npy"])

    def test_a_corpus_that_is_not_whole_is_made_again(self):
        write_text(self.path("text.txt"), size=2000)
        words = self.words("text.txt", "--tokenizer", "byte")
        self.succeed(*words)
        whole = self.files()
        for name in whole:
            for content in (None, b"", whole[name][:-9]):
                path = self.path("corpus", name)
                os.remove(path)
                if content is not None:
                    self.write(path, content)
                self.assertNotIn("ready", self.succeed(*words), (name, content))
                self.assertEqual(self.files(), whole)

    def test_a_text_that_cannot_be_encoded_leaves_the_old_corpus(self):
        self.write("abc", b"abc" * 100)
        self.succeed(*self.words("abc", "--tokenizer", "char"))
        before = self.files()
        self.write("abcd", b"abc" * 100 + b"d" + b"abc" * 100)
        words = ["abcd", "--tokenizer", os.path.join("corpus", "tokenizer.json")]
        self.refuse(*self.words(*words), naming="d")
        self.assertEqual(self.files(), before)
        self.refuse_cleanly(*self.words(*words, out="new"), naming="d")
        self.write("documents", b"abc<|endoftext|>cba<|endoftext|>")
        self.succeed("tokenizer", "train", "--kind", "byte", "--no-special", "--out", "plain.json")
        self.refuse_cleanly(*self.words("documents", "--tokenizer", "plain.json", out="new"),
                            naming="<|endoftext|>")

    def test_tales_are_the_seed_s_alone(self):
        self.succeed(*self.stories("--seed", 7, out="one"))
        self.succeed(*self.stories("--seed", 7, out="same"))
        self.succeed(*self.stories("--seed", 8, out="other"))
        self.assertEqual(self.files("one"), self.files("same"))
        self.assertNotEqual(self.read("one", "train.npy"), self.read("other", "train.npy"))
        info = json.loads(self.read("one", "corpus.json"))
        self.assertEqual(info["train"]["documents"], 50)
        self.assertGreater(info["validation"]["floor_nats_per_byte"], 0)
        self.assertIn("ready", self.succeed(*self.stories("--seed", 7, out="one")))
        self.assertNotIn("ready", self.succeed(*self.stories("--seed", 7, "--stories", 51, out="one")))

    def test_a_named_corpus_is_taken_from_a_file_only_where_it_is_that_file(self):
        text = self.write("plays.txt", b"To be, or not to be. " * 100)
        words = self.words("shakespeare", "--from", text)
        self.refuse_cleanly(*words, naming="86c4e6aa9db7c042ec79f339dcb96d42")
        self.refuse_cleanly(*words, "--from", "nowhere", naming="nowhere")
        self.refuse_cleanly(*words, "--from", ".", naming="not a regular file")

    def fetch(self, path):
        """The program's own lines about a download that fails."""
        environment = dict(os.environ, PATH=path, FAKE_SIZE="1115394")
        process = self.run_program(*self.words("shakespeare"), environment=environment)
        self.assertEqual(process.returncode, 2, process.err)
        self.assertEqual(process.out, "")
        return [line for line in process.err.splitlines() if line.startswith("tinygpt: ")]

    def test_a_download_that_broke_off_goes_on_and_a_wrong_file_is_removed(self):
        os.mkdir(self.path("bin"))
        curl = self.path("bin", "curl")
        self.write(curl, FAKE_CURL.encode())
        os.chmod(curl, stat.S_IRWXU)
        path = self.path("bin") + os.pathsep + os.environ["PATH"]
        errors = self.fetch(path)
        self.assertEqual(len(errors), 1)
        self.assertIn("run the command again to continue", errors[0])
        self.assertEqual(os.listdir(self.path("corpus")), ["source.txt.part"])
        self.assertEqual(len(self.read("corpus", "source.txt.part")), 1115394 // 2)
        errors = self.fetch(path)  # complete, and not what it should be
        self.assertEqual(len(errors), 1)
        self.assertIn("SHA-256", errors[0])
        self.assertEqual(os.listdir(self.path("corpus")), [])

    def test_without_curl_a_download_says_what_to_do(self):
        os.mkdir(self.path("bin"))
        errors = self.fetch(self.path("bin"))
        self.assertEqual(len(errors), 1)
        self.assertIn("curl is not installed", errors[0])
        self.assertIn("--from", errors[0])


class TokenizerCommandTest(ProgramTest):
    def setUp(self):
        super().setUp()
        with open(self.path("text"), "w", encoding="utf-8") as file:
            file.write("the cat sat on the mat. " * 50)
        self.succeed("tokenizer", "train", "--input", "text", "--vocab-size", 270, "--out", "t.json")

    def test_text_becomes_ids_and_ids_become_text(self):
        for text in ("the cat", "", "日本語 \x00\n", "<|endoftext|>"):
            with open(self.path("in"), "w", encoding="utf-8") as file:
                file.write(text)
            ids = json.loads(self.succeed("tokenizer", "encode", "--tokenizer", "t.json",
                                          "--input", "in", "--json"))
            if ids:
                back = self.succeed("tokenizer", "decode", "--tokenizer", "t.json", *ids)
                self.assertEqual(back, text)

    def test_several_files_are_learned_from(self):
        with open(self.path("more"), "w", encoding="utf-8") as file:
            file.write("xyz")
        self.succeed("tokenizer", "train", "--kind", "char", "--no-special", "--input", "text", "more",
                     "--out", "c.json")
        self.assertEqual(len(self.succeed("tokenizer", "encode", "--tokenizer", "c.json", "xyz").split()), 3)
        self.succeed("tokenizer", "encode", "--tokenizer", "c.json", "the cat")

    def test_what_cannot_be_is_refused_and_nothing_is_written(self):
        for name, content in (("bytes", b"\xff\xfe"), ("empty", b""), ("broken.json", b"[1, 2")):
            with open(self.path(name), "wb") as file:
                file.write(content)
        train = ["tokenizer", "train", "--out", "new.json"]
        use = ["--tokenizer", "t.json"]
        before = sorted(os.listdir(self.folder))
        for words, naming in [
            (train, "--input"), (train + ["--input", "nowhere"], "nowhere"),
            (train + ["--input", "."], "."),
            (train + ["--kind", "char", "--input", "bytes"], "UTF-8"),
            (train + ["--kind", "char", "--input", "empty"], "empty"),
            (train + ["--kind", "words", "--input", "text"], "--kind"),
            (train + ["--vocab-size", "0", "--input", "text"], "--vocab-size"),
            (train + ["--vocab-size", "-5", "--input", "text"], "--vocab-size"),
            (train + ["--vocab-size", "17000000", "--input", "text"], "--vocab-size"),
            (train + ["--vocab-size", "100", "--input", "text"], "vocab"),
            (train + ["--input", "text", "--out", "nowhere/new.json"], "nowhere/new.json"),
            (["tokenizer", "train", "--input", "text"], "--out"),
            (["tokenizer", "encode", "text"], "--tokenizer"),
            (["tokenizer", "encode", "--tokenizer", "nowhere", "a"], "nowhere"),
            (["tokenizer", "encode", "--tokenizer", "broken.json", "a"], "broken.json"),
            (["tokenizer", "encode", "--tokenizer", ".", "a"], "tokenizer.json"),
            (["tokenizer", "encode", *use, "--input", "nowhere"], "nowhere"),
            (["tokenizer", "encode", *use, "a", "--input", "text"], "--input"),
            (["tokenizer", "decode", *use, "270"], "270"), (["tokenizer", "decode", *use, "99999999999"], "ids"),
            (["tokenizer", "decode", *use, "x"], "x"), (["tokenizer", "decode", *use, "--input", "text"], "byte 0"),
            (["tokenizer", "info", *use, "--input", "nowhere"], "nowhere"),
            (["tokenizer"], "subcommand"), (["tokenizer", "guess"], "subcommand"),
        ]:
            self.refuse(*words, naming=naming)
            self.assertEqual(sorted(os.listdir(self.folder)), before, words)


if __name__ == "__main__":
    unittest.main()
