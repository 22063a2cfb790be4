"""The engines that are compared, and the processes that hold them."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 900  # seconds for one answer


class EngineFailed(Exception):
    """An engine said an error, died or fell silent."""


@dataclass(frozen=True)
class Engine:
    """One engine in one precision; `kind` and `precision` are what its worker is told."""

    label: str
    kind: str
    precision: str

    @property
    def name(self):
        return f"{self.label.lower().replace(' ', '')}-{self.precision}"

    @property
    def ours(self):
        return self.kind in ("packed", "candle")

    @property
    def batches(self):
        """Sizes to try: tokens for dignity, texts for the others."""
        return [128, 256, 512, 1024, 2048, 4096] if self.ours else [1, 4, 8, 16, 32, 64, 128]

    def layouts(self, threads):
        """How threads can share the work: batches of their own, or one batch together."""
        return ["split"] if self.ours or threads == 1 else ["split", "shared"]

    def command(self, threads, layout, folder, rust_worker):
        if self.ours:
            return [str(rust_worker), self.kind, self.precision, str(threads), str(folder / "model")]
        return [sys.executable, str(HERE / "worker.py"), self.kind, self.precision, str(threads), layout, str(folder)]


ENGINES = [
    Engine("dignity", "packed", "int8"),
    Engine("dignity", "packed", "w8a16"),
    Engine("OpenVINO", "openvino", "int8"),
    Engine("CTranslate2", "ctranslate2", "int8"),
    Engine("ONNX Runtime", "onnxruntime", "int8"),
    Engine("PyTorch", "pytorch", "int8"),
    Engine("dignity", "packed", "bf16"),
    Engine("OpenVINO", "openvino", "bf16"),
    Engine("PyTorch", "pytorch", "bf16"),
    Engine("dignity", "packed", "f32"),
    Engine("OpenVINO", "openvino", "f32"),
    Engine("CTranslate2", "ctranslate2", "f32"),
    Engine("ONNX Runtime", "onnxruntime", "f32"),
    Engine("PyTorch", "pytorch", "f32"),
    Engine("candle", "candle", "f32"),
]


class Process:
    """A running worker; stopped by the system while it is not asked, so that it takes no time from others."""

    def __init__(self, engine, threads, layout, folder, rust_worker, log):
        own = threads if layout == "shared" else 1
        limits = {"OMP_NUM_THREADS": own, "MKL_NUM_THREADS": own, "RAYON_NUM_THREADS": threads}
        if engine.kind == "candle":  # its own pools would only get in the way of dignity's workers
            limits = {"CANDLE_NUM_THREADS": 1, "RAYON_NUM_THREADS": 1}
        elif engine.ours:
            limits = {}
        environment = os.environ | {name: str(value) for name, value in limits.items()}
        environment |= {"TOKENIZERS_PARALLELISM": "true", "TRANSFORMERS_VERBOSITY": "error"}
        self.log = Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.buffer = b""
        with self.log.open("w") as errors:
            self.child = subprocess.Popen(
                engine.command(threads, layout, folder, rust_worker), env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        try:
            self.answer()
        except EngineFailed:
            self.close()
            raise

    def answer(self):
        """The next line of the worker."""
        deadline = time.monotonic() + TIMEOUT
        while b"\n" not in self.buffer:
            if not select.select([self.child.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise EngineFailed(f"no answer in {TIMEOUT} s")
            part = os.read(self.child.stdout.fileno(), 1 << 16)
            if not part:
                last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise EngineFailed(f"died with status {self.child.wait()}: {last[0]}")
            self.buffer += part
        line, self.buffer = self.buffer.split(b"\n", 1)
        value = json.loads(line)
        if "error" in value:
            raise EngineFailed(value["error"])
        return value

    def ask(self, do, **arguments):
        """Sends a command to the worker and waits for its answer."""
        self.child.send_signal(signal.SIGCONT)
        try:
            self.child.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # reading tells why
        value = self.answer()
        self.child.send_signal(signal.SIGSTOP)
        return value

    def peak_mb(self):
        """The most memory that the process ever held, in MB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()
