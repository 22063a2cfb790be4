"""Labelled texts set among harmless ones: what one sentence says holds for the whole, wherever it stands.

Nearly all labelled texts are single sentences; a window of a longer text is not. The neighbours are posts of the pool, prose of
our own (`templates/prose.txt`) or general prose (`general.py`), each for one text in three. Some texts may be neighbours alone:
else sentences that have nothing to do with each other tell by themselves that one of them was set there.
"""

from data import PROSE, words

MAX_WORDS = 46  # about a window of 64 tokens
MAX_NEIGHBOURS = 5
SHARES = {"dehum": 0.4, "hate": 0.25, "neither": 0.35}
HARMLESS = {"dehum": 0, "hate": 0, "ways": [], "groups": []}


def label_class(row):
    return "dehum" if row["dehum"] else "hate" if row["hate"] else "neither"


def cut(text, rng, part):
    """The end or the beginning of a text, of at least one word."""
    parts = text.split()
    at = rng.randint(1, len(parts))
    return " ".join(parts[-at:] if part == "end" else parts[:at])


class Context:
    """Draws rows with neighbours: pool rows that their source calls harmless and that name no group, or prose."""

    def __init__(self, rows, pool, substituter, general=()):
        self.rows = {name: [r for r in rows if label_class(r) == name and len(r["text"].split()) <= 32] for name in SHARES}
        posts = [r["text"] for r in pool
                 if r["hate"] == 0 and 4 <= len(r["text"].split()) <= 25
                 and not substituter.mention.search(r["text"]) and not words(r["text"]) & substituter.telling]
        prose = PROSE.read_text(encoding="utf-8").splitlines()
        self.neighbours = [posts, prose, [r["text"] for r in general if len(r["text"].split()) <= 25] or prose]

    def draw(self, count, rng, alone=0.0):
        """`count` rows, labels kept, the row's own text at a random place among its neighbours; a share of neighbours alone."""
        out = []
        for at in range(count):
            row = HARMLESS if at < alone * count else rng.choice(self.rows[rng.choices(list(SHARES), SHARES.values())[0]])
            neighbours = rng.choice(self.neighbours)
            own = row.get("text")
            texts = [own or rng.choice(neighbours)]
            length = len(texts[0].split())
            for _ in range(rng.randint(1, MAX_NEIGHBOURS)):
                neighbour = rng.choice(neighbours)
                length += len(neighbour.split())
                if length > MAX_WORDS:
                    break
                texts.insert(rng.randint(0, len(texts)), neighbour)
            # A window of a longer text rarely begins and ends where a sentence does.
            if texts[0] is not own and rng.random() < 0.5:
                texts[0] = cut(texts[0], rng, "end")
            if texts[-1] is not own and rng.random() < 0.5:
                texts[-1] = cut(texts[-1], rng, "beginning")
            out.append({**row, "text": rng.choice((" ", " ", "\n")).join(texts)})
        return out
