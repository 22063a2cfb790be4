"""Reading the corpus; label, mask and weight vectors; batches of similar length."""

import csv
import gzip
import json
import random
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import emoji
import torch

from ids import text_id
from labels import (CATEGORIES, CATEGORY_OF_CODE, CATEGORY_OFFSET, DEHUM, HATE, LABELS, WAY_OF_CODE, WAY_OFFSET, WAYS)
from model import MAX_TOKENS, OVERLAP, WINDOW_TOKENS

HERE = Path(__file__).resolve().parent
POSTS = HERE / "posts.jsonl"  # our own, labelled
PROSE = HERE / "templates" / "prose.txt"  # our own: harmless sentences of every kind
FIRED, UNSURE_OF_HATE = 0.05, 0.3  # probabilities of an earlier model on general prose
POOL_CHARACTERS = 200  # longer texts of the pool cost more time than they teach


def read_jsonl(path):
    path = Path(path)
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


@dataclass
class Example:
    """Token ids with targets, and a weight per label (0 where the source does not know it)."""
    ids: list
    target: torch.Tensor
    weight: torch.Tensor


def targets(row, mentioned=0.0):
    """The 17 targets of a row labelled by the codebook.

    Where a text does not dehumanize, the groups that it attacks or mentions have `mentioned`: what is missed then ranks among
    texts of its group, not among all.
    """
    t = torch.zeros(len(LABELS))
    t[DEHUM], t[HATE] = row["dehum"], row["hate"] or 0
    for code in row["groups"]:
        if code in CATEGORY_OF_CODE:
            t[CATEGORY_OFFSET + CATEGORIES.index(CATEGORY_OF_CODE[code])] = 1 if row["dehum"] else mentioned
    if row["dehum"]:
        for code in row["ways"]:
            t[WAY_OFFSET + WAYS.index(WAY_OF_CODE[code])] = 1
    return t


def name_emoji(text):
    """Emoji as words: the tokenizer knows none, and the normalized view that is scored beside the text names them."""
    return emoji.demojize(text, delimiters=(" ", " ")).replace("_", " ") if emoji.emoji_count(text) else text


def encode(tokenizer, texts):
    """Token ids, cut to one window; every other text's emoji are named."""
    texts = [name_emoji(t) if zlib.crc32(t.encode()) % 2 else t for t in texts]
    return [e.ids if len(e.ids) <= MAX_TOKENS else e.ids[: MAX_TOKENS - 1] + e.ids[-1:]
            for e in tokenizer.encode_batch(texts)]


def windows(ids):
    """The overlapping windows that a text's ids are scored in: the least number of full ones, spread evenly."""
    content, size = ids[1:-1], WINDOW_TOKENS - 2
    count = 1 if len(content) <= size else -((OVERLAP - len(content)) // (size - OVERLAP))
    starts = [i * (len(content) - size) // (count - 1) for i in range(count)] if count > 1 else [0]
    return [ids[:1] + content[s : s + size] + ids[-1:] for s in starts]


def labelled(tokenizer, rows, mentioned=0.0):
    """Examples whose every label is known, but for hate where it is None, and categories where an invented group is
    dehumanized."""
    def weight(row):
        w = torch.ones(len(LABELS))
        if row["hate"] is None:
            w[HATE] = 0
        if row["dehum"] and not row["groups"]:
            w[CATEGORY_OFFSET : CATEGORY_OFFSET + len(CATEGORIES)] = 0
        return w

    return [Example(i, targets(r, mentioned), weight(r)) for r, i in zip(rows, encode(tokenizer, [r["text"] for r in rows]))]


def weak(tokenizer, rows, weight):
    """Examples of the pool: hate=1 tells only hate; hate=0 says that nothing else holds either."""
    only_hate = torch.zeros(len(LABELS))
    only_hate[HATE] = weight
    nothing = torch.full((len(LABELS),), weight)
    hateful = torch.zeros(len(LABELS))
    hateful[HATE] = 1
    none = torch.zeros(len(LABELS))
    return [Example(i, hateful, only_hate) if r["hate"] else Example(i, none, nothing)
            for r, i in zip(rows, encode(tokenizer, [r["text"] for r in rows]))]


def batches(examples, size, rng):
    """Shuffled batches of similar length: sorted inside chunks, so order stays random between chunks."""
    order = list(range(len(examples)))
    rng.shuffle(order)
    chunk = size * 32
    out = []
    for start in range(0, len(order), chunk):
        part = sorted(order[start : start + chunk], key=lambda i: len(examples[i].ids))
        out += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(out)
    return out


def words(text):
    return set(re.findall(r"[a-z0-9']+", text.lower()))


def near_copies(rows, others, share=0.7):
    """Indices of `rows` whose word set overlaps one of `others` by more than `share` (Jaccard)."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(binary=True, token_pattern=r"[a-z0-9']+", dtype=np.float32)
    b = vectorizer.fit_transform([r["text"] for r in others])
    full = np.array([len(words(r["text"])) for r in others], dtype=np.float32)
    found = set()
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096]
        size = np.array([len(words(r["text"])) for r in part], dtype=np.float32)
        common = (vectorizer.transform([r["text"] for r in part]) @ b.T).tocoo()
        jaccard = common.data / np.maximum(size[common.row] + full[common.col] - common.data, 1)
        found.update(start + int(i) for i in common.row[jaccard > share])
    return found


@dataclass
class Corpus:
    train: list
    dev: list
    authored: list
    posts: list  # our own: such as dehumanize, and such as only look like it
    pool: list
    pseudo: list  # texts of the pool with an earlier model's soft labels (pseudo.py), where there are any
    general: list  # English prose (general.py), where there is any, and our own: rows that nothing holds for


def annotations():
    """{id: row} of annotations.tsv, labels as a corpus file has them."""
    with open(HERE / "annotations.tsv", encoding="utf-8", newline="") as f:
        return {r["id"]: {**r, "dehum": int(r["dehum"]), "ways": list(r["ways"]), "groups": [g for g in r["groups"].split(",") if g],
                          "hate": int(r["hate"]), "round": int(r["round"])} for r in csv.DictReader(f, delimiter="\t")}


def annotated(rows, labels):
    """The texts that `labels` has, with them."""
    found = {}
    for row in rows:
        key = text_id(row["text"])
        if key in labels:
            found[key] = {**labels[key], "text": row["text"]}
    return list(found.values())


def read_general(path):
    """Rows of general.py, scored by an earlier model, and our own prose; `fired` are those that teach most.

    Whether a text that the model calls hateful is so nobody has read.
    """
    nothing = {"dehum": 0, "hate": 0, "ways": [], "groups": []}
    rows = [{**nothing, "text": r["text"], "hate": None if r["dignity"]["hate"] > UNSURE_OF_HATE else 0,
             "fired": r["dignity"]["dehumanization"] >= FIRED} for r in (read_jsonl(path) if path.exists() else [])]
    return rows + [{**nothing, "text": line, "fired": True} for line in PROSE.read_text(encoding="utf-8").splitlines()]


def read_corpus(directory, seed=0, pool=True):
    """The corpus; train and pool rows that nearly repeat a dev text are left out, so that dev stays honest.

    Texts of the pool that annotations.tsv labels are train rows, and train rows that were read again in a later round have its
    labels.
    """
    directory = Path(directory)
    train, dev = read_jsonl(directory / "train.jsonl"), read_jsonl(directory / "dev.jsonl")
    authored, posts = read_jsonl(HERE / "authored.jsonl"), read_jsonl(POSTS)
    ours = annotations()
    train = [{**r, **ours[r["id"]]} if r["id"] in ours and ours[r["id"]]["round"] > r["round"] else r for r in train]
    weak_rows = []
    path = directory / "pool_weak.jsonl.gz"
    if pool and path.exists():
        weak_rows = read_jsonl(path)
        known = {r["id"] for r in train + dev}
        train += annotated(weak_rows, {key: r for key, r in ours.items() if key not in known})
        known = {r["text"] for r in train}
        weak_rows = [r for r in weak_rows if r["hate"] is not None and len(r["text"]) <= POOL_CHARACTERS and r["text"] not in known]
        drop = near_copies(weak_rows, dev)
        weak_rows = [r for i, r in enumerate(weak_rows) if i not in drop]
        random.Random(seed).shuffle(weak_rows)
    drop = near_copies(train, dev)
    train = [r for i, r in enumerate(train) if i not in drop]
    path = directory / "pseudo.jsonl"
    pseudo = read_jsonl(path) if path.exists() else []
    return Corpus(train, dev, authored, posts, weak_rows, pseudo, read_general(directory / "general.jsonl"))
