"""What the functional suite (tests/functional) says of a model, for its card: functional.json, made by the command itself.

    cargo build --release && cargo build --release --example functional_suite
    python functional.py --build ../../target/release --model ../dignity-small-en
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

FIGURES = Path(__file__).resolve().parent / "functional.json"
SETTINGS = Path(__file__).resolve().parents[2] / "tests" / "functional" / "settings.jsonl"
OBFUSCATIONS = ["leet", "spacing", "zero_width", "homoglyphs", "stretched"]
HURRIES = ["typos", "bare", "chat", "emoji"]


def cases(build, *arguments):
    return subprocess.run([build / "examples" / "functional_suite", *arguments], check=True, capture_output=True).stdout


def evaluated(build, model, lines):
    """The JSON of `dignity evaluate` on labelled lines."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(lines)
        file.flush()
        done = subprocess.run([build / "dignity", "evaluate", file.name, "--model", model, "--quiet", "--json", "-", "--bootstrap", "0"],
                              check=True, capture_output=True)
    return json.loads(done.stdout)


def scored(build, model, rows):
    """What `dignity score` says of each row."""
    text = "".join(json.dumps({"text": r["text"]}) + "\n" for r in rows)
    done = subprocess.run([build / "dignity", "score", "-", "--format", "jsonl", "--model", model, "--quiet"], input=text.encode(), check=True, capture_output=True)
    return [json.loads(line)["dignity"] for line in done.stdout.splitlines()]


def hate_on_mentions(build, model, lines):
    """Of texts that merely name a group or speak well of it, the share with a hate score above one half."""
    mentions = [r for r in map(json.loads, lines.splitlines()) if r["function"] in ("neutral_mention", "everyday_mention", "positive_mention")]
    scores = scored(build, model, mentions)
    return {"n": len(scores), "above_half": sum(s["hate"] > 0.5 for s in scores) / len(scores)}


def settings(build, model):
    """Of the texts in four settings, the share flagged of those that dehumanize, are hateful, are neither."""
    rows = [json.loads(line) for line in SETTINGS.read_text(encoding="utf-8").splitlines()]
    flagged = {}
    for row, scores in zip(rows, scored(build, model, rows)):
        kind = "dehumanizing" if row["dehum"] else "hateful" if row["hate"] else "harmless"
        flagged.setdefault(kind, []).append(scores["verdict"] == "flag")
    return {kind: {"n": len(f), "flagged": sum(f) / len(f)} for kind, f in flagged.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    args = parser.parse_args()
    lines = cases(args.build)
    suite = evaluated(args.build, args.model, lines)
    explicit = [s for s in suite["by_function"] if s["name"].endswith("_explicit")]
    found = sum(s["flag"]["true_positives"] for s in explicit) / sum(s["positives"] for s in explicit)
    figures = {
        "threshold": suite["flag"]["threshold"], "n": suite["n"], "positives": suite["positives"],
        "recall": suite["flag"]["recall"]["value"], "false_alarms": suite["flag"]["false_positive_rate"]["value"],
        "roc_auc": suite["dehumanization"]["roc_auc"]["value"], "hate_on_mentions": hate_on_mentions(args.build, args.model, lines),
        "explicit": found, "obfuscated": {}, "hurried": {}, "settings": settings(args.build, args.model),
        "by_function": [{"name": s["name"], "n": s["n"], "positives": s["positives"], "right": s["flag"]["accuracy"]["value"]} for s in suite["by_function"]],
        "by_category": [{"name": s["name"], "n": s["n"], "positives": s["positives"], "recall": s["flag"]["recall"]["value"],
                         "false_alarms": s["flag"]["false_positive_rate"]["value"]} for s in suite["by_category"]],
    }
    for kind in OBFUSCATIONS:
        figures["obfuscated"][kind] = evaluated(args.build, args.model, cases(args.build, "--obfuscated", kind))["flag"]["recall"]["value"]
    for kind in HURRIES:
        flag = evaluated(args.build, args.model, cases(args.build, "--hurried", kind))["flag"]
        figures["hurried"][kind] = {"recall": flag["recall"]["value"], "false_alarms": flag["false_positive_rate"]["value"]}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
