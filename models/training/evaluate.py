"""Logits of a model directory on dev and on substituted dev texts; calibration, thresholds and the figures of the card.

python evaluate.py --corpus DIR --model ../dignity-small-en    (computes the figures afresh and compares them with figures.json)
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch

import calibrate
import data
from context import Context
from directory import read_model
from labels import CATEGORIES, CATEGORY_OFFSET, DEHUM, HATE, RARE_CATEGORIES, WAY_OFFSET, WAYS
from metrics import calibration_error, ranking
from model import predict
from substitution import Substituter

FIGURES = Path(__file__).resolve().parent / "figures.json"
SUBSTITUTION_SEED = 20261122
CONTEXT_ROWS = 1000


def truth_of(rows):
    return np.stack([data.targets(r).numpy() for r in rows])


def substituted_dev(corpus):
    """{category: rows}: every dev text that is safe to swap, about groups of the category whose names training never used."""
    substituter = Substituter(corpus.dev, held_out=True, telling_from=corpus.train)
    return {c: substituter.all_rows(c, random.Random(f"{SUBSTITUTION_SEED}/{c}")) for c in CATEGORIES}


def score(model, tokenizer, rows):
    """Logits [rows, labels] as the classifier joins them: of each text, the largest of its windows'."""
    windows = [data.windows(e.ids) for e in tokenizer.encode_batch([r["text"] for r in rows])]
    logits = predict(model, [w for of_text in windows for w in of_text])
    return torch.stack([part.max(dim=0).values for part in logits.split([len(w) for w in windows])]).numpy()


def context_dev(corpus):
    """Dev texts at random places among harmless ones of the pool, as training set its own texts."""
    substituter = Substituter(corpus.train, held_out=False)
    return Context(corpus.dev, corpus.pool, substituter).draw(CONTEXT_ROWS, random.Random(SUBSTITUTION_SEED))


def logits_and_truth(model, tokenizer, corpus):
    """(logits, truth) of dev, of the substituted dev texts by category, and of dev texts in context."""
    def both(rows):
        return score(model, tokenizer, rows), truth_of(rows)

    return both(corpus.dev), {c: both(rows) for c, rows in substituted_dev(corpus).items()}, both(context_dev(corpus))


def figures(dev, substituted, context, calibration, named):
    """All figures of the card, as plain numbers."""
    logits, truth = dev
    p = calibrate.apply(calibration, logits)
    hateful = truth[:, HATE] > 0
    out = {
        "overall": ranking(truth[:, DEHUM], logits[:, DEHUM]),
        "overall_hateful": ranking(truth[hateful, DEHUM], logits[hateful, DEHUM]),
        "hate": ranking(truth[:, HATE], logits[:, HATE]),
        "context": ranking(context[1][:, DEHUM], context[0][:, DEHUM]),
        "calibration_error": {"dehumanization": calibration_error(truth[:, DEHUM], p[:, DEHUM]),
                              "hate": calibration_error(truth[:, HATE], p[:, HATE])},
        "categories": {}, "ways": {}, "substituted": {}, "because": named,
        "fitted_on": [c["fitted_on"] for c in calibration],
    }
    for i, c in enumerate(CATEGORIES):
        label = CATEGORY_OFFSET + i
        out["categories"][c] = ranking(truth[:, label], logits[:, label])
        z, t = substituted[c]
        other = np.concatenate([substituted[o][0][:, label] for o in CATEGORIES if o != c])
        other_truth = np.concatenate([substituted[o][1][:, label] for o in CATEGORIES if o != c])
        out["substituted"][c] = {
            "overall": ranking(t[:, DEHUM], z[:, DEHUM]),
            "category": ranking(np.concatenate([t[:, label], other_truth]), np.concatenate([z[:, label], other])),
        }
        out["calibration_error"][c] = calibration_error(truth[:, label], p[:, label])
    for i, w in enumerate(WAYS):
        label = WAY_OFFSET + i
        out["ways"][w] = ranking(truth[:, label], logits[:, label])
        out["calibration_error"][w] = calibration_error(truth[:, label], p[:, label])
    return out


def fit_on_dev(dev, substituted):
    """(calibration, thresholds at which categories are named)"""
    rare = {c: substituted[c] for c in RARE_CATEGORIES}
    calibration = calibrate.calibrate(*dev, rare)
    p = calibrate.apply(calibration, dev[0])
    named = calibrate.because(dev[1], p, {c: (calibrate.apply(calibration, z), t) for c, (z, t) in rare.items()})
    return calibration, named


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--model", required=True, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(2)
    pooling = json.loads((args.model / "dignity.json").read_text())["pooling"]
    model, tokenizer = read_model(args.model, pooling)
    dev, substituted, context = logits_and_truth(model, tokenizer, data.read_corpus(args.corpus))
    fresh = figures(dev, substituted, context, *fit_on_dev(dev, substituted))
    stored = json.loads(FIGURES.read_text())
    for name in ("overall", "overall_hateful", "hate", "context"):
        print(name, fresh[name], "as stored" if all(abs(fresh[name][k] - stored[name][k]) < 1e-6 for k in ("ap", "auc")) else f"STORED {stored[name]}")


if __name__ == "__main__":
    main()
