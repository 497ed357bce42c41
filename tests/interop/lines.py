"""Lines of text in many scripts, drawn from a seed: no language's sentences, but all that tokenizers stumble on."""
import random
import unicodedata

# First and last code point; of each only letters, marks and digits that are assigned are drawn.
SCRIPTS = {
    "latin": (0x61, 0x7A), "latin capitals": (0x41, 0x5A), "latin accents": (0xC0, 0x24F),
    "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x4FF), "armenian": (0x531, 0x587), "hebrew": (0x5D0, 0x5EA),
    "arabic": (0x620, 0x6D3), "devanagari": (0x900, 0x97F), "bengali": (0x980, 0x9FE), "tamil": (0xB82, 0xBFA),
    "thai": (0xE01, 0xE5B), "lao": (0xE81, 0xEDF), "tibetan": (0xF00, 0xF6C), "georgian": (0x10A0, 0x10FF),
    "amharic": (0x1200, 0x135A), "cherokee": (0x13A0, 0x13F5), "khmer": (0x1780, 0x17E9),
    "hiragana": (0x3041, 0x3096), "katakana": (0x30A1, 0x30FA), "han": (0x4E00, 0x9FCC), "hangul": (0xAC00, 0xD7A3),
    "gothic": (0x10330, 0x1034A), "han beyond": (0x20000, 0x2A6D6),
}
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'LL", "\u2019s", "'", "''", "'x",
                "'re'"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\u00a0", "\u3000", "\u2028", "\u200b",
          "\u2003 ", "          ", "\t\t ", "\v", "\f", "\u0085", "\u202f"]
CODE = ["for (int i = 0; i < n; ++i) {", "x[i] += w * 0.5f;", "def f(x):\n    return x**2", "a->b()",
        "#include <v>", "if __name__ == \"__main__\":", "</div>", "{\"key\": [1, null]}", "0xFF", "1e-9", "// why",
        "<<", "!=", "\\u00e9", "snake_case_name", "camelCaseName", "https://", "$HOME/.x", "@@ -1,2 +3,4 @@", "|---|",
        "...", "--no-run"]
# Among them a family, a flag, a rainbow and a key: several code points that make one picture.
EMOJI = ["\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f469\u200d\U0001f467",
         "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3", "\u2713",
         "\u2192", "\u20ac", "\u00bd", "\u2167", "\u00b2"]
PUNCTUATION = list(".,;:!?-()[]\"/&%*+=~^_`|<>{}#") + list("\u3002\u060c\u00bf\u00ab\u2014\u2026\u0964")
DIGITS = ["0123456789", "\u0660\u0661\u0662\u0663\u0664", "\u0966\u0967\u0968\u0969", "\uff10\uff11\uff12",
          "\u0e51\u0e52\u0e53"]


def alphabet_of(first, last):
    wanted = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"}
    return [chr(c) for c in range(first, last + 1) if unicodedata.category(chr(c)) in wanted]


ALPHABETS = [alphabet_of(*ends) for ends in SCRIPTS.values()]


def word(source):
    alphabet = source.choice(ALPHABETS)
    few = [source.choice(alphabet) for _ in range(source.randint(1, 9))]
    if source.random() < 0.1:
        few.append(chr(source.choice([0x300, 0x301, 0x308, 0x323, 0x327])))  # a mark that combines
    return "".join(few)


def number(source):
    digits = source.choice(DIGITS) if source.random() < 0.3 else DIGITS[0]
    text = "".join(source.choice(digits) for _ in range(source.randint(1, 7)))
    return text + source.choice(["", "", ".5", ",000", "%", "th"])


def anything(source):
    """Any assigned character that is no surrogate."""
    while True:
        c = chr(source.randrange(0x110000))
        if unicodedata.category(c) not in ("Cn", "Cs", "Co"):
            return c


PARTS = [(10, word), (3, number), (2, lambda s: s.choice(CODE)), (2, lambda s: s.choice(EMOJI)),
         (3, lambda s: s.choice(PUNCTUATION)), (2, lambda s: word(s) + s.choice(CONTRACTIONS)),
         (1, lambda s: s.choice(PUNCTUATION) * s.randint(2, 5)), (1, anything)]


def line(source):
    weights = [weight for weight, _ in PARTS]
    parts = []
    for _ in range(source.randint(1, 12)):
        parts.append(source.choices(PARTS, weights)[0][1](source))
        parts.append(" " if source.random() < 0.7 else source.choice(SPACES + [""] * 8))
    return "".join(parts[:-1] if source.random() < 0.8 else parts)


def multilingual_lines(count, seed=1):
    source = random.Random(seed)
    return [line(source) for _ in range(count)]


def likelier_first(source, words):
    """Each twice as likely as the next: what is likeliest is no matter of rounding."""
    return source.choices(words, [2.0 ** -i for i in range(len(words))])[0]


def story(source):
    """A sentence of which something can be learned."""
    who = likelier_first(source, ["the cat", "the old dog", "a fox", "Mara", "der B\u00e4r", "\u043a\u043e\u0442",
                                  "\u732b"])
    does = likelier_first(source, ["saw", "followed", "didn't like", "waited for", "found"])
    what = likelier_first(source, ["the moon", "a red boat", "3 stones", "the quiet sea", "nobody"])
    return "%s %s %s, and then it %s. " % (who, does, what, likelier_first(source, ["slept", "ran home", "sang"]))


def stories(count, seed=2):
    source = random.Random(seed)
    return "".join(story(source) for _ in range(count))
