"""Short contrasting texts from frames of our own, after the codebook's two lists: what dehumanizes, and what only looks like it.

The same group and the same term stand in a text that dehumanizes and in texts that deny, report or condemn it, speak of
real animals and things, or aim at people who are no protected group. Group names are those that training may use.
"""

from labels import CATEGORIES, CODE_OF_CATEGORY, RARE_CATEGORIES

TERMS = {  # plural nouns by way
    "a": "rats vermin pigs dogs cockroaches parasites leeches apes monkeys insects locusts maggots snakes cattle sheep mules lice ticks "
         "hyenas vultures worms termites pests strays livestock".split(),
    "d": ["a disease", "a plague", "a virus", "an infection", "filth", "dirt", "garbage", "trash", "scum", "a cancer", "refuse", "sewage",
          "a contagion", "muck", "a stain"],
    "o": ["tools", "objects", "things", "merchandise", "breeding machines", "spare parts", "furniture", "property", "scrap", "robots", "meat",
          "goods", "toys", "junk"],
    "m": ["subhuman", "monsters", "demons", "savages", "lesser beings", "a lower species", "not really human", "half human", "devils", "creatures"],
    "n": ["worthless", "worth nothing", "a waste of oxygen", "worth less than a dog", "without a soul", "empty inside, with no feelings", "not worth the food they eat"],
}
DEHUMANIZING = [  # {g} group, {t} term; the way is the term's
    "{g} are {t}", "{g} are {t}.", "{g} are nothing but {t}", "all {g} are {t}!", "face it, {g} are {t}", "to me {g} are just {t}",
    "let's be honest: {g} are {t} and always will be", "I look at {g} and all I see is {t}", "{g}? {t}.", "my town is full of {g}, and they are {t}",
    "{g} pretend to be people but they are {t}", "the more {g} I meet the surer I am that they are {t}", "why do we feed {g}? they are {t}",
    "{g} are {t}, treat them that way", "don't argue with {g}. they are {t}", "we all know what {g} are: {t}",
]
DEHUMANIZING_AS_WRITTEN = [  # with their ways
    ("{g} breed like rabbits", "a"), ("{g} infest our streets", "a"), ("{g} swarm into every corner of this country", "a"),
    ("keep {g} in cages where they belong", "a"), ("{g} should be put down like sick dogs", "a"), ("{g} belong in a zoo", "a"),
    ("{g} crawl out of their holes at night", "a"), ("time to exterminate {g}", "a"), ("put a leash on {g}", "a"), ("{g} live and smell like swine", "a"),
    ("we must cleanse the neighbourhood of {g}", "d"), ("{g} are infecting our nation", "d"), ("scrub {g} off our streets", "d"),
    ("flush {g} down the toilet", "d"), ("{g} contaminate everything they touch", "d"), ("throw {g} out with the rest of the rubbish", "d"),
    ("{g} should be bought and sold", "o"), ("{g} exist to be used and thrown away", "o"), ("I would trade {g} for a used car", "o"),
    ("{g} belong on the scrap heap", "o"), ("owning {g} should be legal again", "o"), ("recycle {g} for parts", "o"),
    ("{g} are not human", "m"), ("{g} are not people", "m"), ("evolution went wrong with {g}", "m"), ("hell spat {g} out", "m"),
    ("calling {g} human is an insult to humans", "m"), ("{g} have no soul", "n"), ("{g} feel no pain the way we do", "n"),
    ("{g} cannot love or think like humans", "n"), ("the life of a stray cat matters more than the lives of {g}", "n"),
    ("{g} should never have been born as a kind", "n"),
]
DENIED = [
    "{g} are not {t}", "{g} aren't {t}.", "{g} are not {t}, they are people like you", "{g} were never {t}", "{g} are human beings, not {t}",
    "it is a lie that {g} are {t}", "no, {g} are not {t}, and I won't hear it again", "my kids learn early that {g} are not {t}",
    "I don't believe for a second that {g} are {t}", "only a fool believes {g} are {t}", "nobody in this house calls {g} {t}",
    "he shouted that {g} are {t} and was thrown out of the bar", "the leaflet called {g} {t}; the printer was fined",
    "in 1938 the paper wrote that {g} are {t}. we know how it ended", "how can anyone call {g} {t}?", "please stop calling {g} {t}",
    "I was told all my life that {g} are {t}. I was told wrong", "they treat {g} like {t} and it breaks my heart",
    "the teacher explained why propaganda compared {g} with {t}", "a senator who says {g} are {t} should resign",
    "growing up among {g} I heard strangers call us {t}", "it hurts when people talk about {g} as if they were {t}",
    "the judge ruled that calling {g} {t} was incitement", "{g} don't breed like rabbits, that is an old slander", "of course {g} have a soul",
    "{g} do feel pain, and doctors ought to know it", "{g} have feelings, just like everyone", "{g} are fully human", "the lives of {g} are worth as much as mine",
    "{g} are people", "{g} are human too", "{g} must never again be treated as property", "who says {g} belong in cages? shame on him",
]
LITERAL = [
    "{g} in the valley keep {a}", "there are {a} under the floor again", "{a} got into the shed last night", "the vet talked to {g} about {a}",
    "{g} volunteer at the animal shelter", "a documentary about {a} was on yesterday", "{g} paid more for goods and furniture this year",
    "the clinic treats {g} for an infection of the lungs", "{g} helped to clear garbage from the beach", "{g} sort trash at the plant on night shift",
    "scientists study a virus that {g} catch more often than others", "the plague reached the port in spring", "take the junk to the recycling yard",
    "{g} repair robots in our workshop", "{g} told ghost stories about demons", "a museum of toys opened, and {g} came in crowds",
]
PLAIN = [
    "{g} moved in next door", "{g} are kind", "I had lunch with {g} today", "{g} won the prize this year", "{g} vote on Sunday", "a film about {g}",
    "{g} deserve respect", "we hired {g} for the new shop", "{g} sang at the festival", "many {g} live in this town", "{g} are my friends",
    "more doctors for {g}, please", "{g} wrote to the mayor", "the survey asked {g} about their work", "proud of {g} today",
]
OTHERS = ["landlords", "politicians", "referees", "bankers", "traffic wardens", "lawyers", "journalists", "car thieves", "rival fans", "lobbyists",
          "spammers", "scammers", "influencers", "my flatmates", "the people at my office", "those managers", "tax collectors", "game developers",
          "telemarketers", "the men who robbed us", "fascists", "dictators", "communists", "liberals", "conservatives", "cops", "drug dealers"]
SHARES = [("dehumanizing", 0.38), ("denied", 0.32), ("others", 0.12), ("literal", 0.08), ("plain", 0.10)]


def row(text, ways="", groups=()):
    return {"text": text, "dehum": int(bool(ways)), "hate": int(bool(ways)), "ways": list(ways), "groups": list(groups)}


def draw(count, targets, rng):
    """`count` rows; `targets` is {category: groups}, rare categories come three times as often."""
    bag = [c for c in CATEGORIES for _ in range(3 if c in RARE_CATEGORIES else 1)]
    kinds, weights = zip(*SHARES)
    out = []
    for i in range(count):
        group = rng.choice(targets[bag[i % len(bag)]])
        codes = [CODE_OF_CATEGORY[c] for c in group.categories]
        way = rng.choices("adomn", (5, 5, 4, 4, 3))[0]
        fill = {"g": group.plural, "t": rng.choice(TERMS[way]), "a": rng.choice(TERMS["a"])}
        kind = rng.choices(kinds, weights)[0]
        if kind == "dehumanizing":
            if rng.random() < 0.5:
                out.append(row(rng.choice(DEHUMANIZING).format(**fill), way, codes))
            else:
                text, way = rng.choice(DEHUMANIZING_AS_WRITTEN)
                out.append(row(text.format(**fill), way, codes))
        elif kind == "others":
            out.append(row(rng.choice(DEHUMANIZING).format(**{**fill, "g": rng.choice(OTHERS)})))
        else:
            if fill["t"].startswith("not "):  # no double negation
                fill["t"] = "subhuman"
            frames = {"denied": DENIED, "literal": LITERAL, "plain": PLAIN}[kind]
            out.append(row(rng.choice(frames).format(**fill), groups=codes))
    return out
