#!/usr/bin/env python3
"""Writes the files beside it, from which tests/io compares tinygpt with Hugging Face's tokenizers.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3
    venv/bin/python tests/interop/tokenizers/generate.py build/bin/tinygpt

  training.txt      the text that all of them learn from
  hugging_face.json a byte-level BPE that `tokenizers` trained and saved
  bpe.json, byte.json, character.json
                    what `tinygpt tokenizer train` wrote; `tokenizers` opened them
  cases.json        awkward texts with the ids that `tokenizers` gave for each of the four
"""

import json
import pathlib
import subprocess
import sys

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent
VOCAB_SIZE = 700
SPECIAL = "<|endoftext|>"

# No run of three equal characters: tinygpt counts the pair (a, a) once in "aaa", `tokenizers` twice,
# and the two would learn different merges.
TRAINING = """\
The tide went out before the others woke, and Mara's brother hadn't come back. "We'll go," she said;
"they're only rocks, it's low water, and I've done this since I was four. You'd better not wait."
He'd left at 5:45 with 12 nets, 3 lamps and 1024 hooks; by 1998 nobody'd have believed it.
The rocks were further out than she remembered. Mara counted the boats on the sand: five, then six,
then five again, because the sixth was only a shadow. The others were still asleep when she reached
the first of the rocks, and the water had begun to turn. She called his name; the gulls answered, and
then, from behind the furthest rock, somebody laughed. "You're late," her brother said. "I've been
sitting here since four, and the tide's coming in. Haven't you brought anything to eat?" She hadn't.
They walked back together over the wet sand, and they didn't speak until they'd passed the boats.
La marée était déjà très basse, et l'été touchait à sa fin. Où étaient passés les pêcheurs ?
Les pêcheurs étaient partis à la pêche avant l'aube, et la mer était passée par-dessus la jetée.
Die Flut kam spät; die größten Boote lagen schräg im Schlick, und niemand wußte, wohin sie fuhren.
潮が引いた浜辺で、子どもたちは貝を拾っていた。海は静かで、空は青かった。海は広い。
子どもたちは海を見ていた。貝は静かに砂の中で眠っていた。空は青く、海も青かった。
Море было тихое, и лодки стояли у берега. Море ждало, и берег ждал.
Лодки стояли тихо, море молчало, и никто на берегу не ждал, что лодки вернутся.
البحر هادئ والسماء زرقاء، والقارب ٣ أمتار.
समुद्र शांत था और नाव तट पर थी।
Code: for (int i = 0; i < 10; ++i) { sum += x[i] * 0.5; }\t// twice  the   work
naïve café, cafe\u0301, \u00a0no-break\u00a0space, 👩\u200d👩\u200d👧 and 🏳️\u200d🌈, Ⅷ ½ ²
"""

AWKWARD = [
    "", " ", "  ", "\n", "a", " a", "a ", "a  b", "a   b ", "\ta\t\tb",
    "it's we're I've I'm you'll he'd can't 'tis 'street IT'S ''s 're' '",
    "Hello, world! The tide's out.\r\n\r\nNext  line\r", "a\n\nb\n \n c \n",
    "x1y22z333 1,234.56 0xFF 3rd", "__init__ foo_bar->baz() !!! ... --- ???",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "theseawasthequietestofthemallandnobodybelievedthattheothershadlefttheboatsbehindtherocksbeforethetide",
    "déjà vu, naïve façade, Straße GROẞ œuvre «là»", "e\u0301a\u0308\u0323 \u0301x",
    "日本語のテキスト、海は静か。", "한국어 텍스트", "中文，文本！", "Русский ёлка", "Ελληνικά",
    "עברית", "العربية ٣٤٥ ۴", "हिन्दी पाठ", "ไทย ข้อความ", "ⅧⅨ ½¼ ²³ ①",
    "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇩🇪 👍🏽", "a\u00a0b \u00a0 c\u00a0", "a\u2028b\u2029 \u2028 c",
    "a\u3000b \u3000c", "a\u200bb \u200b", "\ufeffbom", "a\u0085b", "a\x00b\x1c\x1f\x7f \x0b\x0c",
    "\u1680x\u180e\u202f\u205fy", "\U0001d400\U0001d7ce \U00020000 \U0010fffd \ue000",
    "ʼn ª º ǅ ʰ ͺ ـ ー", "a_b‿c·d", "½a a½", "١a", "$5 €5 £5 +5 <5>",
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> \n<|endoftext|><|endoftext|>",
    "<|endoftext", "<<|endoftext|>>", "<|endoftext|", "the<|endoftext|> the",
]


def train_with_hugging_face():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([TRAINING], trainer)
    tokenizer.add_special_tokens([SPECIAL])
    tokenizer.save(str(HERE / "hugging_face.json"))


def train_with_tinygpt(program):
    for kind in ("bpe", "byte", "character"):
        command = [program, "tokenizer", "train", "--kind", kind.replace("character", "char")]
        command += ["--vocab-size", str(VOCAB_SIZE), "--special", SPECIAL]
        command += ["--input", HERE / "training.txt", "--out", HERE / f"{kind}.json"]
        subprocess.run(command, check=True)


def ids_of(name, texts):
    tokenizer = Tokenizer.from_file(str(HERE / name))
    cases = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text, (name, text)
        cases.append([text, ids])
    return cases


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    (HERE / "training.txt").write_bytes(TRAINING.encode())
    train_with_hugging_face()
    train_with_tinygpt(sys.argv[1])
    known = set(TRAINING)
    spelled = [t for t in AWKWARD if set(t.replace(SPECIAL, "")) <= known]
    spelled += [line + "\n" for line in TRAINING.splitlines()]
    numbers = {
        "made_with": f"tokenizers {tokenizers.__version__}",
        "hugging_face.json": ids_of("hugging_face.json", AWKWARD + [TRAINING]),
        "bpe.json": ids_of("bpe.json", AWKWARD + [TRAINING]),
        "byte.json": ids_of("byte.json", AWKWARD),
        "character.json": ids_of("character.json", spelled),
    }
    text = json.dumps(numbers, ensure_ascii=True, separators=(",", ":"))
    (HERE / "cases.json").write_text(text.replace('],["', '],\n["') + "\n")


if __name__ == "__main__":
    main()
