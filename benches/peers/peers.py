"""The Python peers: each loads a prepared model and gives logits for padded ids and their mask.

`threads` compute one batch together; `streams` batches are computed at once, called from as many threads.
"""

import threading


class PyTorch:
    """transformers' BertModel with fused attention; int8 is PyTorch's dynamic quantization of linear layers."""

    def __init__(self, folder, precision, threads, streams):
        import torch

        import bert

        self.torch, self.threads = torch, threads
        self.start_thread()
        self.model = bert.load(folder / "model", folder / "f32.safetensors")
        if precision == "bf16":
            self.model = self.model.to(torch.bfloat16)
        elif precision == "int8":
            self.model = torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, torch.qint8)

    def start_thread(self):
        """The number of threads is each calling thread's own affair."""
        self.torch.set_num_threads(self.threads)

    def logits(self, ids, mask):
        with self.torch.inference_mode():
            padded = self.torch.from_numpy(mask) if not mask.all() else None
            return self.model(self.torch.from_numpy(ids), padded).float().numpy()


class OnnxRuntime:
    """The fused graph; one session, which several threads may call at once."""

    def __init__(self, folder, precision, threads, streams):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        path = str(folder / f"onnxruntime-{precision}.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def logits(self, ids, mask):
        return self.session.run(["logits"], {"ids": ids, "mask": mask})[0]


class OpenVino:
    """A stream for each batch at once, every calling thread with an inference request of its own."""

    def __init__(self, folder, precision, threads, streams):
        import openvino

        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RuntimeError("OpenVINO computes bf16 only on processors with bf16 instructions")
        stored = "int8" if precision == "int8" else "f32"
        hint = openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT" if streams > 1 else "LATENCY",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads * streams,
            "INFERENCE_PRECISION_HINT": hint,
        }
        self.compiled = core.compile_model(folder / f"openvino-{stored}.xml", "CPU", settings)
        self.requests = threading.local()

    def logits(self, ids, mask):
        if not hasattr(self.requests, "own"):
            self.requests.own = self.compiled.create_infer_request()
        return self.requests.own.infer({"ids": ids, "mask": mask})[0]


class CTranslate2:
    """The encoder's last hidden states, and the head in numpy."""

    def __init__(self, folder, precision, threads, streams):
        import ctranslate2
        import numpy
        from safetensors.numpy import load_file

        self.ctranslate2, self.numpy = ctranslate2, numpy
        path = folder / f"ctranslate2-{precision}"
        compute = "float32" if precision == "f32" else "int8_float32"
        self.encoder = ctranslate2.Encoder(
            str(path), compute_type=compute, inter_threads=streams, intra_threads=threads)
        self.head = load_file(path / "head.safetensors")

    def logits(self, ids, mask):
        def view(array):
            return self.ctranslate2.StorageView.from_array(array.astype(self.numpy.int32))

        output = self.encoder.forward_batch(view(ids), view(mask.sum(1)), self.numpy.zeros_like(ids).tolist())
        first = self.numpy.array(output.last_hidden_state)[:, 0]
        return first @ self.head["weight"].T + self.head["bias"]


PEERS = {"pytorch": PyTorch, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "ctranslate2": CTranslate2}
