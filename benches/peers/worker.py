"""A process that holds one Python peer: takes a JSON command a line, gives a JSON answer a line.

python worker.py ENGINE PRECISION THREADS LAYOUT FOLDER
LAYOUT is `split` (each thread computes batches of its own) or `shared` (all threads compute one batch).
"""

import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import peers


class Calibration:
    """Platt scaling as dignity.json has it."""

    def __init__(self, model):
        labels = json.loads((Path(model) / "dignity.json").read_text())["labels"]
        self.slope = np.array([label["slope"] for label in labels], np.float32)
        self.intercept = np.array([label["intercept"] for label in labels], np.float32)

    def probabilities(self, logits):
        return 1 / (1 + np.exp(-(self.slope * logits + self.intercept)))


class Worker:
    """Texts to probabilities: tokenized together, sorted by length, padded to the longest of each batch."""

    def __init__(self, engine, precision, threads, layout, folder):
        self.tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.calibration = Calibration(folder / "model")
        streams = threads if layout == "split" else 1
        self.peer = peers.PEERS[engine](folder, precision, threads // streams, streams)
        start = getattr(self.peer, "start_thread", None)
        self.pool = ThreadPoolExecutor(streams, initializer=start) if streams > 1 else None

    def compute(self, sequences):
        ids = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        return self.calibration.probabilities(self.peer.logits(ids, mask))

    def score(self, texts, batch):
        """The probabilities of every text, in order, and how many tokens they have."""
        sequences = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(texts)), key=lambda i: -len(sequences[i]))
        parts = [order[start : start + batch] for start in range(0, len(order), batch)]
        run = self.pool.map if self.pool else map
        computed = list(run(self.compute, ([sequences[i] for i in part] for part in parts)))
        scores = np.empty((len(texts), computed[0].shape[1]), np.float32)
        for part, rows in zip(parts, computed):
            scores[part] = rows
        return scores, sum(map(len, sequences))

    def run(self, texts, batch, share=1, scores=False):
        """Scores every `share`-th text of a file; the seconds do not count reading the file."""
        sentences = json.loads(Path(texts).read_text())[::share]
        start = time.perf_counter()
        result, tokens = self.score(sentences, batch)
        answer = {"seconds": time.perf_counter() - start, "texts": len(sentences), "tokens": tokens}
        return answer | ({"scores": result[:, 0].tolist()} if scores else {})

    def latency(self, text, calls):
        """The median time of one text alone, in milliseconds."""
        times = []
        for _ in range(calls):
            start = time.perf_counter()
            self.compute([self.tokenizer.encode(text).ids])
            times.append(time.perf_counter() - start)
        return {"milliseconds": 1e3 * statistics.median(times)}


def main():
    engine, precision, threads, layout, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to standard error

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    try:
        worker = Worker(engine, precision, int(threads), layout, Path(folder))
    except Exception as error:
        return answer({"error": f"{type(error).__name__}: {error}"})
    answer({"ready": True})
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer(getattr(worker, command.pop("do"))(**command))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
