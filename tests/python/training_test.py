"""Training step by step: callbacks, rates, other threads; and Ctrl-C in whatever takes long."""
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

from support import END, FolderTest, numpy, small_config, tinygpt


class TrainingTest(FolderTest):
    def setUp(self):
        super().setUp()
        self.corpus = tinygpt.Corpus.prepare_tinytales(self.path("tales"), stories=300, vocab_size=400)
        self.model = tinygpt.Model(small_config(self.corpus.tokenizer))
        self.model.tokenizer = self.corpus.tokenizer

    def trainer(self, **settings):
        options = dict(batch=4, time=32, steps=60, lr=3e-3, warmup=5, eval_tokens=512)
        options.update(settings)
        return tinygpt.Trainer(self.model, self.corpus, **options)

    def test_the_loss_comes_down_and_equal_trainings_are_equal(self):
        trainer = self.trainer()
        before = trainer.validate()
        steps = trainer.run()
        self.assertEqual([s.step for s in steps], list(range(1, 61)))
        self.assertEqual(trainer.steps_taken, 60)
        self.assertLess(trainer.validate(), before - 1)
        self.model = tinygpt.Model(small_config(self.corpus.tokenizer))
        self.assertEqual([s.loss for s in self.trainer().run()], [s.loss for s in steps])

    def test_a_callback_may_write_with_the_model_and_end_the_run(self):
        texts = []

        def look(step):
            texts.append(self.model.generate("Tom", 4, seed=step.step).text)
            return step.step < 3

        self.assertEqual(len(self.trainer().run(10, look)), 3)
        self.assertEqual(len(texts), 3)

    def test_writing_between_steps_changes_nothing(self):
        plain = [s.loss for s in self.trainer().run(5)]
        self.model = tinygpt.Model(small_config(self.corpus.tokenizer))
        trainer = self.trainer()
        watched = []
        for _ in range(5):
            watched.append(trainer.step().loss)
            self.model.trace([1, 2, 3])
            self.model.logits(numpy.zeros((2, 40), dtype=int))
        self.assertEqual(watched, plain)

    def test_a_rate_for_one_step(self):
        trainer = self.trainer()
        self.assertAlmostEqual(trainer.step(lr=0.5).lr, 0.5)
        self.assertAlmostEqual(trainer.step().lr, 3e-3 * 2 / 6, places=6)

    def test_a_callbacks_exception_arrives(self):
        def fail(_step):
            raise ZeroDivisionError("mine")

        trainer = self.trainer()
        self.assertRaisesRegex(ZeroDivisionError, "mine", trainer.run, 5, fail)
        self.assertEqual(trainer.steps_taken, 1)
        trainer.step()
        self.assertRaisesRegex(ZeroDivisionError, "mine", self.model.generate, [1], 5, on_token=fail)

    def test_a_trainer_keeps_what_it_trains_and_what_on(self):
        trainer = self.trainer()
        del self.model, self.corpus
        gc.collect()
        trainer.step()
        self.assertTrue(numpy.isfinite(trainer.model.logits(trainer.corpus.train[:8])).all())

    def test_other_threads_run_meanwhile_and_wait_for_the_model(self):
        trainer = self.trainer()
        ticks, logits, done = [], [], threading.Event()

        def tick():
            while not done.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.001)

        # Steps hold the model, so this one may have to wait until the training is over.
        threads = [threading.Thread(target=tick), threading.Thread(
            target=lambda: logits.append(self.model.logits([1, 2, 3])))]
        for thread in threads:
            thread.start()
        start = time.monotonic()
        trainer.run()
        end = time.monotonic()
        done.set()
        for thread in threads:
            thread.join()
        self.assertGreater(len([tick for tick in ticks if start < tick < end]), 2)
        self.assertEqual(len(logits), 1)

    def test_a_callback_cannot_run_the_model_that_is_calling_it(self):
        self.assertRaisesRegex(tinygpt.Error, "at work", self.model.generate, [1], 5,
                               on_token=lambda _id: self.model.logits([1]))

    def test_a_daemon_thread_may_train_while_the_program_ends(self):
        done = subprocess.run([sys.executable, "-c", DAEMON, self.path("tales")], stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


# Steps, texts with a callback, and stories, when the main thread comes to its end.
DAEMON = """
import sys, threading, time, tinygpt
tinygpt.set_threads(1)
corpus = tinygpt.Corpus(sys.argv[1])
def model():
    return tinygpt.Model(tinygpt.Config(layers=2, width=32, heads=2, kv_heads=2, hidden=64, context_length=48,
                                        vocab_size=len(corpus.tokenizer)))
trainer, writer = tinygpt.Trainer(model(), corpus, batch=4, time=32, steps=10**6), model()
for work in (lambda: trainer.run(callback=lambda step: True), lambda: tinygpt.stories(10**8),
             lambda: writer.generate([1], 10**6, stop_token=-1, on_token=lambda token: True)):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
assert trainer.steps_taken > 0
"""


class InterruptTest(FolderTest):
    """Ctrl-C by another thread, which can press it only while the work does without the GIL."""

    def setUp(self):
        super().setUp()
        self.tokenizer = tinygpt.Tokenizer.byte([END])
        documents = ["some words of a long text " * 400] * 60
        self.corpus = tinygpt.Corpus.write(self.path("text"), documents, self.tokenizer, validation=50)
        self.model = tinygpt.Model(small_config(self.tokenizer, layers=8, width=64, hidden=128))

    def end(self, work):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        start = time.monotonic()
        timer.start()
        self.assertRaises(KeyboardInterrupt, work)
        self.assertLess(time.monotonic() - start, 20)
        timer.join()
        self.assertTrue(numpy.isfinite(self.model.logits([1, 2])).all())  # and the model may be used

    def trainer(self):
        return tinygpt.Trainer(self.model, self.corpus, batch=4, time=32, steps=10 ** 6, eval_tokens=10 ** 9)

    def test_it_ends_a_run_between_two_steps(self):
        trainer = self.trainer()
        self.end(trainer.run)
        taken = trainer.steps_taken
        self.assertGreater(taken, 0)
        self.assertEqual(trainer.step().step, taken + 1)

    def test_it_ends_a_validation(self):
        self.end(self.trainer().validate)

    def test_it_ends_texts(self):
        self.end(lambda: self.model.generate([1], 10 ** 6, stop_token=-1))

    def test_it_ends_the_drawing_of_stories(self):
        self.end(lambda: tinygpt.stories(10 ** 8))

    def test_it_ends_the_training_of_a_tokenizer(self):
        letters = numpy.random.default_rng(1).integers(97, 123, (500000, 8), dtype="uint8")
        letters[:, 0] = 32
        self.end(lambda: tinygpt.Tokenizer.train_bpe(letters.tobytes(), 10 ** 6))

    def test_it_ends_the_quantizing_of_a_model(self):
        self.end(lambda: self.model.quantize("gptq", self.corpus, sequences=10 ** 4))


if __name__ == "__main__":
    unittest.main()
