"""The Python package `gguf` lists our file's tensors under the names, shapes and types that we wrote, and makes the
same floats of their blocks as we do."""
import pathlib
import tempfile

import gguf
import numpy
from gguf import GGMLQuantizationType as Type
from peers import FAMILIES, exchange, make_corpus, read_json, require, tinygpt, train
from safetensors.numpy import load_file

TYPES = {"f32": Type.F32, "f16": Type.F16, "bf16": Type.BF16, "q8_0": Type.Q8_0, "q4_0": Type.Q4_0}

KNOWN = set(gguf.TENSOR_NAMES.values())


def values_of(tensor):
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def check(model, family, config, kind, folder):
    path = folder / ("%s-%s.gguf" % (family, kind))
    tinygpt("export", model, "--type", kind, "--out", path)
    exchange("tensors", path, folder / "ours.safetensors")
    ours = load_file(folder / "ours.safetensors")
    reader = gguf.GGUFReader(path)
    require({t.name for t in reader.tensors} == set(ours), "%s: other tensors" % path.name)
    for tensor in reader.tensors:
        name = "%s: %s" % (path.name, tensor.name)
        theirs, expected = values_of(tensor), ours[tensor.name]
        require(list(reversed(tensor.shape.tolist())) == list(expected.shape), "%s: another shape" % name)
        vector = expected.ndim == 1 or tensor.name == "position_embd.weight"
        require(tensor.tensor_type == (Type.F32 if vector else TYPES[kind]), "%s: %s" % (name, tensor.tensor_type))
        same = numpy.array_equal(theirs.reshape(expected.shape).view(numpy.uint32), expected.view(numpy.uint32))
        require(same, "%s: other values" % name)
    for tensor in reader.tensors:
        stem = tensor.name.rsplit(".", 1)[0]
        pattern = "blk.{bid}." + stem.split(".", 2)[2] if stem.startswith("blk.") else stem
        require(pattern in KNOWN, "%s is no name of theirs" % tensor.name)
    check_settings(reader, family, config)
    print("%s: %d tensors, the same names, shapes, types and values" % (path.name, len(ours)))


def check_settings(reader, family, config):
    def setting(key):
        field = reader.get_field(key)
        require(field is not None, "there is no %s" % key)
        return field.contents()
    require(setting("general.architecture") == family, "general.architecture")
    width, layers = (("hidden_size", "num_hidden_layers") if family == "llama" else ("n_embd", "n_layer"))
    require(setting(family + ".embedding_length") == config[width], "embedding_length")
    require(setting(family + ".block_count") == config[layers], "block_count")
    require(len(setting("tokenizer.ggml.tokens")) == config["vocab_size"], "tokens")
    require(len(setting("tokenizer.ggml.merges")) > 100, "merges")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        corpus = make_corpus(folder)
        for family in FAMILIES:
            model = train(corpus, folder, family, 2)
            config = read_json(model / "config.json")
            for kind in TYPES:
                check(model, family, config, kind, folder)


if __name__ == "__main__":
    main()
