"""Both directions with Hugging Face transformers: models that it saves give the same logits here, and models that are
saved here load there without a warning and are the same to the bit. So do a folder that we trained, with its tokenizer,
and one of theirs that `tinygpt import` turned into ours."""
import logging
import pathlib
import tempfile
import warnings

import lines
import torch
import transformers
from peers import FAMILIES, exchange, make_corpus, our_ids, read_json, require, tinygpt, train, write_json
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

GPT2 = {"vocab_size": 71, "n_positions": 24, "n_embd": 24, "n_layer": 3, "n_head": 3}
LLAMA = {
    "vocab_size": 71,
    "max_position_embeddings": 24,
    "hidden_size": 32,
    "intermediate_size": 52,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
NONE = {"bos_token_id": None, "eos_token_id": None}


def theta(value):
    if int(transformers.__version__.split(".")[0]) < 5:
        return {"rope_theta": value}
    return {"rope_parameters": {"rope_type": "default", "rope_theta": value}}


def cases():
    """Name, model, what save_pretrained is told."""
    yield "gpt2", GPT2LMHeadModel(GPT2Config(**GPT2, **NONE)), {}
    untied = GPT2Config(**GPT2, **NONE, n_inner=50, tie_word_embeddings=False)
    yield "gpt2 untied, n_inner", GPT2LMHeadModel(untied), {}
    tokens = {"bos_token_id": 3, "eos_token_id": 5}
    bare = GPT2LMHeadModel(GPT2Config(**GPT2, **tokens, layer_norm_epsilon=1e-3)).transformer
    yield "gpt2 without a head's class", bare, {}
    llama = LlamaConfig(**LLAMA, **NONE, num_key_value_heads=2)
    yield "llama, grouped queries", LlamaForCausalLM(llama), {}
    tied = LlamaConfig(**LLAMA, **NONE, tie_word_embeddings=True, rms_norm_eps=1e-4, **theta(5e5))
    yield "llama tied, theta, shards", LlamaForCausalLM(tied), {"max_shard_size": "20KB"}
    yield "llama bfloat16", LlamaForCausalLM(llama).to(torch.bfloat16), {}
    yield "gpt2 float16", GPT2LMHeadModel(GPT2Config(**GPT2, **NONE)).half(), {}


def randomize(model):
    """Zeros and ones would hide a swapped tensor."""
    for p in model.parameters():
        with torch.no_grad():
            p.add_(torch.randn_like(p) * 0.1)


def load(kind, folder):
    """In float, whatever the files hold: the same values, and constants that were never rounded."""
    model, info = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    complaints = [key for key in info if info[key]]
    return model.eval(), complaints


def logits_of(model, tokens):
    with torch.no_grad():
        return model(tokens).logits


def check(name, model, options):
    randomize(model)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        model.save_pretrained(folder, **options)
        tokens = torch.randint(71, (1, 24))
        write_json(folder / "tokens.json", tokens[0].tolist())
        exchange("logits", folder)
        kind = type(model) if hasattr(model, "lm_head") else GPT2LMHeadModel
        expected = logits_of(load(kind, folder)[0], tokens)
        ours = load_file(folder / "logits.safetensors")["logits"]
        error = ((ours - expected).norm() / expected.norm()).item()
        back, complaints = load(kind, folder / "saved")
        same = torch.equal(logits_of(back, tokens), expected)
        require(error < 2e-6 and not complaints and same,
                "%s: relative error %g, complaints %s, same %s" % (name, error, complaints, same))
        files = sum(1 for f in folder.glob("*.safetensors")) - 1
        print("%s: %d file(s), logits within %.1e; saved here, loaded there: same" % (name, files, error))


class Heard(logging.Handler):
    """What a library logs while it works."""
    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def open_with_auto(folder):
    """Model and tokenizer, as their users open them; a word of warning is an error."""
    heard = Heard()
    transformers.logging.set_verbosity_warning()
    transformers.logging.get_logger("transformers").addHandler(heard)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    transformers.logging.get_logger("transformers").removeHandler(heard)
    transformers.logging.set_verbosity_error()
    require(not heard.said, "%s: transformers warns: %s" % (folder, heard.said))
    return model, tokenizer


def compare(name, folder, theirs):
    """Our folder, opened by us and by transformers (or its logits by `theirs`)."""
    model, tokenizer = open_with_auto(folder)
    texts = lines.multilingual_lines(200, seed=5) + [lines.stories(1)]
    ids = our_ids(folder, texts)
    for text, ours in zip(texts, ids):
        require(tokenizer(text)["input_ids"] == ours, "%s: %r is encoded in another way" % (name, text))
        require(tokenizer.decode(ours) == text, "%s: %r does not come back" % (name, text))
    end = read_json(folder / "config.json")["eos_token_id"]
    require(tokenizer.eos_token_id == end, "%s: eos_token is %s" % (name, tokenizer.eos_token))
    tokens = ids[-1][:model.config.max_position_embeddings]
    write_json(folder / "tokens.json", tokens)
    exchange("logits", folder)
    ours = load_file(folder / "logits.safetensors")["logits"]
    error = (ours - logits_of(theirs or model, torch.tensor([tokens]))).abs().max().item()
    require(error < 1e-4, "%s: logits differ by %g" % (name, error))
    print("%s: opened by AutoModel and AutoTokenizer without a warning; logits within %.1e" % (name, error))


def check_trained(folder, corpus, family):
    """A folder that we trained; then saved by transformers in shards of bfloat16, and imported again."""
    ours = train(corpus, folder, family, 40)
    compare("trained here, " + family, ours, None)
    model, tokenizer = open_with_auto(ours)
    model.to(torch.bfloat16).save_pretrained(folder / "theirs", max_shard_size="100KB")
    tokenizer.save_pretrained(folder / "theirs")
    shards = len(list((folder / "theirs").glob("*.safetensors")))
    require(shards > 1, "transformers wrote one file alone")
    tinygpt("import", folder / "theirs", "--out", folder / "imported")
    # Opened again in float: in the model above, the constants of its rotations are rounded too.
    theirs, complaints = load(type(model), folder / "theirs")
    require(not complaints, "transformers complains of its own folder: %s" % complaints)
    compare("%d shards of bfloat16, imported, %s" % (shards, family), folder / "imported", theirs)


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(1)
    print("transformers %s, torch %s" % (transformers.__version__, torch.__version__))
    for case in cases():
        check(*case)
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            check_trained(folder, make_corpus(folder), family)


if __name__ == "__main__":
    main()
