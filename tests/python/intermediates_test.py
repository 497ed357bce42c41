"""Every tensor of a pass equals PyTorch's: tests/interop/regenerate_intermediates.py wrote them."""
import json
import os
import unittest

from support import INTEROP, numpy, tinygpt


class IntermediatesTest(unittest.TestCase):
    def compare(self, name, kernels):
        model = tinygpt.Model.load(os.path.join(INTEROP, name), kernels=kernels)
        with open(os.path.join(INTEROP, name, "numbers.json")) as file:
            tokens = json.load(file)["tokens"][0]
        one, both = model.trace(tokens[0]), model.trace(tokens)
        compared = 0
        with numpy.load(os.path.join(INTEROP, "intermediates.npz")) as expected:
            for key in expected.files:
                if not key.startswith(name + "/"):
                    continue
                what = key[len(name) + 1:]
                for actual in (one[what], both[what][0]):
                    self.assertEqual(actual.shape, expected[key].shape, what)
                    worst = numpy.abs(actual - expected[key]).max()
                    self.assertTrue(worst < 1e-4, "%s of %s is off by %g" % (what, name, worst))
                compared += 1
        names = set(one.names) - {"tokens"}
        self.assertEqual(compared, len(names), "a name is not compared")

    def test_every_tensor_of_gpt2_is_pytorchs(self):
        for kernels in ("cpu", "ref"):
            self.compare("gpt2", kernels)

    def test_every_tensor_of_llama_is_pytorchs(self):
        for kernels in ("cpu", "ref"):
            self.compare("llama", kernels)

    def test_a_trace_keeps_its_numbers_when_the_model_goes_on(self):
        model = tinygpt.Model.load(os.path.join(INTEROP, "llama"))
        trace = model.trace([1, 2, 3])
        stream = trace["h.1.output"]
        before = stream.copy()
        model.parameters["wte"][:] = 0
        model.trace([4, 5, 6])
        del trace, model
        numpy.testing.assert_array_equal(stream, before)


if __name__ == "__main__":
    unittest.main()
