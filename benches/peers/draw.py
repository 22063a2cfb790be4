"""The table and the picture of a side-by-side run."""

import statistics

COLUMNS = [  # key, heading, decimals, whether more is better
    ("throughput_2", "texts/s\n2 threads", 0, True),
    ("throughput_1", "texts/s\n1 thread", 0, True),
    ("latency_2", "one text, ms\n2 threads", 2, False),
    ("latency_1", "one text, ms\n1 thread", 2, False),
    ("peak_mb", "peak memory\nMB", 0, False),
    ("cold", "cold start\ns", 2, False),
]
PRECISIONS = ["int8", "bf16", "f32"]
ALIKE = {"w8a16": "int8"}  # what a precision that no peer has is compared with
GEOMETRIES = {"minilm": "the shipped model", "base": "BERT-base geometry, random weights"}


def values(engine, key):
    """All that was measured of one thing, round by round."""
    found = engine.get(key)
    if isinstance(found, dict):
        found = found["rates"]
    return [found] if isinstance(found, float) else found or []


def median(engine, key):
    found = values(engine, key)
    return statistics.median(found) if found else None


def show(value, decimals):
    return "-" if value is None else f"{value:,.{decimals}f}"


def compared(engine):
    """The precision that an engine is compared in."""
    return ALIKE.get(engine["precision"], engine["precision"])


def grouped(results):
    """Engines by precision, dignity first, then the fastest."""
    def order(engine):
        rate = median(engine, "throughput_2") or 0
        return PRECISIONS.index(compared(engine)), not engine["ours"], -rate
    return sorted(results["engines"].values(), key=order)


def settings(engine):
    """How an engine shared its work over two threads, and its best batch sizes."""
    unit = "tokens" if engine["ours"] or engine["label"] == "candle" else "texts"
    found = [engine.get(f"throughput_{threads}") for threads in (2, 1)]
    sizes = " / ".join(str(best["batch"]) if best else "-" for best in found)
    return f"{sizes} {unit}" + (f", {found[0]['layout']}" if found[0] else "")


def ratio(ours, theirs, key, more):
    """How many times better ours is, of the medians; None where one is missing."""
    a, b = median(ours, key), median(theirs, key)
    return None if not a or not b else a / b if more else b / a


def shows(results):
    """Lines that hold dignity against the best peer of the same precision."""
    lines = []
    for ours in (e for e in grouped(results) if e["ours"]):
        same = [e for e in results["engines"].values() if compared(e) == compared(ours)]
        for key, heading, decimals, more in COLUMNS:
            peers = [e for e in same if not e["ours"] and median(e, key) is not None]
            if median(ours, key) is None or not peers:
                continue
            best = (max if more else min)(peers, key=lambda e: median(e, key))
            pairs = list(zip(values(ours, key), values(best, key)))
            rounds = [a / b if more else b / a for a, b in pairs]
            spread = f"; rounds {min(rounds):.2f} to {max(rounds):.2f}" if len(rounds) > 1 else ""
            lines.append(
                f"- {ours['precision']}, {heading.replace(chr(10), ', ')}: dignity {show(median(ours, key), decimals)}, best peer "
                f"{best['label']} {show(median(best, key), decimals)}: "
                f"**{ratio(ours, best, key, more):.2f} times as good**{spread}")
    return lines


def machine(results):
    found = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return (f"{found['processor']}, {found['cores']} cores, {' '.join(found['instructions'])}; {found['date']}; "
            f"{found['system']}, Python {found['python']}; dignity {found['dignity']}, {packages}. "
            f"Load when it began: {found['load'][0]}. Command: `{results['command']}`.")


def table(results):
    """Markdown: a row an engine, then dignity against the best peers, then the machine."""
    heads = ["engine", "precision"] + [heading.replace("\n", ", ") for _, heading, _, _ in COLUMNS]
    heads += ["largest score difference", "dignity / this, texts/s with 2 / 1 threads", "batch, 2 / 1 threads"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    engines = grouped(results)
    notes = []
    for engine in engines:
        ours = next((e for e in engines if e["ours"] and compared(e) == compared(engine)), {})
        cells = [show(median(engine, key), decimals) for key, _, decimals, _ in COLUMNS]
        sampled = [engine[key]["share"] for key in ("throughput_2", "throughput_1")
                   if key in engine and engine[key]["share"] > 1]
        if sampled:
            notes.append(f"{engine['label']} {engine['precision']} is slow: it was given one text in "
                         f"{' and one in '.join(map(str, sampled))}, evenly chosen.")
        if "failed" in engine:
            notes.append(f"{engine['label']} {engine['precision']}: {engine['failed']}")
        times = [ratio(ours, engine, f"throughput_{n}", True) for n in (2, 1)]
        difference = engine.get("difference")
        cells += ["-" if difference is None else f"{difference:.1e}",
                  "" if engine["ours"] else " / ".join(show(t, 2) for t in times), settings(engine)]
        lines.append("| " + " | ".join([engine["label"], engine["precision"], *cells]) + " |")
    lines += ["", f"Medians of {results['rounds']} rounds in turn; {GEOMETRIES[results['geometry']]}; "
              f"{results['texts']:,} generated texts, {results['tokens_a_text']:.1f} tokens a text."]
    lines += [f"- {note}" for note in notes]
    lines += ["", *shows(results), "", machine(results)]
    return "\n".join(lines) + "\n"


def picture(results, path):
    """A row an engine, a column a measure that there is; dignity in colour."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    engines = [e for e in grouped(results) if median(e, "throughput_2") is not None]
    if not engines:
        return
    places, place = [], 0.0
    for before, engine in zip([None, *engines], engines):
        place += 1.0 if before is None or compared(before) == compared(engine) else 1.8
        places.append(place)
    pyplot.rcParams |= {"font.size": 9, "font.family": "DejaVu Sans"}
    columns = [column for column in COLUMNS if any(median(e, column[0]) is not None for e in engines)]
    figure, axes = pyplot.subplots(1, len(columns), sharey=True, squeeze=False, figsize=(3 + 1.8 * len(columns), 1.4 + 0.3 * place))
    axes = axes[0]
    colours = ["#c2410c" if e["ours"] else "#a8b0b8" for e in engines]
    for axis, (key, heading, decimals, more) in zip(axes, columns):
        found = [median(e, key) for e in engines]
        largest = max((value for value in found if value), default=1)
        axis.barh(places, [value or 0 for value in found], color=colours, height=0.78)
        for place, value, engine in zip(places, found, engines):
            axis.text((value or 0) + 0.03 * largest, place, show(value, decimals), va="center",
                      fontweight="bold" if engine["ours"] else "normal")
        axis.set_xlim(0, 1.42 * largest)
        axis.set_title(heading + ("\nmore is better" if more else "\nless is better"), fontsize=9, loc="left")
        axis.set_xticks([])
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(places, [f"{e['label']} {e['precision']}" for e in engines])
    for label, engine in zip(axes[0].get_yticklabels(), engines):
        label.set_fontweight("bold" if engine["ours"] else "normal")
    axes[0].invert_yaxis()
    found = results["machine"]
    caption = (f"{GEOMETRIES[results['geometry']]}; {results['texts']:,} generated texts, tokenizing included; medians of "
               f"{results['rounds']} rounds in turn;\n{found['processor']}, {found['cores']} cores, "
               f"{' '.join(found['instructions'])}; {found['date']}")
    figure.text(0.01, 0.01, caption[0].upper() + caption[1:], fontsize=8, color="#555555")
    figure.tight_layout(rect=(0, 0.07, 1, 1), w_pad=0.6)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
