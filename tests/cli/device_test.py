"""--device as a user meets it: `auto` without a GPU, bf16 on the processor, and a device that is too small."""
import json
import os
import subprocess
import sys
import unittest

import program
from program import ProgramTest

SHAPE = ["--config", "gpt2-demo", "--layers", 1, "--heads", 2, "--width", 32, "--hidden", 64, "--context", 32]
STEPS = ["--batch", 2, "--steps", 2, "--eval-tokens", 64, "--last-eval-tokens", 64, "--log-every", 1, "--json"]
EMULATED = "address" not in os.environ.get("TINYGPT_TEST_SANITIZE", "")  # it does not know the emulator's fibers


def has_gpu():
    """Whether the program can use a GPU: where it can, auto is another device."""
    done = subprocess.run([program.PROGRAM, "info", "--config", "demo", "--device", "cuda"], capture_output=True)
    return done.returncode == 0


def small_device(mib):
    return dict(os.environ, TINYGPT_EMULATED_MEMORY_MIB=str(mib))


class DeviceTest(ProgramTest):
    def words(self, *more, out="model"):
        return ["train", "--data", self.corpus, "--out", out] + SHAPE + STEPS + list(more)

    @unittest.skipIf(has_gpu(), "auto is the GPU here")
    def test_auto_without_a_gpu_is_the_processor_and_never_the_emulator(self):
        said = [json.loads(line) for line in self.succeed(*self.words("--device", "auto")).splitlines()]
        self.assertEqual({line["device"] for line in said if "device" in line}, {"cpu"})
        self.succeed("generate", "--model", "model", "--max-tokens", 3, "--device", "auto")
        # Kernels that only a GPU or the emulator has are refused, and not emulated.
        for kernels in ("cuda", "ref_cuda"):
            error = self.refuse(*self.words("--device", "auto", "--kernels", kernels, out="other"), naming=kernels)
            self.assertNotIn("emulated", error)
            self.assertFalse(os.path.exists(self.path("other")))
        self.refuse(*self.words("--device", "auto", "--dtype", "bf16", out="other"), naming="--dtype bf16")
        self.refuse("bench", "--device", "auto", "--dtype", "bf16", "--only", "attention", "--python", "none",
                    naming="--dtype bf16")

    @unittest.skipIf(has_gpu(), "there is a GPU here")
    def test_cuda_without_a_gpu_says_what_there_is_instead(self):
        self.refuse(*self.words("--device", "cuda"), naming="--device cpu")

    @unittest.skipUnless(EMULATED, "no emulator under AddressSanitizer")
    def test_a_training_that_does_not_fit_the_device_says_which_setting_to_change(self):
        large = ["--batch", 64, "--context", 256, "--width", 128]
        for dtype in ("float", "bf16"):
            error = self.refuse(*self.words("--device", "emulated", "--dtype", dtype, *large),
                                naming="choose a smaller --batch", environment=small_device(4))
            self.assertIn("--context", error)
            self.assertIn("0.00419", error)  # 4 MiB
        self.assertFalse(os.path.exists(self.path("model")))
        self.succeed(*self.words("--device", "emulated"), environment=small_device(64))

    @unittest.skipUnless(EMULATED, "no emulator under AddressSanitizer")
    def test_a_model_that_does_not_fit_the_device_says_so_before_it_writes(self):
        self.succeed(*self.words("--width", 256, "--hidden", 1024))
        words = ["generate", "--model", "model", "--max-tokens", 3, "--device", "emulated"]
        error = self.refuse(*words, naming="choose a smaller model", environment=small_device(1))
        self.assertIn("--max-tokens", error)
        self.assertNotIn("--batch", error)

    @unittest.skipUnless(EMULATED, "no emulator under AddressSanitizer")
    def test_settings_of_the_emulated_device_are_checked(self):
        for name, value in (("TINYGPT_EMULATED_MEMORY_MIB", "much"), ("TINYGPT_EMULATED_MEMORY_MIB", "0"),
                            ("TINYGPT_EMULATED_CAPABILITY", "9.9")):
            self.refuse(*self.words("--device", "emulated", "--dtype", "bf16"), naming=name,
                        begun=True, environment=dict(os.environ, **{name: value}))


if __name__ == "__main__":
    unittest.main()
