"""Texts as long as short posts are, made of common words by a seeded generator."""

import random

WORDS = """
the a of and to in we they was were for on with new old city market school river train late early people friend music
game played went home from work today again good bad very not never always news said mayor street house rain sun bread
tea coffee dog cat bird tree garden road bridge light window door table chair book letter phone radio movie song team
coach goal match winner summer winter spring morning evening night week month year family mother father sister brother
child teacher doctor driver farmer baker painter writer country village mountain lake sea beach island forest field
north south east west left right open closed long short high low warm cold dry wet green blue red white black small
large great little first last next same other many some few more most every each both half ten twenty hundred money
price shop store bank office factory machine engine car bus bike boat plane station ticket travel visit walk run drive
cook eat drink sleep read write speak listen watch find keep make take give tell ask think know want need like love
hope wait help start stop turn move build buy sell pay meet leave arrive return their our your his her its this that
these those who which what when where why how because but or if while after before until since over under between near
""".split()
TOKENS = 126  # of the longest text, with [CLS] and [SEP]


def text(rng, tokens):
    """A text of this many tokens, two of them special: a word or a mark is one each."""
    parts, capital = [], True
    for left in range(tokens - 2, 0, -1):
        if parts and not capital and (left == 1 or rng.random() < 0.08):
            mark = "." if left == 1 or rng.random() < 0.5 else ","
            parts[-1] += mark
            capital = mark == "."
            if capital:
                continue
        else:
            word = rng.choice(WORDS)
            parts.append(word.capitalize() if capital else word)
            capital = False
    return " ".join(parts)


def posts(count, seed=7):
    """Texts of a gamma distribution of lengths: mean near 31.7 tokens, 99 in 100 below about 101, none above 126."""
    rng = random.Random(seed)
    lengths = [min(TOKENS, max(4, round(2 + rng.gammavariate(2, 15.2)))) for _ in range(count)]
    return [text(rng, tokens) for tokens in lengths]


def single():
    """One text of 32 tokens."""
    return text(random.Random(8), 32)
