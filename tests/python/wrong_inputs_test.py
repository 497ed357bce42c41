"""More than fifty wrong inputs: each raises an exception that says what is wrong, and the interpreter lives on."""
import os
import unittest

from support import END, INTEROP, FolderTest, numpy, small_config, tinygpt

BIG = 2 ** 70


class WrongInputsTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.tokenizer = tinygpt.Tokenizer.byte([END])
        self.model = tinygpt.Model(small_config(self.tokenizer))
        self.model.tokenizer = self.tokenizer
        self.corpus = tinygpt.Corpus.write(self.path("own"), ["some words " * 20] * 4, self.tokenizer, validation=1)
        with open(self.path("noise"), "wb") as file:
            file.write(bytes(range(256)) * 20)
        os.mkdir(self.path("empty"))

    def cases(self):
        model, tokens, nan = self.model, [1, 2, 3], float("nan")
        logits = model.logits
        # What is called, which exception, words of its message.
        yield lambda: logits([1.0, 2.0]), TypeError, "integers"
        yield lambda: logits(numpy.ones(3, dtype="float32")), TypeError, "float32"
        yield lambda: logits([True, False]), TypeError, "bool"
        yield lambda: logits(["a", "b"]), TypeError, "tokens"
        yield lambda: logits(numpy.zeros(3, dtype="datetime64[D]")), TypeError, "datetime64"
        yield lambda: logits(numpy.zeros((2, 2, 2), dtype="int32")), tinygpt.Error, r"\[2, 2, 2\]"
        yield lambda: logits(numpy.zeros((), dtype="int32")), tinygpt.Error, "shape"
        yield lambda: logits("abc"), TypeError, "str"
        yield lambda: logits(b"abc"), TypeError, "bytes"
        yield lambda: logits(None), TypeError, "NoneType"
        yield lambda: logits([[1, 2], [3]]), ValueError, ""
        yield lambda: logits([]), tinygpt.Error, "at least one"
        yield lambda: logits(3), tinygpt.Error, "shape"
        yield lambda: logits(numpy.zeros((2, 2, 2), dtype=int)), tinygpt.Error, r"\[2, 2, 2\]"
        yield lambda: logits(numpy.zeros((0, 4), dtype=int)), tinygpt.Error, "at least one"
        yield lambda: logits([257]), tinygpt.Error, "257"
        yield lambda: logits([-1]), tinygpt.Error, "-1"
        yield lambda: logits([2 ** 40]), tinygpt.Error, "32 bits"
        yield lambda: logits(numpy.array([2 ** 64 - 1], dtype="uint64")), tinygpt.Error, ""
        yield lambda: logits([BIG]), (TypeError, OverflowError), ""
        yield lambda: logits([object()]), TypeError, "object"
        yield lambda: logits(numpy.zeros(49, dtype=int)), tinygpt.Error, "48"
        yield lambda: model.trace(numpy.zeros((2, 49), dtype=int)), tinygpt.Error, "48"
        yield lambda: model.trace(tokens, [1, 2]), tinygpt.Error, "targets"
        yield lambda: model.trace(tokens)["h.7.q"], KeyError, "h.7.q"
        yield lambda: model.trace(tokens)[0], TypeError, ""
        yield lambda: model.loss(tokens, [[1, 2, 3]] * 2), tinygpt.Error, "targets"
        yield lambda: model.loss(tokens, [1, 2, 900]), tinygpt.Error, "900"
        yield lambda: model.backward(tokens, [0.5, 1, 2]), TypeError, "targets"
        yield lambda: model.gradients, tinygpt.Error, "backward"
        yield lambda: model.parameters["nothing"], KeyError, "nothing"
        yield lambda: model.parameters["wte"].__setitem__(slice(None), numpy.ones((3, 3))), ValueError, ""
        yield lambda: model.trace(tokens)["logits"].__setitem__(0, 1), ValueError, "read-only"
        yield lambda: model.generate([], 4), tinygpt.Error, "empty"
        yield lambda: model.generate("a", -1), tinygpt.Error, "at least 0"
        yield lambda: model.generate("a", 4, temperature=-1), tinygpt.Error, "temperature"
        yield lambda: model.generate("a", 4, temperature=nan), tinygpt.Error, "temperature"
        yield lambda: model.generate("a", 4, top_p=0), tinygpt.Error, "top-p"
        yield lambda: model.generate("a", 4, seed=-1), TypeError, ""
        yield lambda: model.generate("a", "many"), TypeError, ""
        yield lambda: model.generate("a", 4, on_token=7), TypeError, "callable"
        yield lambda: model.generate([1.5], 4), TypeError, "prompt"
        yield lambda: setattr(model, "tokenizer", "gpt2"), TypeError, ""
        yield lambda: tinygpt.Model(model.config, device="cuda"), tinygpt.Error, "--device cuda"
        yield lambda: tinygpt.Model(model.config, device=0), TypeError, ""
        yield lambda: tinygpt.Model(model.config, kernels="fast"), tinygpt.Error, "fast"
        yield lambda: tinygpt.Model("demo"), TypeError, ""
        yield lambda: tinygpt.Model(None), (TypeError, tinygpt.Error), ""
        yield lambda: tinygpt.Config("none of these"), tinygpt.Error, "demo"
        yield lambda: tinygpt.Config(width=33, heads=2, kv_heads=2), tinygpt.Error, "width"
        yield lambda: tinygpt.Config(width=BIG), (TypeError, OverflowError), ""
        yield lambda: tinygpt.Config(height=3), TypeError, "height"
        yield lambda: tinygpt.Config(family="bert"), tinygpt.Error, "llama"
        yield self.huge, (tinygpt.Error, MemoryError), "GB"
        yield lambda: tinygpt.Model.load(self.path("none")), tinygpt.Error, "none"
        yield lambda: tinygpt.Model.load(self.path("empty")), tinygpt.Error, "config.json"
        yield lambda: tinygpt.Model.load(self.path("noise")), tinygpt.Error, "noise"
        yield lambda: tinygpt.Model.load("a\0b"), (ValueError, TypeError, tinygpt.Error), ""
        yield lambda: tinygpt.Model.load(7), TypeError, ""
        yield lambda: model.save("/proc/none/here"), OSError, "none"
        yield lambda: model.save_gguf(self.path("x.gguf"), "q3"), tinygpt.Error, "q8_0"
        yield lambda: tinygpt.Tokenizer.load(self.path("noise")), tinygpt.Error, "noise"
        yield lambda: tinygpt.Tokenizer.load(self.path("none.json")), tinygpt.Error, "none.json"
        yield lambda: tinygpt.Tokenizer.train_bpe("text", 10), tinygpt.Error, "256"
        yield lambda: tinygpt.Tokenizer.train_bpe(7, 300), TypeError, ""
        yield lambda: tinygpt.Tokenizer.train_characters(b"\xff"), tinygpt.Error, "UTF-8"
        yield lambda: tinygpt.Tokenizer.train_characters("abc").encode("x"), tinygpt.Error, "x"
        yield lambda: self.tokenizer.encode("\ud800"), (TypeError, UnicodeError), ""
        yield lambda: self.tokenizer.decode([999]), tinygpt.Error, "999"
        yield lambda: self.tokenizer.decode([[1, 2]]), tinygpt.Error, "shape"
        yield lambda: self.tokenizer.decode([0.5]), TypeError, "ids"
        yield lambda: self.tokenizer.token_bytes(-1), tinygpt.Error, "-1"
        yield lambda: tinygpt.Tokenizer(), TypeError, ""
        yield lambda: tinygpt.Corpus(self.path("none")), tinygpt.Error, "corpus.json"
        yield lambda: tinygpt.Corpus.write(self.path("w"), ["a"], self.tokenizer, 1), tinygpt.Error, "validation"
        yield lambda: tinygpt.Corpus.write(self.path("w"), ["a", "b"], tinygpt.Tokenizer.byte(), 1), tinygpt.Error, END
        yield lambda: tinygpt.Corpus.prepare_tinytales(self.path("w"), stories=-5), tinygpt.Error, "stories"
        yield lambda: tinygpt.stories(-1), tinygpt.Error, "stories"
        yield lambda: tinygpt.floor([]), tinygpt.Error, "no story"
        train = tinygpt.Trainer
        yield lambda: train(model, None), TypeError, ""
        yield lambda: train(model, self.corpus, batch=0), tinygpt.Error, "batch"
        yield lambda: train(model, self.corpus, batch=1.5), TypeError, "batch"
        yield lambda: train(model, self.corpus, batch=2 ** 33), tinygpt.Error, "batch"
        yield lambda: train(model, self.corpus, seed=-1), tinygpt.Error, "seed"
        yield lambda: train(model, self.corpus, lr=nan), tinygpt.Error, "lr"
        yield lambda: train(model, self.corpus, lr="fast"), TypeError, "lr"
        yield lambda: train(model, self.corpus, rate=1), TypeError, "rate"
        yield lambda: train(model, self.corpus, time=49), tinygpt.Error, "time"
        yield lambda: train(tinygpt.Model(small_config(tinygpt.Tokenizer.train_characters("ab"))), self.corpus), \
            tinygpt.Error, "belong"
        yield lambda: train(model, self.corpus).step(lr=-1), tinygpt.Error, "lr"
        yield lambda: train(model, self.corpus).run(-1), tinygpt.Error, "steps"
        yield lambda: train(model, self.corpus).run(1, callback="x"), TypeError, "callable"
        yield lambda: tinygpt.quantize(numpy.ones(33, dtype="float32")), tinygpt.Error, "32"
        yield lambda: tinygpt.quantize(numpy.ones(32, dtype=int)), TypeError, "floats"
        yield lambda: tinygpt.quantize(numpy.ones(32), "q5_1"), tinygpt.Error, "q4_0"
        yield lambda: tinygpt.quantize(numpy.full(32, nan)), tinygpt.Error, "finite"
        yield lambda: tinygpt.quantize(numpy.float32(1)), tinygpt.Error, "32"
        yield lambda: tinygpt.sampling_distribution([]), tinygpt.Error, "logits"
        yield lambda: tinygpt.sampling_distribution([nan, 1.0]), tinygpt.Error, "NaN"
        yield lambda: tinygpt.sampling_distribution([1.0], top_k=-1), tinygpt.Error, "top-k"
        yield lambda: tinygpt.set_threads(0), tinygpt.Error, "threads"

    def huge(self):
        tinygpt.Model(tinygpt.Config(width=65536, heads=64, kv_heads=64, hidden=262144, layers=96, vocab_size=100000))

    def test_each_is_refused_with_words_that_help(self):
        count = 0
        for call, kind, words in self.cases():
            count += 1
            with self.subTest(case=count):
                with self.assertRaisesRegex(kind, words) as caught:
                    call()
                self.assertNotEqual(str(caught.exception), "")
        self.assertGreater(count, 50)
        self.assertEqual(self.model.logits([1, 2]).shape, (2, 257))  # and all still works

    def test_a_broken_file_loads_nothing(self):
        model = os.path.join(INTEROP, "gpt2")
        for name in ("config.json", "model.safetensors"):
            with open(os.path.join(model, name), "rb") as file:
                content = file.read()
            with open(self.path("empty", name), "wb") as file:
                file.write(content[:len(content) // 2] if name.startswith("model") else content)
        self.assertRaisesRegex(tinygpt.Error, "model.safetensors", tinygpt.Model.load, self.path("empty"))


if __name__ == "__main__":
    unittest.main()
