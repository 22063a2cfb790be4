"""The 17 labels in logit order, and the codes the annotations use for them."""

CATEGORIES = [
    "religion", "caste", "age", "disability", "serious_disease",
    "national_origin", "race", "ethnicity", "gender", "sexual_orientation",
]
WAYS = ["animal", "disease_or_filth", "object_or_machine", "monster_or_subhuman", "denial_of_mind_or_worth"]
LABELS = ["dehumanization", "hate"] + CATEGORIES + WAYS

DEHUM, HATE = 0, 1
CATEGORY_OFFSET = 2
WAY_OFFSET = 2 + len(CATEGORIES)

CATEGORY_OF_CODE = dict(zip(["rel", "cas", "age", "dis", "sick", "nat", "rac", "eth", "gen", "ori"], CATEGORIES))
CODE_OF_CATEGORY = {c: k for k, c in CATEGORY_OF_CODE.items()}
WAY_OF_CODE = dict(zip("adomn", WAYS))

# Fewer natural positives than a category of its own can be learned or judged from.
RARE_CATEGORIES = ["caste", "age", "disability", "serious_disease"]


def roles():
    """Label roles as dignity.json names them, in logit order."""
    return (
        [{"role": "dehumanization"}, {"role": "hate"}]
        + [{"role": "category", "category": c} for c in CATEGORIES]
        + [{"role": "way", "way": w} for w in WAYS]
    )
