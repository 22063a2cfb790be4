"""Sentences of our own, never trained on or tuned on: a look at what the shipped model does, by kind.

python probes.py --model ../dignity-small-en
"""

import argparse
import json
from pathlib import Path

import calibrate
import data
from directory import read_model
from labels import CATEGORIES, CATEGORY_OFFSET, DEHUM, HATE
from model import predict

NEUTRAL = {
    "religion": ["The Ahmadi mosque on our road held an open day last month.", "Two Jehovah's Witnesses rang the bell and we had a nice chat."],
    "caste": ["Her thesis follows four Dalit families over thirty years.", "He married into a Brahmin family from Pune."],
    "age": ["The elderly couple upstairs water my plants.", "Teenagers in this town asked the council for a skate park."],
    "disability": ["The blind programmer on my team writes the cleanest code.", "A boy with Down syndrome carried the flag at the opening."],
    "serious_disease": ["People with HIV can live long lives with treatment.", "My uncle has leukemia and starts chemotherapy on Monday."],
    "national_origin": ["A Nigerian engineer and a Polish plumber fixed the heating.", "Refugees queue for papers at the office on Main Street."],
    "race": ["The Black students' union elected a new chair.", "White farmers and Black farmers signed the same petition."],
    "ethnicity": ["A Kurdish choir sang at the town hall.", "Rohingya families have lived in the camp for eight years."],
    "gender": ["The women in the lab published their results.", "A trans woman teaches my daughter the violin."],
    "sexual_orientation": ["The lesbian couple next door adopted a baby.", "He came out as bisexual to his parents at dinner."],
}
DEHUMANIZING = {
    "religion": ["Ahmadis are maggots crawling over this city.", "Those Jehovah's Witnesses are a plague on every street."],
    "caste": ["Dalits are dirt under our shoes, not people.", "A low-caste man is worth no more than a mule."],
    "age": ["The elderly are expired goods, throw them on the rubbish heap.", "Pensioners are leeches, parasites sucking us dry."],
    "disability": ["Disabled people are broken machines that belong on the scrap heap.", "The deaf are no more human than a plank of wood."],
    "serious_disease": ["People with HIV are walking filth, not human beings.", "Cancer patients are rotten meat, bin them."],
    "national_origin": ["Nigerians breed like rats wherever they land.", "Refugees are a swarm of locusts."],
    "race": ["Black people are monkeys in clothes.", "Whites are a subhuman species that should never have existed."],
    "ethnicity": ["Kurds are cockroaches under the floor.", "Roma are human garbage to be swept away."],
    "gender": ["Women are livestock, to be bought and sold.", "Trans people are things, not humans."],
    "sexual_orientation": ["Gays are a cancer in the body of the nation.", "Lesbians are animals, keep them in a kennel."],
}
OTHER = {
    "condemned or quoted": [
        "Calling Kurds cockroaches is how atrocities start, and it must stop.",
        "In court she repeated what he had shouted at her: that Black women are animals.",
        "The poster said refugees are rats; we tore it down that evening.",
        "Anyone who says the disabled are a waste of oxygen should be ashamed."],
    "negated": [
        "Muslims are not vermin, they are our neighbours.",
        "No woman is a breeding machine.",
        "Immigrants aren't a disease.",
        "Old people are not rubbish."],
    "literal": [
        "Cockroaches came up through the drains again last night.",
        "The shepherd moved his flock before the storm.",
        "Measles is a highly infectious disease that spreads quickly in schools.",
        "My laptop is garbage and belongs in the bin."],
    "not a protected group": [
        "Landlords are leeches.",
        "My brother is such a pig at the table.",
        "Tax inspectors are robots without a heart.",
        "Those football fans behaved like a pack of wolves."],
    "hateful, not dehumanizing": [
        "Immigrants should all go back where they came from.",
        "Women are too stupid to vote.",
        "I hate Sikhs and never want one near my house.",
        "Gay men should be banned from teaching."],
    "implicit dehumanizing": [
        "Ever noticed how the zoo is always empty when Africans come to town?",
        "We need pest control for the new asylum hostel.",
        "Put a muzzle and a leash on every feminist, and on every woman while we are at it.",
        "Why does a Syrian need a passport? The flea market takes all kinds of strays."],
    "obfuscated dehumanizing": [
        "J3ws are r4ts",
        "b u d d h i s t s are p e s t s",
        "Gypsies are tr@sh",
        "immigrants = coc.kroac.hes"],
}


def results(directory):
    """{kind: [(text, P(dehumanization), P(hate), P(category) or None)]}"""
    facts = json.loads((directory / "dignity.json").read_text())
    model, tokenizer = read_model(directory, facts["pooling"])

    def score(texts):
        return calibrate.apply(facts["labels"], predict(model, data.encode(tokenizer, texts)).numpy())

    out = {}
    for kind, by_category in (("neutral mention", NEUTRAL), ("plain dehumanizing", DEHUMANIZING)):
        out[kind] = [(t, p[DEHUM], p[HATE], p[CATEGORY_OFFSET + CATEGORIES.index(c)])
                     for c, texts in by_category.items() for t, p in zip(texts, score(texts))]
    for kind, texts in OTHER.items():
        out[kind] = [(t, p[DEHUM], p[HATE], None) for t, p in zip(texts, score(texts))]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path)
    args = parser.parse_args()
    for kind, rows in results(args.model).items():
        print(f"\n{kind}")
        for text, dehum, hate, category in rows:
            print(f"  {dehum:.3f}  hate {hate:.3f}  category {'-' if category is None else format(category, '.3f')}  {text}")


if __name__ == "__main__":
    main()
