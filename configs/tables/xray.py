"""Tables 2 and 3 of arXiv 2411.04008: chest X-rays through descriptors, on NIH's pictures or the paper's MIMIC-CXR.

    ecor-jax table --config=configs/tables/xray.py[:DATA/TABLE] --workdir=runs/tables/xray

DATA/TABLE is nih/table2 (the default), nih/table3, mimic/table2 or mimic/table3. Each seed of NIH's splits the patients
anew and pretrains its own small CLIP. Research software; no medical device.
"""

from configs.common import check_row
from ecor_jax.config.options import Config, config_of
from ecor_jax.tables.options import Row, Table

FILES = {"nih": "configs/xray_nih.py", "mimic": "configs/xray_mimic.py"}
OPTIONS = {"nih": "data.seed={seed} pretrain.seed={seed}", "mimic": ""}
METHODS = ("bottleneck", "bottleneck_push_absent", "random_descriptors", "black_box", "black_box_mlp")
SCORES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "F1": "f1", "AUROC": "auroc"}
TEXTS = {
    "ROUGE-L": "explanations.text.rouge_l.value",
    "METEOR": "explanations.text.meteor_exact_stem.value",
}
"""Without WordNet METEOR matches by form and stem alone; with it the last path is explanations.text.meteor.value."""
PUBLISHED = {
    "bottleneck": dict(zip(SCORES, (83.78, 84.77, 83.78, 84.19), strict=False)),
    "black_box": dict(zip(SCORES, (86.64, 86.4, 87.3, 86.8), strict=False)),
}


def get_config(asked: str = "nih/table2") -> Config:
    check_row(asked, [f"{data}/{number}" for data in FILES for number in ("table2", "table3")])
    data, _, number = asked.partition("/")
    scores = number == "table2"
    return config_of(
        Table(
            title=f"Chest X-rays: {data}, {number}",
            about="Effusion against No Finding. Intervals are over patients. Research software, no medical device."
            if scores
            else "The model's reasons compared with the descriptors of the report or the labels.",
            columns=SCORES if scores else TEXTS,
            rows={name: Row(FILES[data], method=name) for name in METHODS}
            if scores
            else {"bottleneck": Row(FILES[data])},
            reference="bottleneck" if scores else "",
            options=f"methods={','.join(METHODS)} {OPTIONS[data]}".strip(),
            published=PUBLISHED if scores else {"bottleneck": {"ROUGE-L": 31, "METEOR": 27}},
            source="arXiv 2411.04008, about 20,000 pictures of MIMIC-CXR",
        )
    )
