"""Tokenizers, corpora, models, generation, quantizers, and what the types for editors say."""
import ast
import gc
import inspect
import os
import re
import tempfile
import unittest

from support import END, INTEROP, FolderTest, numpy, small_config, tinygpt

TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 40


class TokenizerTest(FolderTest):
    def test_text_goes_there_and_back(self):
        tokenizer = tinygpt.Tokenizer.train_bpe(TEXT, 280, [END])
        for text in ("the cat", "", "नमस्ते, 世界! \U0001f600", "a\x00b"):
            ids = tokenizer.encode(text)
            self.assertEqual(ids.dtype, numpy.int32)
            self.assertEqual(tokenizer.decode(ids), text)
            self.assertEqual(b"".join(tokenizer.pieces(text)), text.encode())
        self.assertEqual(tokenizer.decode_bytes(tokenizer.encode(b"\xff\xfe")), b"\xff\xfe")
        self.assertEqual(tokenizer.encode("x" + END)[-1], tokenizer.special_tokens[END])
        self.assertEqual(tokenizer.decode(tokenizer.encode("x" + END), skip_control=True), "x")

    def test_a_saved_tokenizer_is_the_same(self):
        tokenizer = tinygpt.Tokenizer.train_bpe(TEXT, 280, [END])
        tokenizer.save(self.path("tokenizer.json"))
        loaded = tinygpt.Tokenizer.load(self.path("tokenizer.json"))
        self.assertEqual(loaded.merges, tokenizer.merges)
        self.assertEqual(loaded.encode(TEXT).tolist(), tokenizer.encode(TEXT).tolist())
        left, right, result = tokenizer.merges[0]
        self.assertEqual(loaded.token_bytes(left) + loaded.token_bytes(right), loaded.token_bytes(result))

    def test_characters(self):
        tokenizer = tinygpt.Tokenizer.train_characters("abcä")
        self.assertEqual((tokenizer.kind, len(tokenizer)), ("character", 4))
        self.assertEqual(tokenizer.encode("cab").tolist(), [2, 0, 1])


class CorpusTest(FolderTest):
    def test_tinytales_have_a_floor(self):
        corpus = tinygpt.Corpus.prepare_tinytales(self.path("tales"), stories=200, vocab_size=400)
        again = tinygpt.Corpus(self.path("tales"))
        stories = tinygpt.stories(205)
        self.assertEqual(stories, tinygpt.stories(200) + tinygpt.stories(5, first=200))
        per_token = tinygpt.floor(stories[200:]) * corpus.bytes_per_token
        self.assertAlmostEqual(again.floor, per_token, places=10)
        text = corpus.tokenizer.decode(corpus.train)
        self.assertEqual(text, END.join(stories[:200]) + END)
        self.assertEqual(tinygpt.floor(["no story of the grammar"]), float("inf"))

    def test_documents_of_ones_own(self):
        tokenizer = tinygpt.Tokenizer.byte([END])
        corpus = tinygpt.Corpus.write(self.path("own"), ["one", "two", "three"], tokenizer, validation=1)
        self.assertEqual(corpus.tokenizer.decode(corpus.validation), "three" + END)
        self.assertIsNone(corpus.floor)


class ModelTest(FolderTest):
    def model(self, **fields):
        tokenizer = tinygpt.Tokenizer.byte([END])
        model = tinygpt.Model(small_config(tokenizer, **fields), seed=3)
        model.tokenizer = tokenizer
        return model

    def test_parameters_are_the_weights_themselves(self):
        model = self.model()
        weight = model.parameters["wte"]
        self.assertEqual(weight.shape, (257, 32))
        before = model.logits([1, 2, 3])
        weight[2] += 1
        self.assertFalse(numpy.allclose(before, model.logits([1, 2, 3])))
        del model
        gc.collect()
        self.assertTrue(numpy.isfinite(weight).all())  # kept alive by the array

    def test_a_saved_model_is_the_same(self):
        model = self.model()
        expected = model.logits([5, 6, 7])
        model.save(self.path("folder"))
        loaded = tinygpt.Model.load(self.path("folder"))
        numpy.testing.assert_array_equal(loaded.logits([5, 6, 7]), expected)
        self.assertEqual(loaded.tokenizer.encode("cat").tolist(), [99, 97, 116])

    def test_gguf_there_and_back(self):
        model = self.model()
        model.tokenizer = tinygpt.Tokenizer.train_bpe(TEXT, 257, [])
        for kind, tolerance in (("f32", 0), ("q8_0", 0.1)):
            model.save_gguf(self.path("model.gguf"), kind)
            loaded = tinygpt.Model.load(self.path("model.gguf"))
            error = numpy.abs(loaded.logits([5, 6, 7]) - model.logits([5, 6, 7])).max()
            self.assertLessEqual(error, tolerance)

    def test_logits_of_batches_are_those_of_their_sequences(self):
        model = self.model()
        batch = numpy.arange(24).reshape(3, 8)
        together = model.logits(batch)
        self.assertEqual(together.shape, (3, 8, 257))
        for b in range(3):
            numpy.testing.assert_allclose(together[b], model(batch[b]), atol=1e-5)

    def test_tokens_of_every_kind_are_the_same(self):
        model = self.model()
        expected = model.logits([7, 8, 9])
        spread = numpy.zeros(6, dtype="int32")
        spread[::2] = [7, 8, 9]
        for tokens in ((7, 8, 9), numpy.array([7, 8, 9], "uint8"), numpy.array([7, 8, 9], ">i4"), spread[::2],
                       numpy.array([9, 8, 7], "int32")[::-1], numpy.array([7, 8, 9], "int32")):
            numpy.testing.assert_array_equal(model.logits(tokens), expected)

    def test_loss_and_gradient_agree(self):
        model = self.model()
        tokens, targets = [[1, 2, 3]], [[2, 3, -1]]
        logits = model.logits(tokens)[0].astype("float64")
        chosen = [logits[t, k] - numpy.log(numpy.exp(logits[t]).sum()) for t, k in ((0, 2), (1, 3))]
        self.assertAlmostEqual(model.loss(tokens, targets), -numpy.mean(chosen), places=5)
        loss = model.backward(tokens, targets)
        self.assertAlmostEqual(loss, model.loss(tokens, targets), places=5)
        slope = model.gradients["norm_f.weight"][4]
        weight, step = model.parameters["norm_f.weight"], 1e-2
        weight[4] += step
        up = model.loss(tokens, targets)
        weight[4] -= 2 * step
        self.assertAlmostEqual((up - model.loss(tokens, targets)) / (2 * step), slope, places=3)

    def test_generation_says_how_likely_each_token_was(self):
        model = self.model()
        written = model.generate("the cat", 12, temperature=1, seed=5, stop_token=-1, distributions=True)
        self.assertEqual(written.distributions.shape, (12, 257))
        numpy.testing.assert_allclose(written.distributions.sum(axis=1), 1, atol=1e-5)
        text = list(b"the cat") + written.tokens.tolist()
        logits = model.logits(text)[6:-1].astype("float64")
        p = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        numpy.testing.assert_allclose(written.distributions, p, atol=1e-5)
        numpy.testing.assert_allclose(written.probabilities, p[numpy.arange(12), written.tokens], atol=1e-5)
        again = model.generate("the cat", 12, temperature=1, seed=5, stop_token=-1)
        self.assertEqual(again.tokens.tolist(), written.tokens.tolist())
        self.assertEqual(again.text, model.tokenizer.decode(again.tokens))

    def test_a_callback_ends_the_text(self):
        seen = []
        written = self.model().generate([1], 12, stop_token=-1, on_token=lambda id: seen.append(id) or len(seen) < 4)
        self.assertEqual(written.tokens.tolist(), seen)
        self.assertEqual(len(seen), 4)

    def test_sampling_cuts(self):
        p = tinygpt.sampling_distribution(numpy.log([0.5, 0.3, 0.2]), top_p=0.6)
        numpy.testing.assert_allclose(p, [0.625, 0.375, 0], atol=1e-6)
        numpy.testing.assert_allclose(tinygpt.sampling_distribution([1.0, 2.0], temperature=0), [0, 1])


class AdapterTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.base = tinygpt.Corpus.prepare_tinytales(self.path("tales"), stories=200, vocab_size=400)
        self.model = tinygpt.Model(small_config(self.base.tokenizer))
        self.model.tokenizer = self.base.tokenizer
        self.tokens = self.base.tokenizer.encode("Tom had a ball.")

    def trained(self):
        other = tinygpt.Corpus.prepare_tinytales(self.path("letters"), stories=200, style="letters",
                                                 tokenizer=self.base.tokenizer)
        adapter = tinygpt.Adapter(self.model, rank=4)
        self.model.adapter = adapter
        tinygpt.Trainer(self.model, other, batch=4, time=32, steps=20, lr=1e-2, warmup=2).run()
        return adapter

    def test_a_new_adapter_changes_nothing_and_training_changes_it_alone(self):
        plain = self.model.logits(self.tokens)
        weights = {name: value.copy() for name, value in self.model.parameters.items()}
        adapter = self.trained()
        self.assertGreater(numpy.abs(self.model.logits(self.tokens) - plain).max(), 0.1)
        for name, value in self.model.parameters.items():
            numpy.testing.assert_array_equal(value, weights[name])
        self.model.adapter = None
        numpy.testing.assert_array_equal(self.model.logits(self.tokens), plain)
        self.model.adapter = tinygpt.Adapter(self.model)
        numpy.testing.assert_allclose(self.model.logits(self.tokens), plain, atol=1e-6)
        self.assertEqual(adapter.parameter_count, sum(a.size + b.size for a, b in adapter.factors.values()))

    def test_a_merged_model_computes_what_both_did(self):
        adapter = self.trained()
        both = self.model.logits(self.tokens)
        numpy.testing.assert_allclose(self.model.trace(self.tokens)["logits"], both, atol=1e-4)
        self.assertEqual(self.model.trace(self.tokens)["h.1.attention"].shape[0], 2)
        adapter.save(self.path("adapter"))
        name, (a, b) = next(iter(adapter.factors.items()))
        self.model.merge()
        self.assertIsNone(self.model.adapter)
        numpy.testing.assert_allclose(self.model.logits(self.tokens), both, atol=1e-4)
        self.assertRaisesRegex(tinygpt.Error, "merge", self.model.merge)
        loaded = tinygpt.Adapter.load(self.model, self.path("adapter"))
        numpy.testing.assert_array_equal(loaded.factors[name][0], a)
        numpy.testing.assert_array_equal(loaded.factors[name][1], b)
        self.assertEqual(loaded.scale, adapter.scale)

    def test_wrong_adapters_are_refused(self):
        other = tinygpt.Model(small_config(self.base.tokenizer, width=64))
        adapter = tinygpt.Adapter(other)
        trainer = tinygpt.Trainer(self.model, self.base, batch=2, time=16, steps=10)
        for call, kind, words in (
                (lambda: setattr(self.model, "adapter", adapter), tinygpt.Error, "another shape"),
                (lambda: setattr(self.model, "adapter", 3), TypeError, ""),
                (lambda: tinygpt.Adapter(None), TypeError, ""),
                (lambda: tinygpt.Adapter(self.model, rank=0), tinygpt.Error, "rank"),
                (lambda: tinygpt.Adapter(self.model, targets=["nothing"]), tinygpt.Error, "nothing"),
                (lambda: tinygpt.Adapter(self.model, dropout=1.5), tinygpt.Error, "dropout"),
                (lambda: tinygpt.Adapter.load(self.model, self.path("none")), tinygpt.Error, "adapter_config")):
            with self.assertRaisesRegex(kind, words):
                call()
        mine = tinygpt.Adapter(self.model)
        self.model.adapter = mine
        self.assertRaisesRegex(tinygpt.Error, "new Trainer", trainer.step)
        twin = tinygpt.Model(small_config(self.base.tokenizer))
        self.assertRaisesRegex(tinygpt.Error, "another model", setattr, twin, "adapter", mine)
        self.model.adapter = None
        twin.adapter = mine


class CacheTest(FolderTest):
    def test_a_cached_text_is_the_likeliest_one(self):
        tokenizer = tinygpt.Tokenizer.byte()
        model = tinygpt.Model(small_config(tokenizer))
        prompt = tokenizer.encode("the cat")
        plain = model.generate(prompt, 20, temperature=0, stop_token=-1).tokens
        written, prefill, later = model.generate_cached(prompt, 20)
        self.assertEqual(written.tolist(), plain.tolist())
        self.assertGreater(prefill, 0)
        self.assertGreater(later, 0)
        self.assertEqual(model.cache_bytes(10), 10 * 2 * 2 * 32 * 4)  # k and v, 2 layers, 32 wide, 4 bytes
        self.assertEqual(model.cache_bytes(10, "bf16") * 2, model.cache_bytes(10))
        self.assertRaisesRegex(tinygpt.Error, "bf16", model.cache_bytes, 10, "q3")
        self.assertRaisesRegex(tinygpt.Error, "context", model.generate_cached, prompt, 60)


class QuantizerTest(unittest.TestCase):
    def test_blocks_steps_and_scales_are_what_dequantize_multiplies(self):
        x = numpy.random.default_rng(1).normal(size=(4, 96)).astype("float32")
        for method, bits, bound in (("q8_0", 8.5, 0.01), ("q4_0", 4.5, 0.2)):
            q = tinygpt.quantize(x, method)
            back = q.dequantize()
            numpy.testing.assert_allclose(back.reshape(-1, 32), q.scales[:, None] * q.steps, rtol=1e-6)
            self.assertLess(numpy.sqrt(numpy.mean((back - x) ** 2)), bound)
            self.assertEqual(q.blocks.shape, (12, int(bits * 4)))
            self.assertEqual(q.bits_per_value, bits)

    def test_blocks_outlive_what_they_are_of(self):
        q = tinygpt.quantize(numpy.linspace(-1, 1, 64))
        blocks, before = q.blocks, q.blocks.copy()
        del q
        gc.collect()
        numpy.testing.assert_array_equal(blocks, before)


class QuantizedModelTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.corpus = tinygpt.Corpus.prepare_tinytales(self.path("tales"), stories=200, vocab_size=400)

    def quantized(self, *words, **settings):
        model = tinygpt.Model(small_config(self.corpus.tokenizer, width=64, hidden=96), seed=5)
        before = {name: value.copy() for name, value in model.parameters.items()}
        return before, model.parameters, {report["name"]: report for report in model.quantize(*words, **settings)}

    def test_round_to_nearest_is_what_quantize_does(self):
        for method in ("q8_0", "q4_0"):
            before, after, reports = self.quantized(method)
            for name in set(reports) - {"wte", "head"}:  # those two are q8_0 always
                expected = tinygpt.quantize(before[name], method).dequantize()
                numpy.testing.assert_allclose(after[name], expected, atol=1e-6)
                error = numpy.square(expected - before[name]).sum() / numpy.square(before[name]).sum()
                self.assertAlmostEqual(reports[name]["weight_error"], error, places=6)
                self.assertEqual(reports[name]["bytes"], tinygpt.quantize(before[name], method).blocks.size)
                self.assertIsNone(reports[name]["output_error"])
            self.assertEqual(set(reports), {name for name, value in before.items() if value.ndim == 2})

    def test_a_text_to_look_at_makes_outputs_better(self):
        def mean_output_error(method):
            reports = self.quantized(method, self.corpus, sequences=32)[2]
            return numpy.mean([r["output_error"] for r in reports.values() if r["output_error"] is not None])

        nearest = mean_output_error("q4_0")
        self.assertLess(mean_output_error("gptq"), 0.8 * nearest)
        self.assertLess(mean_output_error("awq"), nearest)

    def test_groups_cost_bytes_and_gain_precision(self):
        small, large = (self.quantized("q4_0", group=group)[2]["h.0.attn.qkv.weight"] for group in (16, 0))
        self.assertLess(small["weight_error"], large["weight_error"])
        self.assertGreater(small["bytes"], large["bytes"])


class TypesTest(unittest.TestCase):
    """The stub file names what is there, and all of it; everything has a docstring."""

    def stub(self):
        path = os.path.join(os.path.dirname(tinygpt.__file__), "__init__.pyi")
        with open(path) as file:
            return ast.parse(file.read())

    def members(self, node):
        names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        return names | {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}

    def test_the_stubs_name_what_is_there(self):
        listed = {node.name: node for node in self.stub().body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        self.assertEqual(set(listed), set(tinygpt.__all__))
        for name, node in listed.items():
            if not isinstance(node, ast.ClassDef) or name == "Generation":
                continue
            kind = getattr(tinygpt, name)
            there = {key for key in vars(kind) if not key.startswith("_")}
            self.assertEqual({key for key in self.members(node) if not key.startswith("__")}, there, name)

    def arguments_of(self, node, skipped):
        """Each argument's name, and whether it may be left out."""
        positional = node.args.args[skipped:]
        optional = len(positional) - len(node.args.defaults)
        return [(item.arg, i >= optional) for i, item in enumerate(positional)]

    def arguments_in(self, words):
        """The same from a docstring's first line: name(self: Model, tokens: object, targets: object = None) -> ..."""
        inside = re.sub(r"\[[^\[\]]*\]", "", words[words.index("(") + 1:words.rindex(") ->")].replace("[]", "None"))
        while "[" in inside:  # types in types
            inside = re.sub(r"\[[^\[\]]*\]", "", inside)
        return [(word.split(":")[0], "=" in word) for word in inside.split(", ") if word]

    def test_the_stubs_arguments_are_those_that_are_taken(self):
        compared = 0
        for node in self.stub().body:
            inside = node.body if isinstance(node, ast.ClassDef) else [node]
            for item in inside:
                if not isinstance(item, ast.FunctionDef) or item.args.kwonlyargs:
                    continue  # those by name alone are compared below
                decorators = [decorator.id for decorator in item.decorator_list]
                if "property" in decorators or item.name.startswith("__"):
                    continue
                owner = getattr(tinygpt, node.name) if isinstance(node, ast.ClassDef) else tinygpt
                first = getattr(owner, item.name).__doc__.split("\n")[0]
                skipped = int(isinstance(node, ast.ClassDef) and "staticmethod" not in decorators)  # self
                self.assertEqual(self.arguments_of(item, skipped), self.arguments_in(first)[skipped:], first)
                compared += 1
        self.assertGreater(compared, 25)

    def test_the_stubs_settings_are_those_that_are_taken(self):
        listed = {}
        for node in self.stub().body:
            for item in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(item, ast.FunctionDef) and item.args.kwonlyargs:
                    listed[node.name, item.name] = [argument.arg for argument in item.args.kwonlyargs]
        generate = inspect.signature(tinygpt.Model.generate).parameters.values()
        self.assertEqual(listed["Model", "generate"], [p.name for p in generate if p.kind == p.KEYWORD_ONLY])
        fields = [key for key, value in vars(tinygpt.Config).items() if isinstance(value, property) and value.fset]
        self.assertEqual(set(listed["Config", "__init__"]), set(fields))
        model = tinygpt.Model(small_config(tinygpt.Tokenizer.byte([END])))
        with tempfile.TemporaryDirectory() as folder:
            corpus = tinygpt.Corpus.write(folder, ["text " * 30] * 2, tinygpt.Tokenizer.byte([END]), 1)
            with self.assertRaisesRegex(TypeError, "there are: ") as caught:
                tinygpt.Trainer(model, corpus, nothing=1)
        settings = str(caught.exception).split("there are: ")[1].split(", ")
        self.assertEqual(set(listed["Trainer", "__init__"]), set(settings))

    def test_everything_says_what_it_does(self):
        for name in tinygpt.__all__:
            thing = getattr(tinygpt, name)
            self.assertTrue(inspect.getdoc(thing), name)
            for key, value in vars(thing).items() if inspect.isclass(thing) and name != "Generation" else ():
                if not key.startswith("_"):
                    self.assertTrue(inspect.getdoc(value), name + "." + key)


if __name__ == "__main__":
    unittest.main()
