"""Rows of the head, fitted again on the encoder as it ships.

A mean of stages' weights has a mean of their heads, which is not the best for the mean of their encoders. The rows start from
it and are held near it. Those of dehumanization and hate also see texts in context: sentences that have nothing to do with each
other, or not much, are what the windows of a long harmless text look like.
"""

import random

import torch
from torch import nn

import data
from context import Context
from fit import draw_general
from labels import CATEGORIES, CATEGORY_OFFSET, DEHUM, HATE
from model import WINDOW_TOKENS, pad
from substitution import Substituter
from templates import Templates

NOT_DEHUMANIZING, TEMPLATES, GENERAL = 22_000, 5_000, 12_000  # texts, beside all that dehumanize and the authored ones
IN_CONTEXT, ALONE = 11_000, 0.4  # such texts, and the share of them that are harmless ones alone
CONTEXT_WEIGHT = 2.0  # what one of them counts beside a text that stands by itself
MENTIONED = 0.02
DECAY, STEPS, LR, SEED = 3e-4, 400, 0.01, 3
OVERALL_ROWS = [DEHUM, HATE]
CATEGORY_ROWS = list(range(CATEGORY_OFFSET, CATEGORY_OFFSET + len(CATEGORIES)))


def texts(corpus):
    """(rows that stand alone, rows in context) that the head is fitted on."""
    rng = random.Random(SEED)
    negative = [r for r in corpus.train if not r["dehum"]]
    rng.shuffle(negative)
    substituter = Substituter(corpus.train, held_out=False)
    templates = Templates(substituter.targets).draw(TEMPLATES, random.Random(SEED))
    alone = [r for r in corpus.train if r["dehum"]] + negative[:NOT_DEHUMANIZING] + corpus.authored + templates
    general = [r for r in corpus.general if r["hate"] is not None]
    alone += draw_general(general, GENERAL, random.Random(SEED))
    return alone, Context(corpus.train + corpus.authored, corpus.pool, substituter, corpus.general).draw(IN_CONTEXT, random.Random(SEED), ALONE)


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


def fit(head, rows, x, targets, weights):
    """Fits rows of `head`, a linear layer, to targets [texts, rows], weighted by text."""
    start = head.weight.detach()[rows].clone()
    weight, bias = start.clone().requires_grad_(), head.bias.detach()[rows].clone().requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        loss = nn.functional.binary_cross_entropy_with_logits(x @ weight.T + bias, targets, reduction="none").sum(1) @ weights / len(x)
        loss = loss + DECAY * (weight - start).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        head.weight[rows], head.bias[rows] = weight, bias


def refit(model, head, tokenizer, corpus):
    """Fits rows of `head` on the encoder of `model`."""
    alone, in_context = texts(corpus)
    rows = alone + in_context
    sequences = [s if len(s) <= WINDOW_TOKENS else s[: WINDOW_TOKENS - 1] + s[-1:] for s in data.encode(tokenizer, [r["text"] for r in rows])]
    x, targets = features(model.eval(), sequences), torch.stack([data.targets(r, MENTIONED) for r in rows])
    weights = torch.ones(len(rows))
    weights[len(alone):] = CONTEXT_WEIGHT
    fit(head, OVERALL_ROWS, x, targets[:, OVERALL_ROWS], weights)
    n = len(alone)
    fit(head, CATEGORY_ROWS, x[:n], targets[:n, CATEGORY_ROWS], weights[:n])
