"""Soft labels for texts of the pool, from an earlier model: what it says of them, weighed with what their source says.

    python pseudo.py --corpus DIR --teacher WEIGHTS --out pseudo.jsonl

With --hard only texts that teach most: of hateful ones a part, of harmless ones first those that the teacher takes for
dehumanizing or hateful.
"""

import argparse
import json
import random
from pathlib import Path

import torch

import data
from ids import text_id
from labels import DEHUM, HATE, LABELS
from model import WINDOW_TOKENS, base_directory, from_base, load_tokenizer, predict


def soft_targets(probabilities, hate):
    """17 targets: the teacher's word for texts that their source calls hateful, half of it for harmless ones. Of hate the
    teacher knows more: sources draw its line in other places than the codebook."""
    t = torch.tensor(probabilities)
    if not hate:
        t = t * 0.5
    t[HATE] = probabilities[HATE]
    return t


def examples(tokenizer, rows):
    """Examples of rows {"text", "hate", "p"} with soft targets."""
    return [data.Example(ids, soft_targets(r["p"], r["hate"]), torch.ones(len(LABELS)))
            for r, ids in zip(rows, data.encode(tokenizer, [r["text"] for r in rows]))]


def hard(rows, rng):
    """Of rows with "p", the 40,000 that teach most, shuffled."""
    hateful = [r for r in rows if r["hate"]]
    harmless = sorted((r for r in rows if not r["hate"]), key=lambda r: -r["p"][DEHUM])
    rest = sorted(harmless[7_000:], key=lambda r: -r["p"][HATE])
    some = rng.sample(hateful, min(26_000, len(hateful))) + rng.sample(rest[3_500:], min(3_500, len(rest[3_500:])))
    chosen = some + harmless[:7_000] + rest[:3_500]
    rng.shuffle(chosen)
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--teacher", required=True, help="weights of the earlier model, as trial.py keeps them")
    parser.add_argument("--pooling", default="mean", help="of the earlier model")
    parser.add_argument("--hard", action="store_true", help="only 40,000 texts, those that teach most")
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
    rows = [{"text": r["text"], "hate": r["hate"], "p": [round(x, 4) for x in p]} for r, p in zip(rows, probabilities)]
    if args.hard:
        rows = hard(rows, random.Random(9))
    with open(Path(args.out), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)


if __name__ == "__main__":
    main()
