"""Words against saliency against counterfactuals on the same drawings: the part that each names.

    ecor-jax table --config=configs/tables/explanations.py --workdir=runs/tables/explanations

The bottleneck classifies the drawings through their parts (configs/drawings_descriptors.py); its words are the
descriptor with the largest contribution. random_descriptors has random letters in their place.

Columns: the share of drawings where the words, or the counterfactual, name a drawn part; where saliency, the
counterfactual and a random part agree with the words; where the peak of the map lies on the part that the words name
(hit); and by how much the probability of the category falls without the part that each names.
"""

from configs.tables.columns import WITHOUT_TESTS
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

COLUMNS = {
    "words drawn": "parts.words_drawn",
    "counterfactual drawn": "parts.counterfactual_drawn",
    "saliency agrees": "parts.saliency_agrees",
    "counterfactual agrees": "parts.counterfactual_agrees",
    "chance agrees": "parts.chance_agrees",
    "hit": "parts.hit",
    "words drop": "parts.words_drop",
    "ranked drop": "parts.ranked_drop",
    "saliency drop": "parts.saliency_drop",
    "counterfactual drop": "parts.counterfactual_drop",
    "chance drop": "parts.chance_drop",
}


def get_config() -> Config:
    file, options = "configs/quickstart.py", f"{WITHOUT_TESTS} evaluation.parts=True"
    untuned = {method: Row(file, f"method={method} {options}", seeds=("0",)) for method in ("ecor_untuned", "cci")}
    tuned = {method: Row(file, f"method={method} {options}") for method in ("dror", "ecor", "cci_tuned")}
    file, methods = "configs/drawings_descriptors.py", ("bottleneck", "random_descriptors")
    options = f"methods={','.join(methods)} evaluation.measures=parts"
    bottlenecks = {method: Row(file, options, method) for method in methods}
    return config_of(
        Table(
            title="Words, saliency, counterfactuals",
            about="Each explanation names one part of a drawing, which is then made again without it. Words: the "
            "rationale of the best pair with the voted category, or a bottleneck's descriptor with the largest "
            "contribution. Counterfactual: the first of the fewest rationales without which the vote changes. These "
            "two may name a part that is not drawn, which counts as no drop. Of the drawn parts, ranked: the one that "
            "ranks best; saliency: where the map of the category is highest; chance: a random one. 200 drawings.",
            columns=COLUMNS,
            rows=untuned | tuned | bottlenecks,
            reference="ecor",
        )
    )
