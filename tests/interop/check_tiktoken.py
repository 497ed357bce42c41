"""tiktoken and our GPT-2 tokenizer agree on ten thousand lines: with the vocabulary of GPT-2 itself, which a package
for Node carries, read from a folder as GPT-2's authors laid it out; and with one that we learned."""
import base64
import json
import pathlib
import tempfile

import lines
import tiktoken
from peers import BUILD, our_ids, require, tinygpt

SPECIAL = "<|endoftext|>"
# Radford et al. 2019, as their code spells it.
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
RANKS = BUILD / "interop/node_modules/gpt-tokenizer/data/r50k_base.tiktoken"


def spelled_bytes():
    """The character by which GPT-2's files spell each byte: itself where it can be seen, else the next after 255."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spelling = {b: chr(b) for b in seen}
    for b in range(256):
        if b not in spelling:
            spelling[b] = chr(256 + len(spelling) - len(seen))
    return spelling


SPELLED = spelled_bytes()
BYTE_OF = {c: b for b, c in SPELLED.items()}


def spell(token):
    return "".join(SPELLED[b] for b in token)


def halves(ranks, token):
    """The two tokens that the merge of this one joined: what merging with all ranks below its own comes to."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        rank, at = min((ranks.get(parts[i] + parts[i + 1], len(ranks)), i) for i in range(len(parts) - 1))
        require(rank < ranks[token], "%r is no merge of tokens before it" % token)
        parts[at:at + 2] = [parts[at] + parts[at + 1]]
    return parts


def compare(name, ranks, folder, texts):
    theirs = tiktoken.Encoding(name, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={SPECIAL: len(ranks)})
    ours = our_ids(folder, texts)
    for text, ids in zip(texts, ours):
        expected = theirs.encode(text, allowed_special="all")
        require(ids == expected, "%s: %r: ours %s, theirs %s" % (name, text, ids, expected))
    print("%s: %d tokens, %d lines of %d tokens: the same" % (name, len(ranks) + 1, len(texts), sum(map(len, ours))))


def check_published(folder, texts):
    ranks = {}
    for line in RANKS.read_text().split("\n"):
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    vocab = {spell(token): rank for token, rank in ranks.items()}
    vocab[SPECIAL] = len(ranks)
    merges = [halves(ranks, token) for token in sorted(ranks, key=ranks.get) if len(token) > 1]
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join("%s %s\n" % (spell(a), spell(b)) for a, b in merges), encoding="utf-8")
    compare("GPT-2's vocabulary", ranks, folder, texts)


def check_learned(folder, texts):
    (folder / "text.txt").write_text("\n".join(texts[:2000]), encoding="utf-8")
    tinygpt("tokenizer", "train", "--vocab-size", 3000, "--input", folder / "text.txt",
            "--out", folder / "tokenizer.json", "--special", SPECIAL)
    vocab = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    ranks = {bytes(BYTE_OF[c] for c in token): id for token, id in vocab.items() if token != SPECIAL}
    require(len(ranks) == vocab[SPECIAL], "the special token does not follow the merges")
    compare("a vocabulary of ours", ranks, folder, texts)


def main():
    print("tiktoken %s" % tiktoken.__version__)
    texts = lines.multilingual_lines(9950) + [SPECIAL.join(lines.multilingual_lines(3, seed)) for seed in range(50)]
    for check in (check_learned, check_published):
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder), texts)


if __name__ == "__main__":
    main()
