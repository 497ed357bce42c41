"""How long each stage took."""
import contextlib
import time

from course.terminal import duration, paint, say


class Times:
    def __init__(self):
        self.stages = []  # (name, seconds), in order

    @contextlib.contextmanager
    def stage(self, name):
        begin = time.monotonic()
        try:
            yield
        finally:
            self.stages.append((name, time.monotonic() - begin))

    def show(self):
        """One line; stages of the same name are added up."""
        sums = {}
        for name, seconds in self.stages:
            sums[name] = sums.get(name, 0.0) + seconds
        parts = ["%s %s" % (name, duration(seconds)) for name, seconds in sums.items()]
        parts.append("total " + duration(sum(sums.values())))
        say("\n" + paint("Time: " + " · ".join(parts), "dim"))
