"""The files of a model directory."""

import hashlib
import json

from transformers import BertConfig

from labels import LABELS, roles
from model import CONFIG_FIELDS, OVERLAP, WINDOW_TOKENS, Classifier, base_directory, load_tokenizer
from quantize import load_weights, write_weights

NAME, VERSION = "dignity-small-en", "0.8.0"


def digest(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def write_model(model, out):
    """config.json, tokenizer.json and the quantized model.safetensors."""
    out.mkdir(parents=True, exist_ok=True)
    fields = json.loads((base_directory() / "config.json").read_text())
    config = {"model_type": "bert", **{k: fields[k] for k in CONFIG_FIELDS},
              "id2label": {str(i): name for i, name in enumerate(LABELS)},
              "label2id": {name: i for i, name in enumerate(LABELS)},
              "problem_type": "multi_label_classification"}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer = json.loads((base_directory() / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["truncation"] = tokenizer["padding"] = None
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    write_weights(model, out / "model.safetensors")


def read_model(directory, pooling="mean"):
    """(classifier with the dequantized weights, tokenizer) of a model directory."""
    fields = json.loads((directory / "config.json").read_text())
    model = Classifier(BertConfig(**{k: fields[k] for k in CONFIG_FIELDS}), pooling)
    return load_weights(model, directory / "model.safetensors"), load_tokenizer(directory)


def write_dignity(out, pooling, calibration):
    """dignity.json: label roles with their calibration, the window, and digests of the files beside it."""
    value = {"format": 1, "name": NAME, "version": VERSION, "pooling": pooling,
             "max_window_tokens": WINDOW_TOKENS, "window_overlap_tokens": OVERLAP,
             "labels": [{**role, "slope": round(c["slope"], 6), "intercept": round(c["intercept"], 6)}
                        for role, c in zip(roles(), calibration)],
             "files": {n: digest(out / n) for n in ("config.json", "tokenizer.json", "model.safetensors")}}
    (out / "dignity.json").write_text(json.dumps(value, indent=2) + "\n")
    return value
