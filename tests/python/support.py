"""What the module's tests share."""
import os
import shutil
import sys
import tempfile
import unittest

try:
    import numpy
except ImportError:
    print("skipped: NumPy is not installed (apt: sudo apt-get install python3-numpy)")
    sys.exit(77)

import tinygpt

INTEROP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "interop")
END = "<|endoftext|>"


class FolderTest(unittest.TestCase):
    def setUp(self):
        tinygpt.set_threads(1)
        self.folder = tempfile.mkdtemp(prefix="tinygpt-python-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)


def small_config(tokenizer, **fields):
    shape = dict(family="llama", layers=2, heads=2, kv_heads=2, width=32, hidden=64, context_length=48, init_std=0.1)
    shape.update(fields)
    return tinygpt.Config(vocab_size=len(tokenizer), eos_token=tokenizer.special_tokens.get(END, -1), **shape)


def shape_of(array):
    return tuple(numpy.shape(array))
