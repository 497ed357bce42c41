"""`tinygpt train` as a user meets it: killed, interrupted, resumed, told nonsense, out of disk."""
import json
import os
import random
import resource
import shutil
import signal
import struct
import time
import unittest

from program import ProgramTest, newest

SHAPE = ["--config", "nano-cpu", "--layers", 2, "--heads", 2, "--width", 32, "--context", 32]
STEPS = ["--batch", 4, "--steps", 50, "--eval-every", 10, "--eval-tokens", 256, "--log-every", 1,
         "--threads", 1]
STATE = ["model.safetensors", "optimizer-m.safetensors", "optimizer-v.safetensors"]


def file_size_limit(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


class TrainCommandTest(ProgramTest):
    def words(self, *more, out="model"):
        return ["train", "--data", self.corpus, "--out", out] + SHAPE + STEPS + list(more)

    def state(self, folder, step):
        checkpoint = "step-%06d" % step
        return [self.read(folder, "checkpoints", checkpoint, name) for name in STATE]

    def losses(self, folder):
        """(step, loss, validation loss) of every line; fails where a step appears twice."""
        lines = [line for line in self.lines(folder, "log.jsonl") if "step" in line]
        steps = [line["step"] for line in lines]
        self.assertEqual(steps, sorted(set(steps)), "a step appears twice in the log")
        return [(line["step"], line["loss"], line.get("validation_loss")) for line in lines]

    def run_until_killed(self, words, lines, seconds):
        """Kills a training some time after it has logged that many lines; whether that came in time."""
        process = self.start(*words, "--json")
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        _, err = self.finish(process)
        self.assertIn(process.returncode, (0, -signal.SIGKILL), err)
        return process.returncode != 0

    def test_a_training_killed_again_and_again_ends_as_if_it_had_not_been(self):
        words = ["--dropout", 0.1, "--accumulate", 4]
        self.succeed(*self.words(*words, out="whole"))
        seed = int(os.environ.get("TINYGPT_TEST_SEED", "1"))
        chance = random.Random(seed)
        kills = resumed = 0
        # Where the machine is too slow to kill it often before its end, it is trained once more.
        for attempt in range(20):
            out = "killed-%d" % attempt
            ended = False
            while not ended:
                resume = os.path.exists(self.path(out, "log.jsonl"))
                resumed += newest(self.path(out)) > 0
                ended = not self.run_until_killed(
                    self.words(*words, "--checkpoint-every", 2, *["--resume"] * resume, out=out),
                    chance.choice([0, 0, 1, 2, 3, 5, 10]), chance.uniform(0.0, 0.03))
                kills += not ended
            self.compare_trainings(out, "whole", "seed %d" % seed)
            if kills >= 6 and resumed >= 4:
                return
        self.fail("%d kills and %d resumed trainings prove too little" % (kills, resumed))

    def compare_trainings(self, one, other, message):
        self.assertEqual(self.state(one, 50), self.state(other, 50), message)
        self.assertEqual(self.losses(one), self.losses(other), message)
        self.assertEqual([loss[0] for loss in self.losses(one)], list(range(1, 51)))
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            self.assertEqual(self.read(one, name), self.read(other, name), message)
        self.assertEqual(sorted(os.listdir(self.path(one, "checkpoints")))[-1], "step-000050")

    def test_interrupted_at_any_moment_it_saves_and_says_how_to_go_on(self):
        words = self.words("--accumulate", 20)  # long enough for the signal to come before the end
        self.succeed(*words, "--out", "whole")
        for number in (signal.SIGINT, signal.SIGTERM):
            shutil.rmtree(self.path("model"), ignore_errors=True)
            process = self.start(*words, "--json")
            for line in process.stdout:
                if json.loads(line).get("step", 0) >= 7:
                    break
            process.send_signal(number)
            _, err = self.finish(process)
            self.assertEqual(process.returncode, 130, err)
            self.assertIn("--resume", err)
            step = newest(self.path("model"))
            self.assertGreaterEqual(step, 7)
            self.assertLess(step, 50)
            self.assertIn("after step %d" % step, err)
            self.succeed(*words, "--resume")
            self.assertEqual(self.state("model", 50), self.state("whole", 50))
            self.assertEqual(self.losses("model"), self.losses("whole"))

    def test_a_second_interrupt_ends_it_at_once(self):
        for attempt in range(10):
            # A step of minutes, at whose end the first interrupt would count.
            process = self.start(*self.words("--json", "--accumulate", 1000000))
            process.stdout.readline()  # the log's first line: it listens for interrupts now
            time.sleep(0.2 * (attempt + 1))
            while process.poll() is None:  # two that come at once count as one
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            _, err = self.finish(process)
            self.assertEqual(process.returncode, 130)
            self.assertEqual(newest(self.path("model")), 0)
            if err == "":
                return
            # The first one came before the step had begun: no second one was needed.
            self.assertIn("after step 0", err)
            shutil.rmtree(self.path("model"))
        self.fail("no interrupt came during a step")

    def test_options_that_cannot_be_are_refused_and_nothing_is_written(self):
        base = ["train", "--data", self.corpus, "--out", "model"]
        cases = [
            (["--steps", "0"], "--steps"), (["--steps", "-5"], "--steps"),
            (["--steps", "many"], "--steps"), (["--steps", "1e3"], "--steps"),
            (["--steps", "99999999999999"], "--steps"), (["--batch", "0"], "--batch"),
            (["--batch", "1048577"], "--batch"), (["--batch", "1000000"], "memory"),
            (["--accumulate", "0"], "--accumulate"), (["--lr", "-1"], "--lr"),
            (["--lr", "nan"], "--lr"), (["--lr", "inf"], "--lr"), (["--min-lr", "5"], "--min-lr"),
            (["--warmup", "-1"], "--warmup"), (["--steps", "10", "--warmup", "11"], "--warmup"),
            (["--beta1", "1"], "--beta1"), (["--beta2", "2"], "--beta2"),
            (["--weight-decay", "-0.1"], "--weight-decay"), (["--clip", "-1"], "--clip"),
            (["--seed", "-1"], "--seed"), (["--seed", "1.5"], "--seed"),
            (["--seed", "18446744073709551616"], "--seed"), (["--seed", ""], "--seed"),
            (["--eval-every", "0"], "--eval-every"),
            (["--eval-tokens", "0"], "--eval-tokens"), (["--eval-context", "300"], "--eval-context"),
            (["--time", "0"], "--time"), (["--time", "257"], "--time"),
            (["--checkpoint-every", "0"], "--checkpoint-every"),
            (["--log-every", "0"], "--log-every"), (["--samples", "-1"], "--samples"),
            (["--max-minutes", "-1"], "--max-minutes"), (["--max-minutes", "nan"], "--max-minutes"),
            (["--layers", "0"], "layers"), (["--layers", "-3"], "layers"),
            (["--heads", "7"], "heads"), (["--heads", "0"], "heads"), (["--kv-heads", "2"], "kv_heads"),
            (["--width", "0"], "width"), (["--width", "2147483647"], "width"),
            (["--hidden", "-1"], "hidden"), (["--context", "0"], "context"),
            (["--dropout", "1"], "dropout"), (["--dropout", "nan"], "dropout"),
            (["--family", "bert"], "--family"), (["--config", "huge"], "huge"),
            (["--preset", "best"], "--preset"), (["--kernels", "fast"], "fast"),
            (["--kernels", "cpu,softmax"], "softmax"), (["--threads", "-1"], "--threads"),
            (["--threads", "5000"], "--threads"), (["--device", "tpu"], "tpu"),
            (["--matmul-precision", "half"], "--matmul-precision"),
            (["--matmul-precision", "bf16", "--dtype", "bf16", "--device", "emulated"], "--matmul-precision"),
            (["--matmul-precision", "bf16", "--device", "emulated"], "--dtype bf16"),
            (["--matmul-precision", "bf16", "--kernels", "ref"], "--kernels ref"),
            (["--matmul-precision", "bf16", "--kernels", "cpu,linear=ref"], "linear=ref"),
            (["--dtype", "half"], "--dtype"), (["--dtype", "bf16", "--device", "cpu"], "--dtype bf16"),
            (["--resume", "--overwrite"], "--overwrite"), (["--resume"], "--resume"),
            (["--what"], "--what"), (["more"], "more"), (["--steps"], "--steps"),
        ]
        for words, naming in cases:
            self.refuse(*base, *words, naming=naming)
            self.assertEqual(os.listdir(self.folder), [], words)
        self.refuse("train", "--data", "nowhere", "--out", "model", naming="nowhere")
        self.refuse(naming="subcommand")
        self.assertEqual(os.listdir(self.folder), [])

    def test_corpora_that_cannot_be_are_refused_and_nothing_is_written(self):
        def broken(name, content):
            folder = self.path("corpus")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.corpus, folder)
            if content is None:
                os.remove(os.path.join(folder, name))
            else:
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
            return ["train", "--data", folder, "--out", "model"] + SHAPE + STEPS

        def tokens(values):
            header = "{'descr': '<u2', 'fortran_order': False, 'shape': (%d,), }" % len(values)
            header = header.ljust(117) + "\n"
            return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                    struct.pack("<%dH" % len(values), *values))

        for name in ("train.npy", "validation.npy", "tokenizer.json", "corpus.json"):
            self.refuse(*broken(name, None), naming=name)
            self.refuse(*broken(name, b""), naming=name)
            self.refuse(*broken(name, b"\x00\xff nonsense"), naming=name)
        for name in ("train.npy", "validation.npy"):
            self.refuse(*broken(name, tokens([1] * 32)), naming=name)  # one too few for a window
            self.refuse(*broken(name, tokens([1] * 100 + [60000])), naming=name)
        self.assertEqual(os.listdir(self.folder), ["corpus"])
        words = broken("train.npy", tokens([1] * 33))
        self.succeed(*words)

    def test_a_model_that_is_there_is_neither_overwritten_nor_mixed_up(self):
        short = ["--steps", 4, "--checkpoint-every", 2]
        self.succeed(*self.words(*short))
        before = self.read("model", "model.safetensors")
        log = self.read("model", "log.jsonl")
        self.refuse(*self.words(*short), naming="--overwrite")
        for words, naming in [
            (["--layers", 3], "--layers"), (["--width", 64], "--width"), (["--heads", 4], "--heads"),
            (["--context", 64], "--context"), (["--family", "llama"], "--family"),
            (["--config", "gpt2-124m"], "--layers"), (["--config", "demo"], "--family"),
            (["--dropout", 0.5], "--dropout"), (["--untied"], "--untied"),
            (["--lr", 0.5], "--lr"), (["--batch", 5], "--batch"), (["--seed", 9], "--seed"),
            (["--clip", 2], "--clip"), (["--steps", 3], "--steps"), (["--time", 16], "--time"),
        ]:
            self.refuse("train", "--out", "model", "--resume", *words, naming=naming)
        other = self.path("other")
        text = self.path("other.txt")
        with open(text, "w", encoding="utf-8") as file:
            file.write("another text altogether " * 100)
        self.succeed("data", text, "--out", other, "--tokenizer", "byte")
        self.refuse("train", "--out", "model", "--resume", "--data", other, naming=other)
        self.assertEqual(self.read("model", "model.safetensors"), before)
        self.assertEqual(self.read("model", "log.jsonl"), log)
        # Everything that is not said again is as it was.
        self.succeed("train", "--out", "model", "--resume", "--steps", 8)
        self.assertEqual(newest(self.path("model")), 8)
        self.succeed(*self.words(*short, "--overwrite", "--seed", 2))
        self.assertEqual(newest(self.path("model")), 4)
        self.assertNotEqual(self.read("model", "model.safetensors"), before)
        self.assertEqual([loss[0] for loss in self.losses("model")], [1, 2, 3, 4])

    def test_a_full_disk_leaves_the_old_checkpoint_whole(self):
        self.succeed(*self.words("--steps", 4))
        shutil.copytree(self.path("model"), self.path("twin"))
        size = os.path.getsize(self.path("model", "model.safetensors"))
        for limit in (size // 2, size - 1, 3000):
            self.refuse(*self.words("--resume", "--steps", 8), naming="model", begun=True,
                        preexec_fn=file_size_limit(limit))
            self.assertEqual(self.state("model", 4), self.state("twin", 4))
            self.assertEqual(os.listdir(self.path("model", "checkpoints")), ["step-000004"])
            for name in ("model.safetensors", "config.json", "tokenizer.json"):
                self.assertEqual(self.read("model", name), self.read("twin", name))
        self.succeed(*self.words("--resume", "--steps", 8))
        self.succeed(*self.words("--resume", "--steps", 8, out="twin"))
        self.assertEqual(self.state("model", 8), self.state("twin", 8))
        self.assertEqual(self.losses("model"), self.losses("twin"))

    def test_a_folder_that_cannot_be_written_is_refused(self):
        with open(self.path("file"), "w", encoding="utf-8") as file:
            file.write("mine")
        self.refuse(*self.words(out="file"), naming="file")
        self.assertEqual(self.read("file"), b"mine")

    def test_a_training_that_diverges_stops_and_keeps_its_checkpoint(self):
        self.succeed(*self.words("--steps", 4))
        checkpoint = self.path("model", "checkpoints", "step-000004")
        weights = os.path.join(checkpoint, "model.safetensors")
        with open(weights, "r+b") as file:
            header = 8 + struct.unpack("<Q", file.read(8))[0]
            count = (os.path.getsize(weights) - header) // 4
            file.seek(header)
            file.write(struct.pack("<f", 3e38) * count)  # finite, but no sum of two is
        before = self.state("model", 4)
        self.refuse(*self.words("--resume", "--steps", 8), naming="diverged", begun=True)
        self.assertEqual(self.state("model", 4), before)
        self.assertEqual(os.listdir(self.path("model", "checkpoints")), ["step-000004"])

    def test_output_is_plain_where_it_is_no_terminal(self):
        out = self.succeed(*self.words("--samples", 3, "--steps", 20))
        self.assert_plain(out)
        self.assertEqual(out.count("it writes:"), 3)
        self.assertIn("validation", out)

    def test_json_output_is_json_alone(self):
        out = self.succeed(*self.words("--samples", 2, "--steps", 20, "--json"))
        lines = [json.loads(line) for line in out.splitlines()]
        events = [line.get("event", "step") for line in lines]
        self.assertEqual(events[0], "start")
        self.assertEqual(events[-1], "done")
        self.assertEqual(events.count("sample"), 2)
        self.assertEqual(events.count("step"), 20)
        logged = self.lines("model", "log.jsonl")
        self.assertEqual([line for line in lines if line.get("event") not in ("sample", "done")],
                         logged)
        for line in logged[1:]:
            for field in ("step", "loss", "lr", "grad_norm", "tokens_per_second", "elapsed_s"):
                self.assertIn(field, line)

    def test_the_log_names_the_floor_of_a_corpus_that_has_one(self):
        self.succeed("data", "tinytales", "--stories", 50, "--tokenizer", "byte", "--out", "tales")
        self.succeed(*self.words("--data", self.path("tales"), "--steps", 1, "--samples", 0))
        self.assertGreater(self.lines("model", "log.jsonl")[0]["floor_nats_per_byte"], 0.05)
        self.succeed(*self.words("--steps", 1, "--samples", 0, out="plain"))
        self.assertNotIn("floor_nats_per_byte", self.lines("plain", "log.jsonl")[0])

    def test_a_time_limit_chooses_fewer_steps_and_a_resumed_run_keeps_to_them(self):
        process = self.start(*self.words("--steps", 1000000, "--max-minutes", 0.03, "--json",
                                         "--checkpoint-every", 20))
        first = json.loads(process.stdout.readline())
        steps = first["settings"]["steps"]
        self.assertLess(steps, 1000000)
        self.assertGreaterEqual(steps, 10)
        for line in process.stdout:
            if json.loads(line).get("step", 0) >= 5:
                break
        process.send_signal(signal.SIGINT)
        self.finish(process)
        self.succeed(*self.words("--steps", 1000000, "--max-minutes", 0.03, "--resume"))
        self.assertEqual(newest(self.path("model")), steps)

    def test_kernels_can_be_chosen_and_mixed(self):
        losses = []
        for kernels in ("cpu", "ref", "cpu,softmax=ref,attention=ref"):
            self.succeed(*self.words("--steps", 5, "--overwrite", "--kernels", kernels))
            losses.append([loss[1] for loss in self.losses("model")])
        for other in losses[1:]:
            for a, b in zip(losses[0], other):
                self.assertAlmostEqual(a, b, delta=1e-4)

    def test_products_of_bf16_train_nearly_as_float_and_a_resumed_training_keeps_them(self):
        long = ["--device", "cpu", "--accumulate", 20]  # enough for the signal to come before the end
        bf16 = long + ["--matmul-precision", "bf16", "--checkpoint-every", 10]
        self.succeed(*self.words(*long, out="float"))
        self.assertIn("products of bf16", self.succeed(*self.words(*bf16, out="whole")))
        for expected, found in zip(self.losses("float"), self.losses("whole")):
            self.assertNotEqual(expected[1], found[1])
            self.assertAlmostEqual(expected[1], found[1], delta=0.01 * expected[1])
        start = self.lines("whole", "log.jsonl")[0]
        self.assertEqual(start["settings"]["matmul_precision"], "bf16")
        # Stopped on the way, by fewer steps, then asked to go on as something else, then as it was.
        process = self.start(*self.words(*bf16, "--json", out="part"))
        for line in process.stdout:
            if json.loads(line).get("step", 0) >= 11:
                break
        process.send_signal(signal.SIGINT)
        self.finish(process)
        self.refuse(*self.words("--resume", "--matmul-precision", "float", out="part"), naming="--matmul-precision")
        self.succeed(*self.words(*long, "--resume", out="part"))
        self.assertEqual(self.state("part", 50), self.state("whole", 50))

    @unittest.skipIf("address" in os.environ.get("TINYGPT_TEST_SANITIZE", ""), "AddressSanitizer does not know fibers")
    def test_an_emulated_gpu_trains_resumes_and_writes_as_the_cpu_does(self):
        few = ["--steps", 4, "--eval-every", 2, "--eval-tokens", 64]
        self.succeed(*self.words(*few, out="cpu"))
        self.succeed(*self.words(*few, "--checkpoint-every", 2, "--device", "emulated", out="gpu"))
        start = self.lines("gpu", "log.jsonl")[0]
        self.assertEqual((start["device"], start["kernels"]), ("emulated", "cuda"))
        self.assertIn(self.lines("cpu", "log.jsonl")[0]["device"], ("cpu", "cuda"))  # what auto takes
        for expected, found in zip(self.losses("cpu"), self.losses("gpu")):
            self.assertEqual(expected[0], found[0])
            self.assertAlmostEqual(expected[1], found[1], delta=1e-4)
        # Without --device it goes on where it was; another device goes on from the same files.
        self.assertIn("emulated", self.succeed(*self.words("--steps", 5, "--resume", out="gpu")))
        self.succeed(*self.words("--steps", 6, "--resume", "--device", "cpu", out="gpu"))
        texts = [self.succeed("generate", "--model", "gpu", "--prompt", "the", "--max-tokens", 8,
                              "--temperature", 0, "--device", device) for device in ("cpu", "emulated")]
        self.assertEqual(texts[0], texts[1])
        # In bf16 the losses are others, though not much, and a checkpoint says so.
        self.succeed(*self.words(*few, "--device", "emulated", "--dtype", "bf16", out="bf16"))
        for expected, found in zip(self.losses("cpu"), self.losses("bf16")):
            self.assertNotEqual(expected[1], found[1])
            self.assertAlmostEqual(expected[1], found[1], delta=0.02 * expected[1])
        self.assertIn("bf16", self.succeed(*self.words("--steps", 5, "--resume", out="bf16")))
        self.refuse(*self.words("--steps", 6, "--resume", "--dtype", "float", out="bf16"), naming="--dtype", begun=True)

    def test_info_says_what_a_gpu_can_train(self):
        batches = json.loads(self.succeed("info", "--config", "gpt2-124m", "--json"))["largest_gpu_batch"]
        self.assertEqual([row["gib"] for row in batches], [4, 8, 12, 16, 24])
        for smaller, row in zip(batches, batches[1:]):
            self.assertLess(smaller["float"], row["float"])
            self.assertLess(row["float"], row["bf16"])
        self.assertIn("does not fit", self.succeed("info", "--config", "gpt2-1558m"))


if __name__ == "__main__":
    unittest.main()
