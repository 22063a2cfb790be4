"""The training loop."""

import math
import random
import time
from dataclasses import asdict, dataclass

import torch
from torch import nn

import data
import pseudo
from context import Context
from labels import DEHUM, HATE, LABELS
from model import base_directory, from_base, load_tokenizer, pad
from substitution import Substituter, invented_groups
from templates import Templates

CONTEXT_TEMPLATES = 8_000  # texts of templates that may be set in context, beside the labelled ones


@dataclass
class Options:
    epochs: int = 3
    stop: int = 0  # end after so many epochs of the schedule; 0 for all
    lr: float = 8e-5
    head_lr: float = 1e-3
    layer_decay: float = 0.9
    batch: int = 32
    warmup: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1
    pooling: str = "cls"
    labelled: int = 1  # 0 leaves the labelled texts out: a stage on the pool alone
    pseudo_rows: int = 0  # texts of the pool with an earlier model's soft labels an epoch (pseudo.py)
    pseudo_from: int = 0  # the first of them to take
    pool_rows: tuple = ()  # rows of the weak pool by epoch, the last one repeated; () for none
    pool_from: int = 0  # the first row of the (shuffled) pool to take
    pool_weight: float = 0.5
    substituted: int = 0  # substituted texts an epoch
    invented: int = 0  # names that there are not, for each of some categories (substitution.py)
    templates: int = 0  # texts from our own templates an epoch (templates.py)
    context: int = 0  # texts an epoch set among harmless ones (context.py)
    posts: int = 0  # how often an epoch has each of our own posts
    general: int = 0  # texts of general prose an epoch (draw_general)
    alone: float = 0.0  # the share of them that are harmless ones alone
    dehum_weight: float = 3.0
    hate_weight: float = 1.0
    other_weight: float = 0.5
    mentioned: float = 0.0  # the target of groups that a text names without dehumanizing (data.targets)
    ema: float = 0.0  # decay per step; 0 for none
    seed: int = 7
    max_rows: int = 0  # only so many labelled rows; 0 for all
    newest: int = 0  # labels of this round and later are all taken, whatever max_rows is; 0 for none


def substituter_for(corpus, o):
    """What draws names of groups for the options, or None where they need none."""
    if not (o.substituted or o.templates or o.context):
        return None
    invented = invented_groups(o.invented, load_tokenizer(base_directory())) if o.invented else None
    return Substituter(corpus.train, held_out=False, invented=invented)


def label_weights(o):
    w = torch.full((len(LABELS),), o.other_weight)
    w[DEHUM], w[HATE] = o.dehum_weight, o.hate_weight
    return w


def parameter_groups(model, o):
    """Lower layers move less: they hold general language, and the labelled data are small."""
    layers = model.bert.config.num_hidden_layers
    groups = {}
    for name, p in model.named_parameters():
        if name.startswith("classifier"):
            lr = o.head_lr
        elif "embeddings" in name:
            lr = o.lr * o.layer_decay ** (layers + 1)
        else:
            lr = o.lr * o.layer_decay ** (layers - 1 - int(name.split("layer.")[1].split(".")[0]))
        decay = 0.0 if p.ndim < 2 else o.weight_decay
        groups.setdefault((lr, decay), []).append(p)
    return [{"params": ps, "lr": lr, "weight_decay": wd} for (lr, wd), ps in groups.items()]


class Average:
    """Exponential moving average of the weights, taken every few steps to stay cheap."""
    EVERY = 4

    def __init__(self, model, decay):
        self.decay = decay ** self.EVERY
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items() if v.is_floating_point()}
        self.count = 0

    @torch.no_grad()
    def update(self, model):
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for k, v in model.state_dict().items():
            if k in self.shadow:
                self.shadow[k].lerp_(v, 1 - decay)


def draw_general(rows, count, rng):
    """`count` rows of general prose (fewer where there are not as many): at most half of them those that teach most."""
    fired, others = [r for r in rows if r["fired"]], [r for r in rows if not r["fired"]]
    fired = rng.sample(fired, min(len(fired), count // 2))
    return fired + rng.sample(others, min(len(others), count - len(fired)))


def epoch_examples(tokenizer, corpus, o, epoch, fixed, substituter, templates, context, pool_at):
    """The labelled texts, fresh texts of our own templates, substituted and in context, and the next rows of the pool."""
    examples = list(fixed)
    if o.substituted:
        rng = random.Random(f"{o.seed}/{epoch}")
        examples += data.labelled(tokenizer, substituter.draw(o.substituted, rng), o.mentioned)
    if o.templates:
        examples += data.labelled(tokenizer, templates.draw(o.templates, random.Random(f"{o.seed}/templates/{epoch}")), o.mentioned)
    if o.posts:
        examples += data.labelled(tokenizer, corpus.posts, o.mentioned) * o.posts
    if context:
        examples += data.labelled(tokenizer, context.draw(o.context, random.Random(f"{o.seed}/context/{epoch}"), o.alone), o.mentioned)
    if o.general:
        examples += data.labelled(tokenizer, draw_general(corpus.general, o.general, random.Random(f"{o.seed}/general/{epoch}")))
    if o.pool_rows:
        count = o.pool_rows[min(epoch, len(o.pool_rows) - 1)]
        rows = [corpus.pool[(pool_at + i) % len(corpus.pool)] for i in range(count)]
        pool_at += count
        examples += data.weak(tokenizer, rows, o.pool_weight)
    if o.pseudo_rows:
        first = o.pseudo_from + epoch * o.pseudo_rows
        rows = [corpus.pseudo[(first + i) % len(corpus.pseudo)] for i in range(o.pseudo_rows)]
        examples += pseudo.examples(tokenizer, rows)
    return examples, pool_at


def fit(corpus, o, substituter=None, after_epoch=None, model=None, log=print):
    """Trains and returns (model, {"seconds", "steps"}); after_epoch(model, epoch, seconds) sees the averaged weights.
    With `model` it goes on from that one (a further stage), else it starts from the base."""
    torch.manual_seed(o.seed)
    rng = random.Random(o.seed)
    tokenizer = load_tokenizer(base_directory())
    model = model or from_base(o.pooling, o.dropout)
    rows = corpus.train + corpus.authored
    if o.max_rows:
        newest = [r for r in rows if o.newest and r.get("round", 0) >= o.newest]
        rows = newest + rng.sample([r for r in rows if not o.newest or r.get("round", 0) < o.newest], o.max_rows)
    fixed = data.labelled(tokenizer, rows, o.mentioned) if o.labelled else []

    templates = Templates(substituter.targets) if o.templates or o.context else None
    context = None
    if o.context:
        posts = corpus.posts if o.posts else []
        made = templates.draw(CONTEXT_TEMPLATES, random.Random(f"{o.seed}/context"))
        context = Context(corpus.train + corpus.authored + posts + made, corpus.pool, substituter, corpus.general)
    plans, pool_at = [], o.pool_from
    for epoch in range(o.epochs):
        examples, pool_at = epoch_examples(tokenizer, corpus, o, epoch, fixed, substituter, templates, context, pool_at)
        plans.append((examples, data.batches(examples, o.batch, rng)))
    steps = sum(len(b) for _, b in plans)
    warm = max(1, int(steps * o.warmup))
    log(f"{asdict(o)}\n{len(fixed)} labelled, {[len(e) for e, _ in plans]} texts by epoch, {steps} steps", flush=True)

    optimizer = torch.optim.AdamW(parameter_groups(model, o), betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: s / warm if s < warm else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (s - warm) / (steps - warm))))
    per_label = label_weights(o)
    average = Average(model, o.ema) if o.ema else None
    began, step, running = time.time(), 0, 0.0
    for epoch, (examples, plan) in enumerate(plans):
        model.train()
        for part in plan:
            ids, mask = pad([examples[i].ids for i in part])
            target = torch.stack([examples[i].target for i in part])
            weight = torch.stack([examples[i].weight for i in part]) * per_label
            loss = (nn.functional.binary_cross_entropy_with_logits(model(ids, mask), target, reduction="none") * weight).sum() / len(part)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            running = 0.98 * running + 0.02 * loss.item() if step > 1 else loss.item()
            if average and step % Average.EVERY == 0:
                average.update(model)
            if step % 50 == 0:
                log(f"epoch {epoch} step {step}/{steps} loss {running:.4f} {time.time() - began:.0f} s", flush=True)
        if after_epoch:
            plain = {k: v.clone() for k, v in model.state_dict().items()}
            if average:
                model.load_state_dict(average.shadow, strict=False)
            after_epoch(model, epoch, time.time() - began)
            model.load_state_dict(plain)
        if o.stop and epoch + 1 == o.stop:
            break
    if average:
        model.load_state_dict(average.shadow, strict=False)
    model.eval()
    return model, {"seconds": round(time.time() - began), "steps": step}
