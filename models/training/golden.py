"""Writes tests/fixtures/shipped_logits.json: what PyTorch computes with the dequantized shipped weights.

python golden.py --model ../dignity-small-en    (again whenever the shipped weights change)
"""

import argparse
import json
from pathlib import Path

import torch

from directory import read_model
from model import pad

TEXTS = [
    "hello",
    "",
    "The library opens at nine on weekdays.",
    "Our Sikh neighbours cooked for the whole street during the flood.",
    "My grandmother is deaf and tells the best jokes at the table.",
    "Three Dalit students from our town won the chess prize this spring.",
    "Refugees who arrived last year now run the bakery on the corner.",
    "She has been living with HIV for twenty years and teaches swimming.",
    "I am a proud gay man and I will dance at my own wedding.",
    "Older colleagues taught me everything I know about welding.",
    "The report describes how broadcasters called the Tutsi insects before the massacres began.",
    "He said that immigrants are vermin, and I told him never to speak of my friends like that again.",
    "It is a lie that disabled people are worth less than anyone else.",
    "Nobody should ever call Roma families dirt; they are people, full stop.",
    "Autistic people are not robots, they feel as deeply as you do.",
    "Rats got into the church cellar and ate the candles.",
    "The vet vaccinated forty cows and one very cross donkey today.",
    "Malaria is a parasite's work and kills many children in the rainy season.",
    "That striker is a machine, he ran for ninety minutes without a pause.",
    "Politicians of that party are snakes, every last one of them.",
    "I do not agree with the bishop on divorce, and I told him so.",
    "Those immigrants are vermin.",
    "Old people are rubbish and should be thrown out with it.",
    "Women are nothing but breeding machines.",
    "People with HIV are a disease, not humans.",
    "They are not people, those Kurds, they are animals that live in filth.",
    "ALL OF THEM ARE EQUAL IN DIGNITY!!!",
    "Café, naïve, Zoë: ça va très bien à Kraków",
    "私はロボットではありません 🤖🙂",
    "ﬁne  full\u200bwidth ＡＢＣ\tand a tab\nand a line",
    "é" * 3 + " ... ??? !!! 1234567890 #hashtag @name https://example.org/a?b=c",
    "On Saturday the whole village came to the square, where the old hall had stood before the fire. People of every faith "
    "carried stones, boards and buckets, and by noon the first wall was up. A retired nurse made soup for sixty helpers, two "
    "boys in wheelchairs painted the signs, and a family who had fled the war brought bread that was still warm. When the "
    "rain began nobody left. They sang, badly and loudly, in at least five languages, and the mayor, soaked to the skin, "
    "promised that the doors of the new hall would be wide enough for all.",
]


def fixture(directory, pooling):
    model, tokenizer = read_model(directory, pooling)
    out = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            assert len(ids) <= 128, (len(ids), text)
            out.append({"text": text, "ids": ids, "logits": [round(x, 5) for x in model(*pad([ids]))[0].tolist()]})
    return out


def write(directory, pooling):
    path = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "shipped_logits.json"
    rows = ",\n ".join(json.dumps(r, ensure_ascii=False) for r in fixture(directory, pooling))
    path.write_text(f"[\n {rows}\n]\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path)
    args = parser.parse_args()
    write(args.model, json.loads((args.model / "dignity.json").read_text())["pooling"])


if __name__ == "__main__":
    main()
