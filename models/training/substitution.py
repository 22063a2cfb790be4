"""Group substitution: a labelled text about one group becomes a text about another, its other labels kept.

It teaches (and, with names held out of training, measures) that what is said counts and not of whom, and it gives
caste, age, disability and serious disease positives that the corpus hardly has.
"""

import collections
import csv
import random
import re
from dataclasses import dataclass
from pathlib import Path

from data import words
from labels import CATEGORIES, CATEGORY_OF_CODE, CODE_OF_CATEGORY, RARE_CATEGORIES

PRONOUNS = {"she", "her", "hers", "herself", "he", "him", "his", "himself", "girl", "girls", "boy", "boys", "wife", "husband"}
FUNCTION_WORDS = {  # after one of these (or a mark) a singular name stands alone and is no modifier of a noun
    "", "is", "was", "has", "had", "are", "and", "or", "but", "who", "that", "in", "on", "at", "to", "for", "from", "with", "should",
    "would", "will", "can", "could", "must", "like", "because", "than", "as", "when", "if", "does", "doesn't", "isn't", "can't"}
BEFORE_THE = {"", "that", "and", "or", "if", "because", "like", "of", "for", "by", "with", "to", "are", "why", "when", "as", "than", "from",
              "about", "on", "at", "let", "think", "hate", "love", "see", "but", "how"}


@dataclass(frozen=True)
class Group:
    categories: tuple
    plural: str
    singular: str
    adjective: str
    part: str


def read_groups(path=None):
    """The lexicon: names that training may use, and names held out of it."""
    path = path or Path(__file__).resolve().parent / "groups.tsv"
    with open(path, encoding="utf-8", newline="") as f:
        return [Group(tuple(r["categories"].split(",")), r["plural"], r["singular"], r["adjective"], r["part"])
                for r in csv.DictReader(f, delimiter="\t")]


INVENTED_CATEGORIES = ("religion", "caste", "ethnicity", "national_origin")
# Of the plural, and of the singular and the adjective. An "s" alone would leave a word as it is, and is passed over.
ENDINGS = (("s", ""), ("ans", "an"), ("ians", "ian"), ("is", "i"), ("ites", "ite"), ("ens", "en"), ("ars", "ar"), ("ums", "um"),
           ("aks", "ak"), ("ors", "or"), ("us", "u"), ("ts", "t"), ("yas", "ya"), ("enes", "ene"), ("ims", "im"), ("as", "a"))


def invented_groups(count, tokenizer, seed=11):
    """{category: `count` groups that there are not}, for categories whose names are often rare.

    The tokenizer cuts a rare name up, and its first piece may be a word of its own. Such a piece with some ending, where a
    name stands, says that these are people of a group, though not of which: `categories` is empty. None begins as a name does
    that is held out of training.
    """
    held_out = {tokenizer.encode(name, add_special_tokens=False).tokens[0]
                for g in read_groups() if g.part == "held_out" for name in (g.plural, g.singular, g.adjective) if name}
    words = [w for w, i in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]) if i < 15_000 and re.fullmatch("[a-z]{3,5}", w)]
    rng, found = random.Random(seed), {}
    while len(found) < count * len(INVENTED_CATEGORIES):
        word, (plural, singular) = rng.choice(words), rng.choice(ENDINGS)
        name = (word + singular).capitalize()
        pieces = [tokenizer.encode(n, add_special_tokens=False).tokens for n in (word + plural, name)]
        if singular and len(pieces[0]) > 1 and not {p[0] for p in pieces} & held_out:
            found[name] = Group((), (word + plural).capitalize(), name, name, "invented")
    groups = list(found.values())
    return {c: groups[i * count : (i + 1) * count] for i, c in enumerate(INVENTED_CATEGORIES)}


def telling_words(rows):
    """Words that go with one category (slurs, dress, places of worship): a text with one is not safe to swap."""
    seen, by = collections.Counter(), collections.Counter()
    base = collections.Counter(c for r in rows for c in set(r["groups"]))
    for r in rows:
        for w in words(r["text"]):
            seen[w] += 1
            for c in set(r["groups"]):
                by[w, c] += 1
    return {w for (w, c), n in by.items()
            if c in CATEGORY_OF_CODE and seen[w] >= 4 and n / seen[w] >= max(0.6, 1.8 * base[c] / len(rows))}


class Substituter:
    """Finds the texts that are safe to swap and draws substituted ones."""

    def __init__(self, rows, held_out, telling_from=None, invented=None):
        """`invented` is {category: groups} to draw as well."""
        groups = read_groups()
        self.targets = collections.defaultdict(list)
        for g in groups:
            if (g.part == "held_out") == held_out:
                for c in g.categories:
                    self.targets[c].append(g)
        for c, names in (invented or {}).items():
            self.targets[c] += names
        self.forms = {}  # surface form -> (kind, group)
        for g in groups:
            self.forms.setdefault(g.plural.lower(), ("plural", g))
            if g.adjective:
                for noun in ("people", "folks"):
                    self.forms.setdefault(f"{g.adjective} {noun}".lower(), ("plural", g))
                self.forms.setdefault(f"{g.adjective} person".lower(), ("singular", g))
            if g.singular:
                self.forms.setdefault(g.singular.lower(), ("singular", g))
        longest_first = sorted(self.forms, key=len, reverse=True)
        self.mention = re.compile(r"(?<![\w#@'-])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![\w'’-])", re.IGNORECASE)
        self.telling = telling_words(telling_from or rows)
        self.safe = collections.defaultdict(list)  # label class -> (row, spans, kind)
        for r in rows:
            found = self.find(r)
            if found:
                self.safe["dehum" if r["dehum"] else "hate" if r["hate"] else "neither"].append((r, *found))

    def find(self, row):
        """(spans, kind) of the one group a text names, or None where a swap is not safe."""
        text = row["text"]
        found = list(self.mention.finditer(text))
        if not found or len({m.group(0).lower() for m in found}) > 1:
            return None
        kind, group = self.forms[found[0].group(0).lower()]
        own = {CODE_OF_CATEGORY[c] for c in group.categories}
        given = set(row["groups"]) - {"oth"}
        if given != own and not (own in ({"rel"}, {"nat"}) and given == own | {"eth"}):
            return None
        rest = words(self.mention.sub(" ", text))
        if rest & self.telling or rest & PRONOUNS:
            return None
        if kind == "singular":
            for m in found:
                before, after = text[: m.start()].lower(), text[m.end():].lower()
                following = re.match(r"\s*([a-z']*)", after).group(1)
                if not re.search(r"\b(an?|every|another|any)\s+$", before) or following not in FUNCTION_WORDS:
                    return None
        return [m.span() for m in found], kind

    def swap(self, row, spans, kind, category, rng):
        """The row about another group of `category`."""
        text = row["text"]
        starts_noun_phrase = all(
            (re.search(r"(\S*)\s*$", text[:a]).group(1).lower().strip(".,!?:;\"“”()") in BEFORE_THE) for a, _ in spans)
        fits = [g for g in self.targets[category]
                if (g.plural if kind == "plural" else g.singular)
                and (kind == "singular" or starts_noun_phrase or not g.plural.startswith("the "))]
        group = rng.choice(fits)
        name = group.plural if kind == "plural" else group.singular
        for a, b in reversed(spans):
            before = text[:a]
            if kind == "singular":
                article = "an" if name[0].lower() in "aeio" else "a"
                before = re.sub(r"\b(a)n?(\s+)$", lambda m: (article if m.group(1) == "a" else article.title()) + m.group(2), before, flags=re.IGNORECASE)
            text = before + name + text[b:]
        return {**row, "text": text, "groups": [CODE_OF_CATEGORY[c] for c in group.categories], "substituted": category}

    def draw(self, count, rng, classes=("dehum", "hate", "neither"), shares=(0.4, 0.3, 0.3)):
        """`count` substituted rows; the four rare categories come three times as often, classes alike in each."""
        bag = [c for c in CATEGORIES for _ in range(3 if c in RARE_CATEGORIES else 1)]
        out = []
        for i in range(count):
            category = bag[i % len(bag)]
            kind_of_row = rng.choices(classes, shares)[0]
            out.append(self.swap(*rng.choice(self.safe[kind_of_row]), category, rng))
        return out

    def all_rows(self, category, rng):
        """Every safe text once, about a group of `category`."""
        return [self.swap(*entry, category, rng) for entries in self.safe.values() for entry in entries]
