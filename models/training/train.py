"""Trains, quantizes, calibrates, writes the model directory and its figures (the README has what comes after).

python train.py --corpus DIR --out ../dignity-small-en
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

import data
import evaluate
import golden
import head
from calibrate import policy_toml
from directory import NAME, read_model, write_dignity, write_model
from fit import fit, substituter_for
from model import base_directory, from_base, load_tokenizer
from trial import changed, dev_figures, options, record

FINAL = json.loads((Path(__file__).resolve().parent / "final.json").read_text())  # chosen by the trials in trials.tsv
POLICY_VERSION = "2026-11-30"


def train(corpus, stages, save):
    """Trains the stages of final.json, each from the base or from a mean of earlier stages, and averages their weights.

    Figures after each epoch go to trials.tsv, weights to files named after `save`.
    """
    sequences = data.encode(load_tokenizer(base_directory()), [r["text"] for r in corpus.dev])
    weights, seconds_in_all = {}, 0
    for stage, o in stages:

        def after_epoch(model, epoch, seconds):
            figures = dev_figures(model, sequences, corpus.dev)
            print(f"dev after epoch {epoch + 1}: {figures}", flush=True)
            record(stage["name"], epoch + 1, figures, seconds, changed(o) | ({"start": stage["start"]} if "start" in stage else {}))
            if save:
                torch.save({"weights": model.state_dict(), "run": {"seconds": round(seconds)}}, f"{save}.{stage['name']}")

        start = None
        if "start" in stage:
            start = from_base(o.pooling, o.dropout)
            start.load_state_dict(average(weights, stage["start"]))
        substituter = substituter_for(corpus, o)
        model, facts = fit(corpus, o, substituter, after_epoch, start)
        weights[stage["name"]] = {k: v.clone() for k, v in model.state_dict().items()}
        seconds_in_all += facts["seconds"]
    model.load_state_dict(average(weights, FINAL["average"]))
    model.eval()
    record("final", "-", dev_figures(model, sequences, corpus.dev), seconds_in_all, {"average": FINAL["average"]})
    run = {"seconds": seconds_in_all}
    if save:
        torch.save({"weights": model.state_dict(), "run": run}, save)
    return model, run


def average(weights, shares):
    """The weighted mean of the stages' weights: it generalizes better than any of them."""
    some = weights[next(iter(shares))]
    return {k: sum(share * weights[name][k] for name, share in shares.items()) if v.is_floating_point() else v for k, v in some.items()}


def ship(model, corpus, out, stages, run):
    """Quantizes and writes everything; all figures come from the weights as shipped."""
    o = stages[0][1]
    write_model(model, out)
    shipped, tokenizer = read_model(out, o.pooling)
    head.refit(shipped, model.classifier, tokenizer, corpus)
    write_model(model, out)
    shipped, tokenizer = read_model(out, o.pooling)
    dev, substituted, context = evaluate.logits_and_truth(shipped, tokenizer, corpus)
    calibration, named = evaluate.fit_on_dev(dev, substituted)
    write_dignity(out, o.pooling, calibration)
    (out / "policies").mkdir(exist_ok=True)
    (out / "policies" / "balanced.toml").write_text(policy_toml(named, NAME, POLICY_VERSION))
    figures = evaluate.figures(dev, substituted, context, calibration, named)
    figures["run"] = {**run, "stages": [{**stage, "options": asdict(o)} for stage, o in stages], "train_rows": len(corpus.train), "authored_rows": len(corpus.authored),
                      "dev_rows": len(corpus.dev)}
    evaluate.FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    golden.write(out, o.pooling)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, help="folder of train.jsonl, dev.jsonl and pool_weak.jsonl.gz")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--save", help="keep f32 weights and the run's facts here after each epoch")
    parser.add_argument("--ship", help="no training: ship the weights kept here")
    args = parser.parse_args()
    torch.set_num_threads(2)
    stages = [(s, options([f"{k}={v}" for k, v in s["options"].items()])) for s in FINAL["stages"]]
    corpus = data.read_corpus(args.corpus)
    if args.ship:
        kept = torch.load(args.ship, weights_only=True)
        model, run = from_base(stages[0][1].pooling), kept["run"]
        model.load_state_dict(kept["weights"])
    else:
        model, run = train(corpus, stages, args.save)
    ship(model, corpus, args.out, stages, run)


if __name__ == "__main__":
    main()
