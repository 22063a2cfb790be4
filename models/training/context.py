"""Labelled texts set among harmless ones: what one sentence says holds for the whole, wherever it stands.

Nearly all labelled texts are single sentences; a window of a longer text is not.
"""

from data import words

MAX_WORDS = 46  # about a window of 64 tokens
MAX_NEIGHBOURS = 5
SHARES = {"dehum": 0.4, "hate": 0.25, "neither": 0.35}


def label_class(row):
    return "dehum" if row["dehum"] else "hate" if row["hate"] else "neither"


class Context:
    """Draws rows with neighbours: pool rows that their source calls harmless and that name no group."""

    def __init__(self, rows, pool, substituter):
        self.rows = {name: [r for r in rows if label_class(r) == name and len(r["text"].split()) <= 32] for name in SHARES}
        self.neighbours = [r["text"] for r in pool
                           if r["hate"] == 0 and 4 <= len(r["text"].split()) <= 25
                           and not substituter.mention.search(r["text"]) and not words(r["text"]) & substituter.telling]

    def draw(self, count, rng):
        """`count` rows, labels kept, the row's own text at a random place among its neighbours."""
        out = []
        for _ in range(count):
            row = rng.choice(self.rows[rng.choices(list(SHARES), SHARES.values())[0]])
            texts, length = [row["text"]], len(row["text"].split())
            for _ in range(rng.randint(1, MAX_NEIGHBOURS)):
                neighbour = rng.choice(self.neighbours)
                length += len(neighbour.split())
                if length > MAX_WORDS:
                    break
                texts.insert(rng.randint(0, len(texts)), neighbour)
            out.append({**row, "text": rng.choice((" ", " ", "\n")).join(texts)})
        return out
