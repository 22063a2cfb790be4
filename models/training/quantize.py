"""int8 weights: symmetric, one scale an output channel (Linear) or a row (embedding tables)."""

import torch
from safetensors.torch import load_file, save_file


def is_quantized(name, tensor):
    """Every matrix of the encoder; LayerNorm, biases and the classifier stay f32."""
    return tensor.ndim == 2 and not name.startswith("classifier.")


def quantize(tensor):
    """(q, scale) with q in [-127, 127] and tensor close to q * scale, a scale a row."""
    scale = tensor.abs().amax(1).clamp_min(1e-12) / 127
    return torch.clamp(torch.round(tensor / scale[:, None]), -127, 127).to(torch.int8), scale


def shipped_tensors(model):
    """Tensors under the names of transformers' BertModel without prefix, matrices as int8 with `_scale` beside them."""
    out = {}
    for key, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        name, value = key.removeprefix("bert."), value.detach().float().contiguous()
        if is_quantized(name, value):
            out[name], out[name + "_scale"] = quantize(value)
        else:
            out[name] = value
    return out


def write_weights(model, path):
    save_file(shipped_tensors(model), path, metadata={"format": "pt"})
    path.chmod(0o644)


def load_weights(model, path):
    """Loads a shipped weight file, dequantized to f32, into the model."""
    stored = load_file(path)
    state = {}
    for name, value in stored.items():
        if name.endswith("_scale"):
            continue
        if value.dtype == torch.int8:
            value = value.float() * stored[name + "_scale"][:, None]
        state[name if name.startswith("classifier.") else "bert." + name] = value
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or [m for m in missing if not m.endswith("_ids")]:
        raise SystemExit(f"{path}: {missing} {unexpected}")
    return model.eval()
