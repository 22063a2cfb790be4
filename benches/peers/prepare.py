"""Puts one model and its texts into a folder, in the form that each engine wants.

python prepare.py FOLDER minilm|base TEXTS [again]
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import texts

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "dignity-small-en"
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
WINDOW_TOKENS = 128  # so that every text is one window, and all engines read the same


def digest(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def random_tensors(config, labels):
    """BERT weights of standard deviation 0.02 (the head's 0.2) by a fixed seed, the matrices as int8 with scales."""
    rng, out = np.random.default_rng(7), {}

    def matrix(name, rows, columns):
        values = rng.normal(0, 0.02, (rows, columns)).astype(np.float32)
        scale = np.abs(values).max(1) / 127
        out[name] = np.clip(np.round(values / scale[:, None]), -127, 127).astype(np.int8)
        out[name + "_scale"] = scale

    def vector(name, size, mean=0.0):
        out[name] = (mean + rng.normal(0, 0.02, size)).astype(np.float32)

    def linear(name, rows, columns):
        matrix(name + ".weight", rows, columns)
        vector(name + ".bias", rows)

    def norm(name):
        vector(name + ".weight", hidden, 1.0)
        vector(name + ".bias", hidden)

    hidden, inner = config["hidden_size"], config["intermediate_size"]
    for name, rows in [("word", "vocab_size"), ("position", "max_position_embeddings"),
                       ("token_type", "type_vocab_size")]:
        matrix(f"embeddings.{name}_embeddings.weight", config[rows], hidden)
    norm("embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            linear(prefix + "attention.self." + name, hidden, hidden)
        linear(prefix + "attention.output.dense", hidden, hidden)
        norm(prefix + "attention.output.LayerNorm")
        linear(prefix + "intermediate.dense", inner, hidden)
        linear(prefix + "output.dense", hidden, inner)
        norm(prefix + "output.LayerNorm")
    out["classifier.weight"] = rng.normal(0, 0.2, (labels, hidden)).astype(np.float32)
    out["classifier.bias"] = np.zeros(labels, np.float32)
    return out


def write_model(out, geometry):
    """A model directory that dignity reads, with a window that holds every text."""
    shutil.copytree(SHIPPED, out, dirs_exist_ok=True)
    if geometry == "base":
        config = json.loads((out / "config.json").read_text()) | BASE
        (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(random_tensors(config, len(config["id2label"])), out / "model.safetensors")
    manifest = json.loads((out / "dignity.json").read_text())
    if manifest["pooling"] != "cls":
        raise SystemExit("the peers take the [CLS] vector; the shipped model no longer does")
    manifest["max_window_tokens"] = WINDOW_TOKENS
    manifest["files"] = {name: digest(out / name) for name in manifest["files"]}
    (out / "dignity.json").write_text(json.dumps(manifest, indent=2) + "\n")


def write_f32(model, path):
    """The weights with every int8 matrix multiplied out."""
    stored = load_file(model / "model.safetensors")
    save_file({name: value.astype(np.float32) * stored[name + "_scale"][:, None] if value.dtype == np.int8 else value
               for name, value in stored.items() if not name.endswith("_scale")}, path)


def reduced_range():
    """Whether 8-bit products overflow in 16 bits here: without VNNI, peers advise 7-bit weights."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "avx512_vnni" not in flags and "avx_vnni" not in flags


def write_onnx(folder, config):
    """ONNX: as exported, fused by ONNX Runtime's optimizer, and that with dynamic int8 by output channel."""
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    import bert

    exported, fused = folder / "exported.onnx", folder / "onnxruntime-f32.onnx"
    ids = torch.tensor([[101, 2054, 102, 0], [101, 2054, 2003, 102]])
    axes = {name: {0: "batch", 1: "length"} for name in ("ids", "mask")}
    torch.onnx.export(
        bert.load(folder / "model", folder / "f32.safetensors", "eager"), (ids, (ids > 0).long()), str(exported),
        input_names=["ids", "mask"], output_names=["logits"], dynamic_axes=axes | {"logits": {0: "batch"}},
        opset_version=17, dynamo=False)
    model = optimizer.optimize_model(str(exported), "bert", config["num_attention_heads"], config["hidden_size"])
    print("  fused:", model.get_fused_operator_statistics(), file=sys.stderr)
    model.save_model_to_file(str(fused))
    quantize_dynamic(str(fused), str(folder / "onnxruntime-int8.onnx"), per_channel=True,
                     reduce_range=reduced_range(), weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def write_openvino(folder, sentences):
    """OpenVINO: converted from PyTorch, and calibrated to int8 by NNCF on texts of the same generator."""
    import nncf
    import openvino
    import torch
    from tokenizers import Tokenizer

    import bert

    model = bert.load(folder / "model", folder / "f32.safetensors")
    ids = torch.tensor([[101, 2054, 102, 0], [101, 2054, 2003, 102]])
    converted = openvino.convert_model(model, example_input=(ids, (ids > 0).long()))
    for place, name in zip(converted.inputs, ["ids", "mask"]):
        place.get_tensor().set_names({name})
    openvino.save_model(converted, folder / "openvino-f32.xml", compress_to_fp16=False)

    tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    rows = [np.array([encoding.ids], np.int64) for encoding in tokenizer.encode_batch(sentences)]
    data = nncf.Dataset([{"ids": row, "mask": np.ones_like(row)} for row in rows])
    overflow = nncf.OverflowFix.ENABLE if reduced_range() else nncf.OverflowFix.DISABLE
    quantized = nncf.quantize(
        converted, data, subset_size=len(rows), model_type=nncf.ModelType.TRANSFORMER,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow))
    openvino.save_model(quantized, folder / "openvino-int8.xml", compress_to_fp16=False)


def write_ctranslate2(folder, config):
    """CTranslate2: its encoder specification filled with the same weights; the head stays outside."""
    import ctranslate2
    from ctranslate2.specs import common_spec, transformer_spec
    from tokenizers import Tokenizer

    weights = load_file(folder / "f32.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))

    def fill(spec, *names):
        spec.weight = np.concatenate([weights[name + ".weight"] for name in names])
        spec.bias = np.concatenate([weights[name + ".bias"] for name in names])

    def fill_norm(spec, name):
        spec.gamma, spec.beta = weights[name + ".weight"], weights[name + ".bias"]

    for precision in ("float32", "int8"):
        encoder = transformer_spec.TransformerEncoderSpec(
            config["num_hidden_layers"], config["num_attention_heads"], pre_norm=False,
            activation=common_spec.Activation.GELU, layernorm_embedding=True, num_source_embeddings=2,
            embeddings_merge=common_spec.EmbeddingsMerge.ADD)
        encoder.scale_embeddings = False
        encoder.embeddings[0].weight = weights["embeddings.word_embeddings.weight"]
        encoder.embeddings[1].weight = weights["embeddings.token_type_embeddings.weight"]
        encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"]
        fill_norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
        for index, layer in enumerate(encoder.layer):
            prefix = f"encoder.layer.{index}."
            fill(layer.self_attention.linear[0], *(prefix + "attention.self." + n for n in ("query", "key", "value")))
            fill(layer.self_attention.linear[1], prefix + "attention.output.dense")
            fill_norm(layer.self_attention.layer_norm, prefix + "attention.output.LayerNorm")
            fill(layer.ffn.linear_0, prefix + "intermediate.dense")
            fill(layer.ffn.linear_1, prefix + "output.dense")
            fill_norm(layer.ffn.layer_norm, prefix + "output.LayerNorm")
        spec = transformer_spec.TransformerEncoderModelSpec(encoder)
        spec.register_vocabulary([tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())])
        spec.config.unk_token = "[UNK]"
        spec.config.layer_norm_epsilon = config["layer_norm_eps"]
        spec.validate()
        spec.optimize(quantization=precision)
        out = folder / f"ctranslate2-{'f32' if precision == 'float32' else precision}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        spec.save(str(out))
        save_file({name: weights["classifier." + name] for name in ("weight", "bias")}, out / "head.safetensors")


def write_reference(folder, sentences):
    """Lengths in tokens, and what PyTorch f32 computes, a text at a time: the probability of dehumanization."""
    import torch
    from tokenizers import Tokenizer

    import bert
    from worker import Calibration

    model = bert.load(folder / "model", folder / "f32.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    sequences = [encoding.ids for encoding in tokenizer.encode_batch(sentences)]
    with torch.inference_mode():
        rows = [model(torch.tensor([ids])).numpy()[0] for ids in sequences]
    scores = Calibration(folder / "model").probabilities(np.array(rows))[:, 0].tolist()
    reference = {"scores": scores, "tokens": [len(ids) for ids in sequences]}
    (folder / "reference.json").write_text(json.dumps(reference))


def prepare(folder, geometry, count, again=False):
    """Writes what is missing in `folder`; a form that an engine cannot have is told, and leaves it out."""
    folder.mkdir(parents=True, exist_ok=True)
    kept, calibrating = texts.posts(count), texts.posts(128, seed=9)
    config_path = folder / "model" / "config.json"
    steps = [
        (folder / "model" / "dignity.json", lambda: write_model(folder / "model", geometry)),
        (folder / "f32.safetensors", lambda: write_f32(folder / "model", folder / "f32.safetensors")),
        (folder / "onnxruntime-int8.onnx", lambda: write_onnx(folder, json.loads(config_path.read_text()))),
        (folder / "openvino-int8.xml", lambda: write_openvino(folder, calibrating)),
        (folder / "ctranslate2-int8" / "model.bin",
         lambda: write_ctranslate2(folder, json.loads(config_path.read_text()))),
    ]
    for made, step in steps:
        if again or not made.exists():
            print(f"preparing {made.relative_to(folder)}", file=sys.stderr)
            try:
                step()
            except Exception as error:
                print(f"  failed: {type(error).__name__}: {error}", file=sys.stderr)
    path = folder / "texts.json"
    stored = json.loads(path.read_text()) if path.exists() else None
    if again or stored != kept or not (folder / "reference.json").exists():
        print("preparing reference.json", file=sys.stderr)
        write_reference(folder, kept)
        path.write_text(json.dumps(kept))


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:] == ["again"])
