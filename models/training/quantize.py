"""int8 weights: symmetric, one scale an output channel (Linear) or a row (embedding tables).

Weights of linear layers are small, so that the engine's products of bytes (src/kernels/gemm/w8a8.rs) take them
as they are: of four that it sums in 16 bits, those of one sign are at most 128 together.
"""

import torch
from safetensors.torch import load_file, save_file


def is_quantized(name, tensor):
    """Every matrix of the encoder; LayerNorm, biases and the classifier stay f32."""
    return tensor.ndim == 2 and not name.startswith("classifier.")


# Two quads of inputs, whose first and last halves are summed apart.
GROUP = (2, 2, 2)
SUM_MAX = 128
# Smaller, and more is lost by rounding; larger, and more by weights that are made smaller to fit.
ROOT_MEAN_SQUARE = 17


def is_multiplied(name):
    """Linear layers of the encoder, and not its embedding tables."""
    return "embeddings" not in name


def quantize(tensor):
    """(q, scale) with q in [-127, 127] and tensor close to q * scale, a scale a row."""
    return round_to(tensor, tensor.abs().amax(1).clamp_min(1e-12) / 127)


def quantize_small(tensor):
    """As `quantize`, with weights that are small enough together."""
    scale = torch.maximum(tensor.square().mean(1).sqrt() / ROOT_MEAN_SQUARE, tensor.abs().amax(1) / 127).clamp_min(1e-12)
    q, scale = round_to(tensor, scale)
    # [rows, groups, halves, the weights that are summed]
    groups = q.int().reshape(len(q), -1, *GROUP).transpose(2, 3).flatten(3)
    for sign in (1, -1):
        while True:
            excess = (sign * groups).clamp_min(0).sum(3) > SUM_MAX
            if not excess.any():
                break
            found = groups[excess]
            largest = (sign * found).argmax(1, keepdim=True)
            groups[excess] = found.scatter_add(1, largest, torch.full_like(largest, -sign, dtype=found.dtype))
    groups = groups.unflatten(3, GROUP[1:]).transpose(2, 3)
    return groups.reshape(q.shape).to(torch.int8), scale


def round_to(tensor, scale):
    return torch.clamp(torch.round(tensor / scale[:, None]), -127, 127).to(torch.int8), scale


def shipped_tensors(model):
    """Tensors under the names of transformers' BertModel without prefix, matrices as int8 with `_scale` beside them."""
    out = {}
    for key, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        name, value = key.removeprefix("bert."), value.detach().float().contiguous()
        if is_quantized(name, value):
            out[name], out[name + "_scale"] = (quantize_small if is_multiplied(name) else quantize)(value)
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
