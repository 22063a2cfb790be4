"""Ranking and calibration figures."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score


def ranking(truth, score):
    """{"ap", "auc", "n", "positives"}; None where one class is missing."""
    truth, score = np.asarray(truth, dtype=int), np.asarray(score, dtype=float)
    both = 0 < truth.sum() < len(truth)
    return {"ap": float(average_precision_score(truth, score)) if both else None,
            "auc": float(roc_auc_score(truth, score)) if both else None,
            "n": int(len(truth)), "positives": int(truth.sum())}


def calibration_error(truth, probability, bins=10):
    """Expected calibration error over bins of equal count."""
    truth, probability = np.asarray(truth, dtype=float), np.asarray(probability, dtype=float)
    order = np.argsort(probability, kind="stable")
    total = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            total += len(part) * abs(truth[part].mean() - probability[part].mean())
    return total / len(truth)
