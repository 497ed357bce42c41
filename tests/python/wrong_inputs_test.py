"""Some two hundred wrong inputs: each raises an exception that says what is wrong, and the interpreter lives on."""
import array
import copy
import os
import pickle
import threading
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

    def passes(self):
        model, tokens, nan = self.model, [1, 2, 3], float("nan")
        logits = model.logits
        # Here as in the parts below: what is called, which exception, words of its message.
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
        yield lambda: logits(numpy.array([2 ** 64 - 1], dtype="uint64")), tinygpt.Error, "18446744073709551615"
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
        yield lambda: logits(numpy.zeros(3, dtype=[("a", "int32")])), TypeError, "tokens"
        yield lambda: logits(numpy.array([1, 2], dtype=object)), TypeError, "object"
        yield lambda: logits(numpy.array([1 + 2j])), TypeError, "complex"
        yield lambda: logits(numpy.array([1.5]).view(type("Heir", (numpy.ndarray,), {}))), TypeError, "float64"
        yield lambda: logits(numpy.ma.array([1.5], mask=[True])), TypeError, "float64"
        yield lambda: logits(array.array("d", [1.0])), TypeError, "float64"
        yield lambda: logits({1, 2}), TypeError, "object"
        yield lambda: logits({"a": 1}), TypeError, "object"
        yield lambda: logits(iter([1])), TypeError, "object"
        yield lambda: logits(), TypeError, "tokens"
        yield lambda: logits(tokens, tokens), TypeError, ""
        yield lambda: tinygpt.Model.logits(3, tokens), TypeError, ""
        yield lambda: model.loss(tokens, None), TypeError, "targets"
        yield lambda: model.loss(tokens, [1, 2, nan]), TypeError, "targets"
        yield lambda: model.loss(tokens, [1, 2, -2]), tinygpt.Error, "-2"
        yield lambda: model.backward(tokens, [[1, 2], [3]]), ValueError, ""
        yield lambda: setattr(model, "parameters", {}), AttributeError, ""
        yield lambda: model.parameters["wte"].__setitem__(0, "many"), ValueError, ""
        yield lambda: model.parameters["wte"].resize(3), ValueError, ""

    def generating(self):
        model, tokens, nan = self.model, [1, 2, 3], float("nan")
        yield lambda: model.generate([], 4), tinygpt.Error, "empty"
        yield lambda: model.generate("a", BIG), TypeError, ""
        yield lambda: model.generate("a", 4, temperature=float("inf")), tinygpt.Error, "temperature"
        yield lambda: model.generate("a", 4, top_k=-1), tinygpt.Error, "^top_k"
        yield lambda: model.generate("a", 4, top_p=nan), tinygpt.Error, "^top_p"
        yield lambda: model.generate("a", 4, distributions="yes"), TypeError, ""
        yield lambda: model.generate("a", 4, 0.8), TypeError, ""
        yield lambda: model.generate([[1, 2]], 4), tinygpt.Error, r"\[1, 2\]"
        yield lambda: model.generate([257], 4), tinygpt.Error, "257"
        yield lambda: model.generate("a", 4, on_token=lambda: None), TypeError, "argument"
        yield lambda: model.generate("a", 4, on_token=lambda _id: numpy.zeros(2)), ValueError, "ambiguous"
        yield lambda: model.generate_cached("text", 4), TypeError, "prompt"
        yield lambda: model.generate_cached([], 4), tinygpt.Error, ""
        yield lambda: model.generate_cached(tokens, 0), tinygpt.Error, "max_tokens"
        yield lambda: model.generate_cached(tokens, 4, "q2"), tinygpt.Error, "q2"
        yield lambda: model.generate_cached([900], 4), tinygpt.Error, "900"
        yield lambda: model.cache_bytes(-1), tinygpt.Error, "tokens"
        yield lambda: model.cache_bytes(10 ** 6), tinygpt.Error, "tokens"
        yield lambda: model.generate("a", -1), tinygpt.Error, "^max_tokens"
        yield lambda: model.generate("a", 4, temperature=-1), tinygpt.Error, "temperature"
        yield lambda: model.generate("a", 4, temperature=nan), tinygpt.Error, "temperature"
        yield lambda: model.generate("a", 4, top_p=0), tinygpt.Error, "^top_p"
        yield lambda: model.generate("a", 4, seed=-1), TypeError, ""
        yield lambda: model.generate("a", "many"), TypeError, ""
        yield lambda: model.generate("a", 4, on_token=7), TypeError, "callable"
        yield lambda: model.generate([1.5], 4), TypeError, "prompt"
        yield lambda: setattr(model, "tokenizer", "gpt2"), TypeError, ""

    def making(self):
        model = self.model
        yield lambda: tinygpt.Model(model.config, device="cuda"), tinygpt.Error, "--device cuda"
        yield lambda: tinygpt.Model(model.config, device=0), TypeError, ""
        yield lambda: tinygpt.Model(model.config, kernels="fast"), tinygpt.Error, "fast"
        yield lambda: tinygpt.Model("demo"), TypeError, ""
        yield lambda: tinygpt.Model(None), (TypeError, tinygpt.Error), ""
        yield lambda: tinygpt.Config("none of these"), tinygpt.Error, "demo"
        yield lambda: tinygpt.Config(width=33, heads=2, kv_heads=2), tinygpt.Error, "width"
        yield lambda: tinygpt.Config(width=BIG), (TypeError, OverflowError), ""
        yield lambda: tinygpt.Config(width=-32), tinygpt.Error, "width"
        yield lambda: tinygpt.Config(layers=0), tinygpt.Error, "layers"
        yield lambda: tinygpt.Config(heads=0), tinygpt.Error, "heads"
        yield lambda: tinygpt.Config(vocab_size=0), tinygpt.Error, "vocab"
        yield lambda: tinygpt.Config(context_length=2 ** 40), (TypeError, OverflowError), ""
        yield lambda: tinygpt.Config(rope_base=float("nan")), tinygpt.Error, "rope"
        yield lambda: tinygpt.Config(norm_eps=-1), tinygpt.Error, "eps"
        yield lambda: tinygpt.Config(dropout=2), tinygpt.Error, "dropout"
        yield lambda: tinygpt.Config(tied_head="yes"), TypeError, ""
        yield lambda: setattr(tinygpt.Config("demo"), "width", "wide"), TypeError, ""
        yield lambda: setattr(tinygpt.Config("demo"), "family", "bert"), tinygpt.Error, "llama"
        yield lambda: setattr(tinygpt.Config("demo"), "head_size", 3), AttributeError, ""
        yield self.changed_later, tinygpt.Error, "width"
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
        yield lambda: model.save(self.path("noise")), OSError, "noise"
        yield lambda: model.save_gguf(self.path("empty")), tinygpt.Error, "empty"
        yield lambda: model.save(self.path("x"), tokenizer="gpt2"), TypeError, ""

    def tokenizing(self):
        yield lambda: tinygpt.Tokenizer.load(self.path("noise")), tinygpt.Error, "noise"
        yield lambda: tinygpt.Tokenizer.load(self.path("empty")), tinygpt.Error, "empty"
        yield lambda: tinygpt.Tokenizer.byte("<|end|>"), TypeError, ""
        yield lambda: tinygpt.Tokenizer.byte(["a", "a"]), tinygpt.Error, "a"
        yield lambda: tinygpt.Tokenizer.byte([""]), tinygpt.Error, "empty"
        yield lambda: tinygpt.Tokenizer.train_bpe("text", -1), tinygpt.Error, "256"
        yield lambda: tinygpt.Tokenizer.train_bpe("text", 2 ** 40), TypeError, ""
        yield lambda: tinygpt.Tokenizer.train_bpe("text", 300, [7]), TypeError, ""
        yield lambda: self.tokenizer.encode(["a"]), TypeError, ""
        yield lambda: self.tokenizer.encode("a", allow_special="no"), TypeError, ""
        yield lambda: self.tokenizer.decode("abc"), TypeError, "str"
        yield lambda: self.tokenizer.decode(None), TypeError, "NoneType"
        yield lambda: self.tokenizer.decode([2 ** 40]), tinygpt.Error, "32 bits"
        yield lambda: self.tokenizer.decode_bytes([-1]), tinygpt.Error, "-1"
        yield lambda: self.tokenizer.token_bytes(2 ** 40), TypeError, ""
        yield lambda: self.tokenizer.token_bytes("a"), TypeError, ""
        yield lambda: self.tokenizer.save(self.path("empty")), tinygpt.Error, "empty"
        yield lambda: self.tokenizer.save("/proc/none/x"), (OSError, tinygpt.Error), "none"
        yield lambda: setattr(self.tokenizer, "merges", []), AttributeError, ""
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

    def reading(self):
        write = tinygpt.Corpus.write
        yield lambda: tinygpt.Corpus(self.path("none")), tinygpt.Error, "corpus.json"
        yield lambda: tinygpt.Corpus(self.path("noise")), tinygpt.Error, "noise"
        yield lambda: tinygpt.Corpus(5), TypeError, ""
        yield lambda: write(self.path("w"), ["a", "b"], None, 1), (TypeError, tinygpt.Error), ""
        yield lambda: write(self.path("w"), "abc", self.tokenizer, 1), TypeError, ""
        yield lambda: write(self.path("w"), [1, 2], self.tokenizer, 1), TypeError, ""
        yield lambda: write(self.path("w"), ["a", "b"], self.tokenizer, -1), tinygpt.Error, "validation"
        yield lambda: write("/proc/none", ["a", "b"], self.tokenizer, 1), (OSError, tinygpt.Error), "none"
        yield lambda: tinygpt.Corpus.prepare_tinytales(self.path("w"), style="poems"), tinygpt.Error, "poems"
        yield lambda: tinygpt.Corpus.prepare_tinytales(self.path("w"), vocab_size=10), tinygpt.Error, "256"
        yield lambda: tinygpt.Corpus.prepare_tinytales(self.path("w"), tokenizer=3), TypeError, ""
        yield lambda: tinygpt.Corpus.prepare_tinytales(self.path("w"), stories=2 ** 40), tinygpt.Error, "stories"
        yield lambda: tinygpt.stories(3, style="poems"), tinygpt.Error, "poems"
        yield lambda: tinygpt.stories(3, first=-1), tinygpt.Error, "first"
        yield lambda: tinygpt.stories(3, seed=-1), TypeError, ""
        yield lambda: tinygpt.stories(2 ** 62), tinygpt.Error, "stories"
        yield lambda: tinygpt.stories(1.5), TypeError, ""
        yield lambda: tinygpt.floor("a story"), TypeError, ""
        yield lambda: self.corpus.train.__setitem__(0, 1), ValueError, "read-only"
        yield lambda: tinygpt.Corpus.write(self.path("w"), ["a"], self.tokenizer, 1), tinygpt.Error, "validation"
        yield lambda: tinygpt.Corpus.write(self.path("w"), ["a", "b"], tinygpt.Tokenizer.byte(), 1), tinygpt.Error, END
        yield lambda: tinygpt.Corpus.prepare_tinytales(self.path("w"), stories=-5), tinygpt.Error, "stories"
        yield lambda: tinygpt.stories(-1), tinygpt.Error, "stories"
        yield lambda: tinygpt.floor([]), tinygpt.Error, "no story"

    def training(self):
        model, nan, train = self.model, float("nan"), tinygpt.Trainer
        yield lambda: train(model, None), TypeError, ""
        yield lambda: train(model, self.corpus, batch=0), tinygpt.Error, "batch"
        yield lambda: train(model, self.corpus, batch=1.5), TypeError, "batch"
        yield lambda: train(model, self.corpus, batch=2 ** 33), tinygpt.Error, "batch"
        yield lambda: train(model, self.corpus, seed=-1), tinygpt.Error, "seed"
        yield lambda: train(model, self.corpus, lr=nan), tinygpt.Error, "lr: nan"
        yield lambda: train(model, self.corpus, lr="fast"), TypeError, "lr"
        yield lambda: train(model, self.corpus, rate=1), TypeError, "rate"
        yield lambda: train(model, self.corpus, time=49), tinygpt.Error, "time"
        yield lambda: train(tinygpt.Model(small_config(tinygpt.Tokenizer.train_characters("ab"))), self.corpus), \
            tinygpt.Error, "belong"
        yield lambda: train(model, self.corpus).step(lr=-1), tinygpt.Error, "lr"
        yield lambda: train(model, self.corpus).run(-1), tinygpt.Error, "steps"
        yield lambda: train(model, self.corpus).run(1, callback="x"), TypeError, "callable"
        for name, value in (("accumulate", 0), ("beta1", 1.5), ("warmup", -1), ("steps", 0), ("clip", -1.0),
                            ("weight_decay", float("inf")), ("eval_tokens", 0), ("time", 0), ("time", -5)):
            yield lambda name=name, value=value: train(model, self.corpus, **{name: value}), tinygpt.Error, name
        yield lambda: train(model, self.corpus, documents=3), TypeError, "documents"
        yield lambda: train(model, self.corpus, steps=None), TypeError, "steps"
        yield lambda: train(model), TypeError, ""
        yield lambda: train(model, self.corpus).step("a"), TypeError, ""
        yield lambda: train(model, self.corpus).step(nan), tinygpt.Error, "lr"
        yield lambda: train(model, self.corpus).run(2 ** 40), TypeError, ""
        yield lambda: train(model, self.corpus).run(1, lambda: None), TypeError, "argument"
        yield lambda: tinygpt.Adapter(model, targets="q_proj"), TypeError, ""
        yield lambda: tinygpt.Adapter(model, alpha=nan), tinygpt.Error, "alpha"
        yield lambda: tinygpt.Adapter(model, rank=-3), tinygpt.Error, "rank"
        yield lambda: tinygpt.Adapter(model, rank=BIG), TypeError, ""
        yield lambda: tinygpt.Adapter(model, seed=-1), TypeError, ""
        yield lambda: tinygpt.Adapter(model).save("/proc/none/x"), (OSError, tinygpt.Error), "none"
        yield lambda: model.merge(), tinygpt.Error, "merge"

    def quantizing(self):
        model, nan = self.model, float("nan")
        yield lambda: tinygpt.quantize(numpy.ones(33, dtype="float32")), tinygpt.Error, "32"
        yield lambda: tinygpt.quantize(numpy.ones((2, 33))), tinygpt.Error, "32"
        yield lambda: tinygpt.quantize(numpy.ones((0, 32))), tinygpt.Error, ""
        yield lambda: tinygpt.quantize(numpy.full(32, 1e30)), tinygpt.Error, ""
        yield lambda: tinygpt.quantize(numpy.full(32, float("inf"))), tinygpt.Error, "finite"
        yield lambda: tinygpt.quantize(numpy.ones(32) * 1j), TypeError, "complex"
        yield lambda: tinygpt.quantize("weights"), TypeError, "str"
        yield lambda: tinygpt.quantize(numpy.ones(32), 8), TypeError, ""
        yield lambda: model.quantize("q5_1"), tinygpt.Error, "gptq"
        yield lambda: model.quantize("gptq"), tinygpt.Error, "corpus"
        yield lambda: model.quantize("awq", 3), TypeError, ""
        yield lambda: model.quantize("q4_0", group=-1), tinygpt.Error, "group"
        yield lambda: model.quantize("awq", self.corpus, sequences=0), tinygpt.Error, "sequences"
        yield lambda: model.quantize("awq", self.corpus, seed=-1), TypeError, ""
        yield lambda: tinygpt.quantize(numpy.ones(32, dtype=int)), TypeError, "floats"
        yield lambda: tinygpt.quantize(numpy.ones(32), "q5_1"), tinygpt.Error, "q4_0"
        yield lambda: tinygpt.quantize(numpy.full(32, nan)), tinygpt.Error, "finite"
        yield lambda: tinygpt.quantize(numpy.float32(1)), tinygpt.Error, "32"
        yield lambda: tinygpt.sampling_distribution([]), tinygpt.Error, "logits"
        yield lambda: tinygpt.sampling_distribution([nan, 1.0]), tinygpt.Error, "NaN"
        yield lambda: tinygpt.sampling_distribution([1.0], top_k=-1), tinygpt.Error, "^top_k"
        yield lambda: tinygpt.sampling_distribution([[1.0]]), tinygpt.Error, "shape"
        yield lambda: tinygpt.sampling_distribution([1.0], temperature=-1), tinygpt.Error, "temperature"
        yield lambda: tinygpt.sampling_distribution([1.0], top_p=2), tinygpt.Error, "^top_p"
        yield lambda: tinygpt.sampling_distribution([float("-inf")] * 2), tinygpt.Error, "infinite"
        yield lambda: tinygpt.sampling_distribution([1, 2]), TypeError, "floats"
        yield lambda: tinygpt.set_threads(0), tinygpt.Error, "threads"
        yield lambda: tinygpt.set_threads(-1), tinygpt.Error, "threads"
        yield lambda: tinygpt.set_threads(2000), tinygpt.Error, "threads"
        yield lambda: tinygpt.set_threads("all"), TypeError, ""

    def objects(self):
        """Objects that were never made, copies, and classes that have no constructor."""
        for kind, use in ((tinygpt.Model, lambda x: x.logits([1])), (tinygpt.Model, repr), (tinygpt.Trace, repr),
                          (tinygpt.Trace, lambda x: x["logits"]), (tinygpt.Tokenizer, len),
                          (tinygpt.Tokenizer, lambda x: x.encode("a")), (tinygpt.Config, lambda x: x.width),
                          (tinygpt.Config, tinygpt.Model), (tinygpt.Corpus, lambda x: x.train),
                          (tinygpt.Trainer, lambda x: x.step()), (tinygpt.Quantized, lambda x: x.scales),
                          (tinygpt.Quantized, lambda x: x.blocks), (tinygpt.Adapter, lambda x: x.rank),
                          (tinygpt.Adapter, lambda x: x.factors), (tinygpt.Step, lambda x: x.loss)):
            yield lambda kind=kind, use=use: use(kind.__new__(kind)), (TypeError, RuntimeError), ""
        hollow = tinygpt._core._Block
        yield lambda: memoryview(hollow.__new__(hollow)).cast("B")[0], (TypeError, ValueError, IndexError), ""
        for kind in (tinygpt.Trace, tinygpt.Step, tinygpt.Quantized):
            yield kind, TypeError, "constructor"
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            yield lambda copied=copied: copied(self.tokenizer), TypeError, "Tokenizer"

        class Heir(tinygpt.Model):
            def __init__(self):
                pass

        yield Heir, TypeError, "__init__"

    def cases(self):
        for part in (self.passes, self.generating, self.making, self.tokenizing, self.reading, self.training,
                     self.quantizing, self.objects):
            for number, case in enumerate(part(), 1):
                yield ("%s %d" % (part.__name__, number),) + case

    def changed_later(self):
        config = self.model.config
        config.width = 33
        tinygpt.Model(config)

    def huge(self):
        tinygpt.Model(tinygpt.Config(width=65536, heads=64, kv_heads=64, hidden=262144, layers=96, vocab_size=100000))

    def test_each_is_refused_with_words_that_help(self):
        count = 0
        for name, call, kind, words in self.cases():
            count += 1
            with self.subTest(case=name):
                with self.assertRaisesRegex(kind, words) as caught:
                    call()
                self.assertNotEqual(str(caught.exception), "")
        self.assertGreater(count, 200)
        self.assertEqual(self.model.logits([1, 2]).shape, (2, 257))  # and all still works

    def test_many_threads_with_right_and_wrong_inputs(self):
        expected, found, raised = self.model.logits([1, 2, 3]), [], []

        def use(number):
            for turn in range(10):
                try:
                    if (number + turn) % 2:
                        found.append(self.model.logits([1, 2, 3]))
                        self.model.trace([[1, 2], [3, 4]])["h.1.attention"].sum()
                    else:
                        self.model.generate([999], 2)
                except tinygpt.Error as error:
                    raised.append(str(error))

        threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(found), len(raised)), (40, 40))
        for logits in found:
            numpy.testing.assert_array_equal(logits, expected)

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
