"""The figures of lesson 00."""
from drawing import Drawing, course_map, output_folder


def loop_figure(folder):
    d = Drawing(640, 120, "Read, write, check: the learner's loop")
    words = (("read", "lessons/NN"), ("write", "exercises/NN/..."), ("check", "./course check NN"),
             ("compare", "./course diff NN.1"))
    for i, (name, what) in enumerate(words):
        d.box(12 + 158 * i, 24, 138, 54, name + "\n" + what, "fill" if i in (1, 2) else "soft", size=12, bold=True)
        if i < 3:
            d.arrow(152 + 158 * i, 51, 168 + 158 * i, 51)
    d.line(397, 80, 397, 102, "dim", 1.6)
    d.line(397, 102, 239, 102, "dim", 1.6)
    d.arrow(239, 102, 239, 80)
    d.text(318, 96, "until it says: passed", 12, "dim", "middle")
    d.save(folder, "loop")


def grid_figure(folder):
    d = Drawing(640, 170, "Ten elements, three blocks of four threads: two threads have no element")
    for block in range(3):
        x = 20 + 204 * block
        d.rect(x - 6, 34, 196, 56, "soft", "line")
        d.text(x + 92, 26, "block %d" % block, 13, "ink", "middle", bold=True)
        for thread in range(4):
            i = 4 * block + thread
            cx = x + 46 * thread
            d.box(cx, 46, 40, 32, "%d" % thread, "fill" if i < 10 else "warm", size=13, mono=True)
            if i < 10:
                d.arrow(cx + 20, 92, cx + 20, 116, "accent")
                d.box(cx, 118, 40, 26, "x[%d]" % i, "page", size=12, mono=True)
            else:
                d.text(cx + 20, 134, "none", 12, "second", "middle")
    d.text(20, 164, "element = block x 4 + thread", 13, "dim")
    d.save(folder, "grid")


def worlds_figure(folder):
    d = Drawing(640, 150, "One source file, compiled for three worlds")
    d.box(10, 52, 140, 46, "first_steps.cu", "fill", size=14, mono=True)
    for i, (name, what) in enumerate((("nvcc", "runs on your GPU, if you have one"),
                                      ("emulator, run", "runs on the CPU, as fast as it can"),
                                      ("emulator, check", "runs on the CPU, every access watched"))):
        y = 8 + 48 * i
        d.arrow(152, 75, 202, y + 20)
        d.box(206, y, 140, 38, name, "green" if i == 2 else "soft", size=13, bold=True)
        d.text(358, y + 24, what, 13, "dim")
    d.save(folder, "worlds")


def promise_figure(folder):
    d = Drawing(640, 96, "The kernels that you write fill the table that the model calls")
    names = ("embedding", "linear", "softmax", "gelu", "attention", "norm", "adamw")
    for i, name in enumerate(names):
        d.box(10 + 89 * i, 10, 84, 34, name, "fill" if i in (0, 1, 2) else "soft", size=12)
    d.text(10, 66, "blue: yours, once they pass", 12, "accent")
    d.text(10, 86, "grey: the reference's, until you have written them", 12, "dim")
    d.text(630, 76, "./course train --mine", 14, "ink", "end", bold=True, mono=True)
    d.save(folder, "promise")


def contract_figure(folder):
    d = Drawing(640, 150, "axpy adds 3 x to what is there; scale puts 3 x in its place")
    x = (1.0, -2.0, 0.5, 4.0)
    for left, title, before, after in ((20, "y of axpy: accumulates", ["10.0"] * 4, ["%.1f" % (10 + 3 * v) for v in x]),
                                       (340, "y of scale: written", ["?"] * 4, ["%.1f" % (3 * v) for v in x])):
        d.text(left, 24, title, 13, "ink", bold=True)
        d.text(left, 58, "before", 12, "dim")
        d.text(left, 128, "after", 12, "dim")
        for i in range(4):
            at = left + 60 + 54 * i
            d.box(at, 38, 46, 32, before[i], "soft" if left < 100 else "warm", size=12, mono=True)
            d.arrow(at + 23, 72, at + 23, 104, "accent" if left < 100 else "second")
            d.box(at, 108, 46, 32, after[i], "fill", size=12, mono=True)
    d.save(folder, "contract")


def main():
    folder = output_folder()
    course_map(folder, 0, "first-steps")
    contract_figure(folder)
    loop_figure(folder)
    grid_figure(folder)
    worlds_figure(folder)
    promise_figure(folder)


main()
