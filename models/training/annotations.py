"""Writes the labels of train.jsonl and dev.jsonl, without any text, to annotations.tsv, which keeps those of other texts and
those of train rows that were read again in a later round.

python annotations.py --corpus DIR
"""

import argparse
import csv
from pathlib import Path

from data import read_jsonl

COLUMNS = ["id", "split", "dehum", "ways", "groups", "hate", "round", "stratum", "source"]

ROUND = COLUMNS.index("round")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, type=Path)
    args = parser.parse_args()
    path = Path(__file__).resolve().parent / "annotations.tsv"
    rows = [[r["id"], split, r["dehum"], "".join(r["ways"]), ",".join(r["groups"]), r["hate"], r["round"], r["stratum"], r["source"]]
            for split in ("train", "dev") for r in read_jsonl(args.corpus / f"{split}.jsonl")]
    with open(path, encoding="utf-8", newline="") as f:
        kept = {row[0]: row for row in list(csv.reader(f, delimiter="\t"))[1:]}
    rows = [kept[row[0]] if row[0] in kept and int(kept[row[0]][ROUND]) > row[ROUND] else row for row in rows]
    known = {row[0] for row in rows}
    rows += [row for key, row in kept.items() if key not in known]
    with open(path, "w", encoding="utf-8", newline="") as f:
        csv.writer(f, delimiter="\t", lineterminator="\n").writerows([COLUMNS] + rows)


if __name__ == "__main__":
    main()
