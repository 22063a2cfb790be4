"""The categories' rows of the head, fitted again on the encoder as it ships.

A mean of stages' weights has a mean of their heads, which is not the best for the mean of their encoders. The rows start from
it and are held near it.
"""

import random

import torch
from torch import nn

import data
from labels import CATEGORIES, CATEGORY_OFFSET
from model import WINDOW_TOKENS, pad
from substitution import Substituter
from templates import Templates

NOT_DEHUMANIZING, TEMPLATES = 22_000, 5_000  # texts, beside all that dehumanize and the authored ones
MENTIONED = 0.02
DECAY, STEPS, LR, SEED = 3e-4, 400, 0.01, 3
ROWS = slice(CATEGORY_OFFSET, CATEGORY_OFFSET + len(CATEGORIES))


def texts(corpus):
    """The rows that the head is fitted on."""
    rng = random.Random(SEED)
    negative = [r for r in corpus.train if not r["dehum"]]
    rng.shuffle(negative)
    templates = Templates(Substituter(corpus.train, held_out=False).targets)
    return ([r for r in corpus.train if r["dehum"]] + negative[:NOT_DEHUMANIZING] + corpus.authored
            + templates.draw(TEMPLATES, random.Random(SEED)))


@torch.no_grad()
def features(model, sequences, batch=96):
    """[CLS] vectors of token id lists, in their order."""
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    out = torch.empty(len(sequences), model.bert.config.hidden_size)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        ids, mask = pad([sequences[i] for i in part])
        out[part] = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    return out


def refit(model, tokenizer, corpus):
    """(weight, bias) of the categories' rows."""
    rows = texts(corpus)
    sequences = [s if len(s) <= WINDOW_TOKENS else s[: WINDOW_TOKENS - 1] + s[-1:] for s in data.encode(tokenizer, [r["text"] for r in rows])]
    x, t = features(model.eval(), sequences), torch.stack([data.targets(r, MENTIONED)[ROWS] for r in rows])
    start = model.classifier.weight.detach()[ROWS]
    weight = start.clone().requires_grad_()
    bias = model.classifier.bias.detach()[ROWS].clone().requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ weight.T + bias, t, reduction="none").sum(1).mean()
        loss = loss + DECAY * (weight - start).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return weight.detach(), bias.detach()
