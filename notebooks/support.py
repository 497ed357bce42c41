"""What the notebooks share: colours, a small model that has read stories, and texts cut into tokens."""
import contextlib
import fcntl
import os
import re

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

import tinygpt

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Okabe and Ito's colours, which colour-blind readers tell apart: blue, vermilion, green, purple, ochre (much darker, to
# be none of the others where reds are not seen), sky, and a grey for what is not measured.
BLUE, RED, GREEN, PURPLE, OCHRE, SKY, GREY = ("#0072b2", "#d55e00", "#009e73", "#b4538a", "#6b5300", "#56b4e9",
                                              "#59636e")
COLOURS = [BLUE, RED, GREEN, PURPLE, OCHRE, SKY, GREY]
# White to blue, for shares; vermilion over white to blue, for values of both signs.
SHARES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#9ecae8", BLUE, "#00304d"])
SIGNS = LinearSegmentedColormap.from_list("signs", ["#8a3d00", RED, "#ffffff", BLUE, "#00304d"])

# Lines differ in their dashes, too: printed in grey, several of these colours are one.
DASHES = ["-", (0, (7, 1.5)), (0, (1.5, 1.2)), (0, (7, 1.5, 1.5, 1.5)), (0, (3, 1.5)), "-", "-"]

plt.rcParams.update({
    "axes.prop_cycle": plt.cycler(color=COLOURS, linestyle=DASHES), "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlelocation": "left", "axes.titlesize": 11, "axes.labelsize": 10,
    "font.size": 10, "legend.frameon": False, "legend.handlelength": 2.6, "figure.figsize": (8, 3.6),
    "figure.dpi": 96, "figure.constrained_layout.use": True})


@contextlib.contextmanager
def alone(name):
    """Notebooks that run side by side make what they share once."""
    os.makedirs(os.path.join(ROOT, "models"), exist_ok=True)
    with open(os.path.join(ROOT, "models", "." + name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stories_corpus():
    """4,000 tinytales with a vocabulary of 1,024 tokens, in data/notebooks. Made once."""
    folder = os.path.join(ROOT, "data", "notebooks")
    with alone("notebooks-corpus"):
        if not os.path.exists(os.path.join(folder, "corpus.json")):
            tinygpt.Corpus.prepare_tinytales(folder, stories=4000, vocab_size=1024)
    return tinygpt.Corpus(folder)


def new_model(corpus, **fields):
    """A small LLaMA for this corpus, not trained yet."""
    shape = dict(family="llama", layers=4, heads=4, kv_heads=4, width=96, hidden=256, context_length=128, init_std=0.06)
    shape.update(fields)
    model = tinygpt.Model(tinygpt.Config(vocab_size=len(corpus.tokenizer), eos_token=end_of(corpus), **shape))
    model.tokenizer = corpus.tokenizer
    return model


def trainer_for(model, corpus, **settings):
    """How the notebooks train: windows begin where a story does."""
    options = dict(batch=8, time=128, lr=4e-3, warmup=20, documents=True, eval_tokens=8192)
    options.update(settings)
    return tinygpt.Trainer(model, corpus, **options)


def end_of(corpus):
    return corpus.tokenizer.special_tokens["<|endoftext|>"]


def stories_model():
    """A small model that has read stories for half a minute, from models/notebooks. Trained once."""
    folder = os.path.join(ROOT, "models", "notebooks")
    corpus = stories_corpus()
    with alone("notebooks-model"):
        if not os.path.exists(os.path.join(folder, "model.safetensors")):
            model = new_model(corpus)
            trainer_for(model, corpus, steps=300).run()
            model.save(folder)
    return tinygpt.Model.load(folder)


def with_start(model, text):
    """The token that a story begins behind, and the text's tokens."""
    return np.concatenate([[model.config.eos_token], model.tokenizer.encode(text)]).astype(np.int32)


def shown(piece):
    """A token's bytes as a label: spaces and line ends visible, bytes that are no whole character as ‹ce›."""
    text = piece.decode(errors="backslashreplace")
    text = re.sub(r"((?:\\x[0-9a-f]{2})+)", lambda found: "‹" + found[1].replace("\\x", " ").strip() + "›", text)
    return text.replace(" ", "␣").replace("\n", "⏎").replace("<|endoftext|>", "start")


def labels(model, tokens):
    return [shown(model.tokenizer.token_bytes(int(token))) for token in tokens]


def _crosses(box, points):
    left, low, right, high = box
    return any(left < x < right and low < y < high for x, y in points)


def _places(x, y, width, height):
    """Boxes of this size around a point, in pixels, the nearest first; and the line from the point to each."""
    for away in range(0, 240, 8):
        for angle in np.arange(24) * np.pi / 12:
            middle = np.array([x + np.cos(angle) * (7 + away + width / 2), y + np.sin(angle) * (13 + away)])
            box = (*(middle - (width / 2, height / 2)), *(middle + (width / 2, height / 2)))
            end = np.clip(x, box[0], box[2]), np.clip(y, box[1], box[3])
            yield box, middle, np.linspace((x, y), end, 12)


def label_points(axis, points, names, colours):
    """Each label where the picture is free, as near to its point as that goes, at the end of a line where that is far.
    The axes' limits must be final."""
    axis.figure.canvas.draw()  # and so is the layout
    places, frame = axis.transData.transform(points), axis.get_window_extent()
    taken, texts, lines = [(x - 5, y - 5, x + 5, y + 5) for x, y in places], [], []
    pixel = 72 / axis.figure.dpi

    def free(box, line):
        inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1] and box[3] <= frame.y1
        apart = all(box[2] <= b[0] or b[2] <= box[0] or box[3] <= b[1] or b[3] <= box[1] for b in taken + texts)
        return inside and apart and not any(_crosses(b, line) for b in texts) and not _crosses(box, lines)

    for (x, y), point, name, colour in zip(places, points, names, colours):
        choices = list(_places(x, y, 7.2 * len(name) + 4, 15))
        box, middle, line = next((choice for choice in choices if free(*choice[::2])), choices[0])
        texts.append(box)
        far = np.hypot(*(line[-1] - line[0])) > 12
        lines += list(line) if far else []
        axis.annotate(name, point, xytext=(middle - (x, y)) * pixel, textcoords="offset points", ha="center",
                      va="center", fontsize=9, color=colour)
        if far:
            axis.annotate("", point, xytext=(line[-1] - line[0]) * pixel, textcoords="offset points",
                          arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6, "shrinkA": 0, "shrinkB": 3})
