"""Hugging Face's `tokenizers` reads the tokenizer.json that we write, and encodes ten thousand lines as we do."""
import pathlib
import tempfile

import lines
import tokenizers
from peers import cut_digits, our_ids, require, tinygpt

COUNT = 10000
SPECIAL = "<|endoftext|>"


def compare(name, folder, texts):
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = [encoding.ids for encoding in theirs.encode_batch(texts)]
    ours = our_ids(folder, texts)
    for text, a, b in zip(texts, ours, expected):
        require(a == b, "%s: %r: ours %s, theirs %s" % (name, text, a, b))
        require(theirs.decode(b, skip_special_tokens=False) == text, "%s: %r does not come back" % (name, text))
    print("%s: %d lines, %d tokens: the same" % (name, len(texts), sum(map(len, ours))))


def main():
    print("tokenizers %s" % tokenizers.__version__)
    texts = lines.multilingual_lines(COUNT - 50)
    texts += ["%s%s%s" % (text, SPECIAL, text) for text in texts[:50]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for kind in ("bpe", "byte", "char"):
            (folder / kind).mkdir()
            text = folder / "text.txt"
            text.write_text("\n".join(texts[:2000] if kind == "bpe" else texts), encoding="utf-8")
            tinygpt("tokenizer", "train", "--kind", kind, "--vocab-size", 4000, "--input", text, "--out",
                    folder / kind / "tokenizer.json", "--special", SPECIAL)
            compare(kind, folder / kind, texts)
        cut_digits(folder / "bpe" / "tokenizer.json")
        compare("bpe that cuts out each digit, as SmolLM's", folder / "bpe", texts)


if __name__ == "__main__":
    main()
