"""Joins annotations.tsv with data-set files that you downloaded, into train.jsonl and dev.jsonl.

python join.py --out DIR FILE:COLUMN [FILE:COLUMN ...]

FILE is .csv, .tsv, .json (a list or an object of records), .jsonl or .jsonl.gz; COLUMN is the field of its text (a list
of tokens is joined by spaces). A text is found by its id, which ignores case, punctuation and spacing.
"""

import argparse
import collections
import csv
import gzip
import json
import sys
from pathlib import Path

from ids import text_id

HERE = Path(__file__).resolve().parent


def records(path):
    """The records of a file, by its ending."""
    name = path.name.lower()
    opener = gzip.open if name.endswith(".gz") else open
    name = name.removesuffix(".gz")
    with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as f:
        if name.endswith((".csv", ".tsv")):
            csv.field_size_limit(sys.maxsize)
            yield from csv.DictReader(f, delimiter="\t" if name.endswith(".tsv") else ",")
        elif name.endswith((".jsonl", ".ndjson")):
            for line in f:
                if line.strip():
                    yield json.loads(line)
        elif name.endswith(".json"):
            value = json.load(f)
            yield from value.values() if isinstance(value, dict) else value
        else:
            raise SystemExit(f"{path}: none of .csv, .tsv, .json, .jsonl")


def texts(argument):
    path, _, column = argument.rpartition(":")
    if not path:
        raise SystemExit(f"{argument}: write FILE:COLUMN")
    for n, record in enumerate(records(Path(path))):
        if column not in record:
            raise SystemExit(f"{path}: record {n + 1} has no {column}; it has {', '.join(map(str, record))}")
        value = record[column]
        yield " ".join(value) if isinstance(value, list) else value or ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, default=HERE / "annotations.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("files", nargs="+", metavar="FILE:COLUMN")
    args = parser.parse_args()
    with open(args.annotations, encoding="utf-8", newline="") as f:
        wanted = {r["id"]: r for r in csv.DictReader(f, delimiter="\t")}
    found = {}
    for argument in args.files:
        read = hits = 0
        for text in texts(argument):
            read += 1
            key = text_id(text)
            if key in wanted:
                hits += 1
                found.setdefault(key, text)
        print(f"{argument}: {read} texts read, {hits} with an annotation")
    args.out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev"):
        with open(args.out / f"{split}.jsonl", "w", encoding="utf-8") as f:
            for key, r in wanted.items():
                if r["split"] == split and key in found:
                    f.write(json.dumps({
                        "id": key, "source": r["source"], "text": found[key], "dehum": int(r["dehum"]), "ways": list(r["ways"]),
                        "groups": r["groups"].split(",") if r["groups"] else [], "hate": int(r["hate"]),
                        "stratum": r["stratum"], "round": int(r["round"])}, ensure_ascii=False) + "\n")
    total = collections.Counter(r["source"] for r in wanted.values())
    have = collections.Counter(wanted[k]["source"] for k in found)
    for source, n in total.most_common():
        print(f"{source}: {have[source]} of {n} annotated ids found")


if __name__ == "__main__":
    main()
