"""Writes annotations.tsv, the labels without any text, from train.jsonl and dev.jsonl.

python annotations.py --corpus DIR
"""

import argparse
import csv
from pathlib import Path

from data import read_jsonl

COLUMNS = ["id", "split", "dehum", "ways", "groups", "hate", "round", "stratum", "source"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, type=Path)
    args = parser.parse_args()
    with open(Path(__file__).resolve().parent / "annotations.tsv", "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f, delimiter="\t", lineterminator="\n")
        out.writerow(COLUMNS)
        for split in ("train", "dev"):
            for r in read_jsonl(args.corpus / f"{split}.jsonl"):
                out.writerow([r["id"], split, r["dehum"], "".join(r["ways"]), ",".join(r["groups"]), r["hate"],
                              r["round"], r["stratum"], r["source"]])


if __name__ == "__main__":
    main()
