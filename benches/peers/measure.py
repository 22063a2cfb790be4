"""Measures dignity and its peers side by side, in turn; writes results.json, table.md and peers.png."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import draw
import texts
from engines import ENGINES, EngineFailed, Process

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["ctranslate2", "nncf", "onnx", "onnxruntime", "openvino", "tokenizers", "torch", "transformers"]
TEXTS = {"minilm": 2048, "base": 256}
SWEEP_TEXTS = 512


def say(line):
    print(line, file=sys.stderr, flush=True)


def build_worker():
    """dignity's worker, built; CARGO_TARGET_DIR is obeyed."""
    subprocess.run(["cargo", "build", "--release", "--example", "peer_worker"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "examples" / "peer_worker"


def machine():
    """What was measured on, and with what."""
    info = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    wanted = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"]
    flags = [flag for flag in wanted if flag in fields.get("flags", "").split()]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return {
        "processor": fields.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "instructions": flags,
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "dignity": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
    }


class Bench:
    """One side-by-side run; what it finds goes into `results`, engine by engine."""

    def __init__(self, arguments, folder, out, rust_worker):
        self.arguments, self.folder, self.out, self.rust_worker = arguments, folder, out, rust_worker
        self.texts = str(folder / "texts.json")
        self.count = len(json.loads(Path(self.texts).read_text()))
        self.reference = json.loads((folder / "reference.json").read_text())
        self.engines = [e for e in ENGINES if not arguments.only or any(
            part in e.name for part in arguments.only.split(","))]
        self.results = {
            "machine": machine(), "command": arguments.command, "geometry": arguments.geometry,
            "texts": self.count,
            "tokens_a_text": sum(self.reference["tokens"]) / self.count, "rounds": arguments.rounds, "engines": {
                e.name: {"label": e.label, "precision": e.precision, "ours": e.kind == "packed"}
                for e in self.engines},
        }

    def process(self, engine, threads, layout):
        log = self.out / "logs" / f"{engine.name}-{threads}-{layout}.log"
        return Process(engine, threads, layout, self.folder, self.rust_worker, log)

    def result(self, engine):
        return self.results["engines"][engine.name]

    def running(self):
        return [e for e in self.engines if "failed" not in self.result(e)]

    def attempt(self, engine, what):
        """What `what()` gives, or None after writing down why the engine failed."""
        try:
            return what()
        except EngineFailed as error:
            self.result(engine)["failed"] = str(error)
            say(f"  {engine.name} failed: {error}")
            return None

    def save(self):
        (self.out / "results.json").write_text(json.dumps(self.results, indent=1) + "\n")

    def sweep(self, engine, threads):
        """The fastest way to share the work and batch size, and texts a second with it."""
        best = None
        quick = self.arguments.quick
        for layout in engine.layouts(threads)[: 1 if quick else None]:
            process = self.process(engine, threads, layout)
            try:
                share = max(1, self.count // 16)
                probe = [process.ask("run", texts=self.texts, batch=engine.batches[2], share=share) for _ in range(2)]
                seconds = probe[1]["seconds"] / probe[1]["texts"] * self.count  # of a run over all texts
                share = max(1, self.count // SWEEP_TEXTS, round(6 * seconds / self.arguments.limit))
                worse = 0
                for batch in engine.batches[2:3] if quick else engine.batches:
                    # Some engines compile for every new shape: the faster of two runs counts.
                    answers = [process.ask("run", texts=self.texts, batch=batch, share=share) for _ in range(2)]
                    rate = max(answer["texts"] / answer["seconds"] for answer in answers)
                    if best is None or rate > best["rate"]:
                        best, worse = {"layout": layout, "batch": batch, "rate": rate}, 0
                    else:
                        worse += 1
                    if worse == 3:
                        break
            finally:
                process.close()
        say(f"  {engine.name}: {best['layout']}, batches of {best['batch']}, about {best['rate']:.0f} texts/s")
        return best

    def throughput(self, threads):
        """Texts a second, in turn."""
        say(f"best batch sizes, {threads} threads")
        key = f"throughput_{threads}"
        for engine in self.running():
            best = self.attempt(engine, lambda: self.sweep(engine, threads))
            if best:
                slow = self.count / best["rate"] / self.arguments.limit
                self.result(engine)[key] = best | {"share": max(1, round(slow)), "rates": []}
        processes = {}
        for engine in self.running():
            best = self.result(engine)[key]
            process = self.attempt(engine, lambda: self.process(engine, threads, best["layout"]))
            if process:
                processes[engine] = process
                self.attempt(engine, lambda: self.compare(engine, process, best))
        for number in range(self.arguments.rounds):
            say(f"round {number + 1} of {self.arguments.rounds}, {threads} threads")
            for engine in self.running():
                best = self.result(engine)[key]
                answer = self.attempt(engine, lambda: processes[engine].ask(
                    "run", texts=self.texts, batch=best["batch"], share=best["share"]))
                if answer:
                    best["rates"].append(answer["texts"] / answer["seconds"])
        for process in processes.values():
            process.close()
        self.save()

    def compare(self, engine, process, best):
        """A run that warms up and is held against PyTorch f32."""
        answer = process.ask("run", texts=self.texts, batch=best["batch"], share=best["share"], scores=True)
        tokens = sum(self.reference["tokens"][:: best["share"]])
        if answer["tokens"] != tokens:
            raise EngineFailed(f"read {answer['tokens']} tokens where there are {tokens}")
        wanted = self.reference["scores"][:: best["share"]]
        difference = max(abs(a - b) for a, b in zip(answer["scores"], wanted, strict=True))
        result = self.result(engine)
        result["difference"] = max(difference, result.get("difference", 0))

    def latency(self, threads):
        """The median time of one text alone, in turn."""
        key, text, calls = f"latency_{threads}", texts.single(), self.arguments.calls
        processes = {}
        for engine in self.running():
            layout = engine.layouts(threads)[-1]
            process = self.attempt(engine, lambda: self.process(engine, threads, layout))
            if process and self.attempt(engine, lambda: process.ask("latency", text=text, calls=10)):
                self.result(engine)[key] = []
            if process:
                processes[engine] = process
        for number in range(self.arguments.rounds):
            say(f"round {number + 1} of {self.arguments.rounds}, one text, {threads} threads")
            for engine in self.running():
                answer = self.attempt(engine, lambda: processes[engine].ask("latency", text=text, calls=calls))
                if answer:
                    self.result(engine)[key].append(answer["milliseconds"])
        for process in processes.values():
            process.close()
        self.save()

    def start(self, engine, cores):
        """A fresh process: the time to its first score, and its peak memory after all the texts."""
        best = self.result(engine)[f"throughput_{cores}"]
        start = time.perf_counter()
        process = self.process(engine, cores, best["layout"])
        try:
            process.ask("latency", text=texts.single(), calls=1)
            seconds = time.perf_counter() - start
            if len(self.result(engine)["cold"]) == self.arguments.starts - 1:
                process.ask("run", texts=self.texts, batch=best["batch"], share=best["share"])
                self.result(engine)["peak_mb"] = process.peak_mb()
            return seconds
        finally:
            process.close()

    def starts(self, cores):
        """Cold starts in turn."""
        say("cold start and peak memory")
        for engine in self.running():
            self.result(engine)["cold"] = []
        for _ in range(self.arguments.starts):
            for engine in self.running():
                seconds = self.attempt(engine, lambda: self.start(engine, cores))
                if seconds:
                    self.result(engine)["cold"].append(seconds)
        self.save()


def options():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("--geometry", choices=["minilm", "base"], default="minilm",
                        help="the shipped model, or BERT-base with random weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, help="2048 by default, 256 for BERT-base")
    parser.add_argument("--calls", type=int, default=50, help="of one text alone, in a round")
    parser.add_argument("--starts", type=int, default=3, help="cold starts of each engine")
    parser.add_argument("--only", default="", help="parts of engines' names, with commas: dignity,openvino-int8")
    parser.add_argument("--quick", action="store_true", help="64 texts, one round: does everything run?")
    parser.add_argument("--limit", type=float, default=60,
                        help="seconds of one run, above which an engine gets every second, third … text only")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "peers")
    parser.add_argument("--prepare", action="store_true", help="make the models anew")
    parser.add_argument("--draw", action="store_true", help="only table and picture, of the results there are")
    parser.add_argument("--worker", type=Path, help="dignity's worker, where it has been built already")
    arguments = parser.parse_args()
    arguments.command = " ".join(["benches/peers/run", *sys.argv[1:]])
    if arguments.quick:
        arguments.rounds, arguments.calls, arguments.starts = 1, 5, 1
        arguments.texts = arguments.texts or 64
    arguments.texts = arguments.texts or TEXTS[arguments.geometry]
    return arguments


def main():
    arguments = options()
    out = arguments.out / "results" / arguments.geometry
    out.mkdir(parents=True, exist_ok=True)
    if not arguments.draw:
        rust_worker = (arguments.worker or build_worker()).resolve()
        folder = arguments.out / arguments.geometry
        # In a process of its own, whose memory and threads are gone when measuring begins.
        subprocess.run([sys.executable, str(ROOT / "benches" / "peers" / "prepare.py"), str(folder),
                        arguments.geometry, str(arguments.texts), *["again"] * arguments.prepare], check=True)
        bench = Bench(arguments, folder, out, rust_worker)
        for threads in (2, 1):
            bench.throughput(threads)
            bench.latency(threads)
        bench.starts(2)
    results = json.loads((out / "results.json").read_text())
    table = draw.table(results)
    (out / "table.md").write_text(table)
    draw.picture(results, out / "peers.png")
    print(table)


if __name__ == "__main__":
    main()
