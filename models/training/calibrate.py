"""Platt calibration and the thresholds of the categories, both fitted on dev."""

import numpy as np

from labels import CATEGORIES, CATEGORY_OFFSET, DEHUM

ENOUGH = 25  # dev positives from which a label is calibrated on dev alone


def platt(logit, truth):
    """slope > 0 and intercept of sigmoid(slope * logit + intercept), with Platt's smoothed targets (damped Newton)."""
    z, y = np.asarray(logit, dtype=float), np.asarray(truth, dtype=float)
    pos, neg = y.sum(), len(y) - y.sum()
    t = np.where(y > 0, (pos + 1) / (pos + 2), 1 / (neg + 2))
    x = np.stack([z, np.ones_like(z)], 1)

    def loss(b):
        s = x @ b
        return (np.logaddexp(0, s) - t * s).sum()

    b = np.array([1.0, 0.0])
    for _ in range(200):
        p = 1 / (1 + np.exp(-np.clip(x @ b, -40, 40)))
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + 1e-9 * np.eye(2), x.T @ (p - t))
        size = 1.0
        while size > 1e-6 and loss(b - size * step) > loss(b):
            size /= 2
        b = b - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    if b[0] <= 0:
        raise SystemExit("a label's logit does not rank its positives first: slope <= 0")
    return {"slope": float(b[0]), "intercept": float(b[1])}


def apply(calibration, logits):
    slope = np.array([c["slope"] for c in calibration])
    intercept = np.array([c["intercept"] for c in calibration])
    return 1 / (1 + np.exp(-(np.asarray(logits, dtype=float) * slope + intercept)))


def calibrate(logits, truth, substituted):
    """A calibration per label; `substituted` is {category: (logits, truth)} for those with too few dev positives."""
    out = []
    for label in range(truth.shape[1]):
        z, y, on = logits[:, label], truth[:, label], "dev"
        if y.sum() < ENOUGH:
            extra, extra_truth = substituted[CATEGORIES[label - CATEGORY_OFFSET]]
            z, y = np.concatenate([z, extra[:, label]]), np.concatenate([y, extra_truth[:, label]])
            on = "dev and its substituted texts"
        out.append({**platt(z, y), "fitted_on": on})
    return out


def counts(truth, chosen):
    hits = int((truth & chosen).sum())
    return {"n": int(len(truth)), "positives": int(truth.sum()), "chosen": int(chosen.sum()),
            "precision": hits / max(1, int(chosen.sum())), "recall": hits / max(1, int(truth.sum()))}


def best_f1(truth, p):
    """(threshold in steps of 0.05, F1)"""
    best = (0.5, -1.0)
    for t in np.arange(0.1, 0.91, 0.05):
        c = counts(truth, p >= t)
        f1 = 2 * c["precision"] * c["recall"] / max(1e-9, c["precision"] + c["recall"])
        if f1 > best[1] + 1e-6:
            best = (round(float(t), 2), f1)
    return best


def because(truth, p, substituted):
    """The thresholds at which categories are named; `substituted` is {category: (probabilities, truth)} of the rare ones."""
    y = truth[:, DEHUM].astype(bool)
    block = slice(CATEGORY_OFFSET, CATEGORY_OFFSET + len(CATEGORIES))
    default, default_f1 = best_f1(truth[y][:, block].astype(bool).ravel(), p[y][:, block].ravel())
    categories = {}
    for i, c in enumerate(CATEGORIES):
        label = CATEGORY_OFFSET + i
        q, t = p[y][:, label], truth[y][:, label].astype(bool)
        if c in substituted:
            extra, extra_truth = substituted[c]
            on = extra_truth[:, DEHUM] > 0
            q, t = np.concatenate([q, extra[on][:, label]]), np.concatenate([t, extra_truth[on][:, label].astype(bool)])
        own, f1 = best_f1(t, q)
        c_default = counts(t, q >= default)
        f1_default = 2 * c_default["precision"] * c_default["recall"] / max(1e-9, c_default["precision"] + c_default["recall"])
        if f1 > f1_default + 0.01:
            categories[c] = own
    return {"default": default, "f1": default_f1, "categories": categories, "n": int(y.sum())}


def policy_toml(b, model, version):
    """A policy for `dignity policy tune` to start from: it keeps the categories' thresholds and chooses the others."""
    lines = [
        "format = 1", 'name = "balanced"', f'version = "{version}"', f'model = "{model}"', ""]
    for level in ("flag", "review"):
        lines += [f"[{level}]", "dehumanization = 0.5", 'chosen = "not chosen yet"', ""]
    lines += [
        "[because]", f"default = {b['default']}",
        f'chosen = "best F1 over categories on the {b["n"]} dehumanizing dev texts (F1 {b["f1"]:.3f}); '
        'own thresholds where they gain more than 0.01 F1, for caste, age, disability and serious disease with substituted dev texts"']
    if b["categories"]:
        lines += ["", "[because.categories]"] + [f"{c} = {t}" for c, t in b["categories"].items()]
    return "\n".join(lines) + "\n"
