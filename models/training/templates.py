"""Texts from our own templates: what dehumanizes, its quotation, denial and report, and what only looks like it.

`templates/` holds seven tables and two word lists (and prose, for `context.py`). The positive sides are
`dehumanizing.tsv`, `presupposed.tsv` (what a denial in the register of approval presupposes: "no longer ...") and `plain.tsv`
(one plain sentence about people somewhere). The negative sides are `counter.tsv` (negation, quotation, news, testimony ...),
`approval.tsv` (approval that presupposes nothing, and criticism of such that does), `everyday.tsv` (the same people and places
as in `plain.tsv`, and nothing said against them) and `harmless.tsv` (mention, plain hatred, literal use ...). All share group
names and words, and a text of `counter.tsv` may quote a positive one whole ({claim}), so that no word alone tells the sides
apart. Group names are those that training may use (`groups.tsv`); the templates and names of the functional suite
(`tests/functional/`) are others.
"""

import collections
import csv
import re
from pathlib import Path

from labels import CATEGORIES, CODE_OF_CATEGORY, RARE_CATEGORIES

DIRECTORY = Path(__file__).resolve().parent / "templates"
SHARES = {"dehumanizing": 0.22, "presupposed": 0.03, "plain": 0.05, "counter": 0.30, "approval": 0.02, "everyday": 0.05, "harmless": 0.33}
DEHUMANIZING = {"dehumanizing", "presupposed", "plain"}
SLOT = re.compile(r"\{(\w+)\}")
OF_WOMEN = re.compile(r"\{adjective\} (wom[ae]n|girls?|mothers?|wi(fe|ves)|ladies|females?|brides?|men|boys|fathers)\b")
# Words after which {plural} stands for someone in the second person or alone; "the elderly" reads badly there.
NEGATION = re.compile(r"(not|no|something|anything)\b")
NO_ARTICLE = re.compile(r"\b(the|you|those|these|all|some|many|most|few|young|two|three|more|other|no|our|their|my)\s+\{plural\}", re.IGNORECASE)


def read(name):
    with open(DIRECTORY / name, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


class Templates:
    """Draws labelled rows."""

    def __init__(self, targets):
        """`targets` is {category: groups} (substitution.py)."""
        self.targets = targets
        self.words = collections.defaultdict(list)
        for r in read("terms.tsv") + read("others.tsv"):
            self.words[r["slot"]].append(r["term"])
        self.sides = {}
        for side in SHARES:
            rows = []
            for r in read(f"{side}.tsv"):
                allowed = [c for c in (r["categories"] or "").split(",") if c] or CATEGORIES
                unknown = set(SLOT.findall(r["template"])) - set(self.words) - {"plural", "singular", "adjective", "claim", "claim_lower"}
                if unknown or set(allowed) - set(CATEGORIES):
                    raise ValueError(f"{side}.tsv: {unknown} {allowed}: {r['template']}")
                rows.append({"kind": side, "ways": "", "hate": "1", **r, "allowed": allowed})
            self.sides[side] = rows
        self.positive_by_category = {c: [r for r in self.sides["dehumanizing"] if c in r["allowed"]] for c in CATEGORIES}

    def fits(self, template, group):
        slots = SLOT.findall(template)
        return all(getattr(group, s) for s in ("singular", "adjective") if s in slots) and not (
            group.plural.startswith("the ") and NO_ARTICLE.search(template))

    def fill(self, template, group, rng, claim=None):
        """The text; on the negative sides, where `claim` is not None, no word may be a negation itself."""
        values = {}
        for slot in dict.fromkeys(SLOT.findall(template)):  # in their order, so that draws repeat
            if slot in ("plural", "singular", "adjective"):
                values[slot] = getattr(group, slot)
            elif slot.startswith("claim"):
                values[slot] = claim if slot == "claim" else claim[:1].lower() + claim[1:]
            else:
                values[slot] = rng.choice(self.words[slot] if claim is None else [w for w in self.words[slot] if not NEGATION.match(w)])
        text = SLOT.sub(lambda m: values[m.group(1)], template)
        name = values.get("singular") or values.get("adjective")
        if name:
            article = "an" if name[0].lower() in "aeio" else "a"
            text = re.sub(rf"\b([Aa])n?(?= {re.escape(name)}\b)", lambda m: m.group(1) + article[1:], text)
        return text

    def group_for(self, row, category, rng):
        for _ in range(20):
            group = rng.choice(self.targets[category])
            if self.fits(row["template"], group):
                return group
        return None

    def row(self, side, row, category, rng):
        """A labelled row, or None where no name of the category fits."""
        template, ways = row["template"], list(row["ways"])
        group = self.group_for(row, category, rng)
        if group is None:
            return None
        claim = "" if side in ("counter", "approval", "everyday") else None
        if "{claim" in template:
            positive = rng.choice(self.positive_by_category[category])
            if not self.fits(positive["template"], group):
                return None
            claim = self.fill(positive["template"], group, rng).rstrip(".! ")
        codes = [CODE_OF_CATEGORY[c] for c in group.categories]
        if OF_WOMEN.search(template) and "gen" not in codes:
            codes.append("gen")
        dehumanizing = side in DEHUMANIZING
        hate = None if row["hate"] == "?" else int(row["hate"])
        return {"text": self.fill(template, group, rng, claim), "dehum": int(dehumanizing), "hate": hate, "ways": ways, "groups": codes}

    def draw(self, count, rng):
        """`count` rows: the sides by their shares, templates of a side in turn (each equally often), rare categories more often."""
        out = []
        for side, share in SHARES.items():
            rows, wanted, made, at = self.sides[side][:], round(count * share), 0, 0
            rng.shuffle(rows)
            while made < wanted:
                row = rows[at % len(rows)]
                at += 1
                category = rng.choices(row["allowed"], [2 if c in RARE_CATEGORIES else 1 for c in row["allowed"]])[0]
                drawn = self.row(side, row, category, rng)
                if drawn:
                    out.append(drawn)
                    made += 1
        rng.shuffle(out)
        return out
