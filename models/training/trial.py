"""One trial: trains with the options given, judges it on dev, appends a line to trials.tsv.

Example: python trial.py --corpus DIR --name lr5e-5 --set epochs=2 lr=5e-5
"""

import argparse
import ast
import json
from dataclasses import asdict, fields
from pathlib import Path

import torch

import data
from fit import Options, fit, substituter_for
from labels import DEHUM, HATE
from metrics import ranking
from model import base_directory, from_base, load_tokenizer, predict

TRIALS = Path(__file__).resolve().parent / "trials.tsv"
COLUMNS = ["name", "epoch", "ap", "auc", "ap_hateful", "auc_hateful", "hate_auc", "minutes", "options"]


def options(pairs):
    """Options with KEY=VALUE pairs set."""
    known = {f.name for f in fields(Options)}
    values = dict(p.split("=", 1) for p in pairs)
    if set(values) - known:
        raise SystemExit(f"unknown: {set(values) - known}")
    return Options(**{k: ast.literal_eval(v) if k != "pooling" else v for k, v in values.items()})


def dev_figures(model, sequences, rows):
    """AP and ROC AUC of the overall score, over all rows and over hateful rows; ROC AUC of hate."""
    logits = predict(model, sequences)
    dehum, hate = [r["dehum"] for r in rows], [r["hate"] for r in rows]
    hateful = [i for i, h in enumerate(hate) if h]
    overall = ranking(dehum, logits[:, DEHUM])
    among = ranking([dehum[i] for i in hateful], logits[hateful, DEHUM])
    return {"ap": overall["ap"], "auc": overall["auc"], "ap_hateful": among["ap"], "auc_hateful": among["auc"],
            "hate_auc": ranking(hate, logits[:, HATE])["auc"]}


def changed(o):
    """The options that differ from the defaults."""
    return {k: v for k, v in asdict(o).items() if v != getattr(Options(), k) or k == "epochs"}


def record(name, epoch, figures, seconds, what):
    """Appends a line to trials.tsv."""
    if not TRIALS.exists():
        TRIALS.write_text("\t".join(COLUMNS) + "\n")
    values = [name, epoch] + [f"{figures[k]:.4f}" if figures.get(k) is not None else "-" for k in COLUMNS[2:7]]
    with open(TRIALS, "a") as f:
        f.write("\t".join(map(str, values + [f"{seconds / 60:.1f}", json.dumps(what)])) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--start", help="go on from the weights kept here")
    parser.add_argument("--save", help="keep the weights here")
    args = parser.parse_args()
    torch.set_num_threads(2)
    o = options(args.set)
    corpus = data.read_corpus(args.corpus)
    print(len(corpus.train), len(corpus.dev), len(corpus.pool), flush=True)
    substituter = substituter_for(corpus, o)
    tokenizer = load_tokenizer(base_directory())
    sequences = data.encode(tokenizer, [r["text"] for r in corpus.dev])

    def after_epoch(model, epoch, seconds):
        figures = dev_figures(model, sequences, corpus.dev)
        print(f"dev after epoch {epoch + 1}: {figures}", flush=True)
        record(args.name, epoch + 1, figures, seconds, changed(o) | ({"start": Path(args.start).stem} if args.start else {}))
        if args.save:
            torch.save({"weights": model.state_dict(), "run": {"seconds": round(seconds)}}, args.save)

    start = None
    if args.start:
        start = from_base(o.pooling, o.dropout)
        start.load_state_dict(torch.load(args.start, weights_only=True)["weights"])
    fit(corpus, o, substituter, after_epoch, start)


if __name__ == "__main__":
    main()
