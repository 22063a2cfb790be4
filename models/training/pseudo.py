"""Soft labels for texts of the pool, from an earlier model: what it says of them, weighed with what their source says.

    python pseudo.py --corpus DIR --teacher WEIGHTS --out pseudo.jsonl
"""

import argparse
import json
from pathlib import Path

import torch

import data
from ids import text_id
from labels import HATE, LABELS
from model import WINDOW_TOKENS, base_directory, from_base, load_tokenizer, predict


def soft_targets(probabilities, hate):
    """17 targets: the teacher's word for hateful texts, half of it for harmless ones; of hate the source knows more."""
    t = torch.tensor(probabilities)
    if not hate:
        t = t * 0.5
    t[HATE] = 0.7 * hate + 0.3 * probabilities[HATE]
    return t


def examples(tokenizer, rows):
    """Examples of rows {"text", "hate", "p"} with soft targets."""
    return [data.Example(ids, soft_targets(r["p"], r["hate"]), torch.ones(len(LABELS)))
            for r, ids in zip(rows, data.encode(tokenizer, [r["text"] for r in rows]))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--teacher", required=True, help="weights of the earlier model, as trial.py keeps them")
    parser.add_argument("--pooling", default="mean", help="of the earlier model")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    corpus = data.read_corpus(args.corpus)
    known = {r["id"] for r in corpus.train + corpus.dev}
    rows = [r for r in corpus.pool if text_id(r["text"]) not in known]
    tokenizer = load_tokenizer(base_directory())
    teacher = from_base(args.pooling, 0.0)
    teacher.load_state_dict(torch.load(args.teacher, weights_only=True)["weights"])
    sequences = [s if len(s) <= WINDOW_TOKENS else s[: WINDOW_TOKENS - 1] + s[-1:] for s in data.encode(tokenizer, [r["text"] for r in rows])]
    probabilities = torch.sigmoid(predict(teacher, sequences, 96)).tolist()
    with open(Path(args.out), "w", encoding="utf-8") as f:
        for r, p in zip(rows, probabilities):
            f.write(json.dumps({"text": r["text"], "hate": r["hate"], "p": [round(x, 4) for x in p]}) + "\n")


if __name__ == "__main__":
    main()
