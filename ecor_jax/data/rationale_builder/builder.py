"""Sources of records as a TFDS dataset in ArrayRecord files; no TensorFlow is imported."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

from ecor_jax.data.records import Record


class LabelledImages(tfds.core.GeneratorBasedBuilder):
    """Images with their class and, where known, the rationales of each image.

    Args:
        splits: for every split what yields its records, whose images are encoded bytes: TFDS stores those as
            they are (arrays it would encode with TensorFlow).
        data_dir: TFDS writes to `data_dir/labelled_images/1.0.0`.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, splits: Mapping[str, Callable[[], Iterable[Record]]], data_dir: str):
        self._splits_to_write = splits
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, None)),
                "category": tfds.features.Text(),
                "rationales": tfds.features.Sequence(tfds.features.Text()),
                "name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, description="Images with rationales.")

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        del dl_manager  # everything is on this machine
        return {split: self._generate_examples(records()) for split, records in self._splits_to_write.items()}

    def _generate_examples(self, records: Iterable[Record]) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, record in enumerate(records):
            assert isinstance(record["image"], bytes)
            yield (
                key,
                {**record, "image": io.BytesIO(record["image"]), "rationales": list(record["rationales"])},
            )
