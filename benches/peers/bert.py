"""The model as PyTorch computes it: a BERT encoder of transformers, the [CLS] vector, one linear head."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

FIELDS = [
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id",
]


def read_config(directory):
    """The fields of config.json that are the encoder's geometry."""
    fields = json.loads((Path(directory) / "config.json").read_text())
    return {name: fields[name] for name in FIELDS}


class Bert(torch.nn.Module):
    """Token ids and mask in, logits out; no mask means that nothing is padding."""

    def __init__(self, config, labels, attention="sdpa"):
        super().__init__()
        self.bert = BertModel(BertConfig(**config, attn_implementation=attention), add_pooling_layer=False)
        self.classifier = torch.nn.Linear(config["hidden_size"], labels)

    def forward(self, ids, mask=None):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.classifier(hidden[:, 0])


def load(directory, weights, attention="sdpa"):
    """A model in evaluation mode with the f32 weights of the file `weights`."""
    state = load_file(weights)
    with torch.device("meta"):
        model = Bert(read_config(directory), len(state["classifier.bias"]), attention)
    model = model.to_empty(device="cpu")
    positions = model.bert.embeddings
    positions.position_ids = torch.arange(positions.position_embeddings.num_embeddings)[None]
    if hasattr(positions, "token_type_ids"):
        positions.token_type_ids = torch.zeros_like(positions.position_ids)
    named = {name if name.startswith("classifier.") else "bert." + name: value for name, value in state.items()}
    missing, unexpected = model.load_state_dict(named, strict=False)
    if missing or unexpected:
        raise SystemExit(f"{weights} does not fit: {missing} {unexpected}")
    return model.eval()
