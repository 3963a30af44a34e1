"""An example of every format of `data.formats`, and what is read of it."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecor_jax.data import formats
from ecor_jax.data.concept_sets import read_concepts
from ecor_jax.data.decode import decode_image, pixels_of
from ecor_jax.data.descriptors import Descriptors
from ecor_jax.data.images import open_images
from ecor_jax.data.pair_sets import open_pairs
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.radiology.xray import open_studies

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
GRADIENT = np.linspace(0, 255, 24 * 16 * 3).astype(np.uint8).reshape(24, 16, 3)
ORIENTED = Image.Exif()
ORIENTED[0x0112] = 6  # to be turned by 90 degrees, clockwise

UPRIGHT = np.rot90(GRADIENT, -1)


def file(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def seen(content: bytes, expected: np.ndarray, tolerance: int = 0) -> None:
    found = np.asarray(decode_image(content, "x"))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= tolerance


def jpeg(_: Path) -> None:
    seen(file(GRADIENT, "JPEG", quality=100, subsampling=0, exif=ORIENTED), UPRIGHT, 8)
    seen(file(GRADIENT, "JPEG", quality=100, subsampling=0), GRADIENT, 8)


def png(_: Path) -> None:
    seen(file(GRADIENT, "PNG", exif=ORIENTED), UPRIGHT)
    deep = np.linspace(1000, 3000, 24 * 16).astype(np.uint16).reshape(24, 16)
    grey = np.rint((deep - 1000.0) * 255 / 2000)[..., None].repeat(3, axis=2)
    seen(file(deep, "PNG"), grey)


def bmp(_: Path) -> None:
    seen(file(GRADIENT, "BMP"), GRADIENT)


def webp(_: Path) -> None:
    seen(file(GRADIENT, "WEBP", lossless=True, exif=ORIENTED), UPRIGHT)
    frames = [Image.fromarray(GRADIENT), Image.fromarray(255 - GRADIENT)]
    content = io.BytesIO()
    frames[0].save(content, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    seen(content.getvalue(), GRADIENT)


def gif(_: Path) -> None:
    grey = GRADIENT[..., :1].repeat(3, axis=2)
    frames = [Image.fromarray(grey[..., 0]), Image.fromarray(255 - grey[..., 0])]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    seen(content.getvalue(), grey)


def ppm(_: Path) -> None:
    seen(file(GRADIENT, "PPM"), GRADIENT)
    seen(file(GRADIENT[..., 0], "PPM"), GRADIENT[..., :1].repeat(3, axis=2))


def tiff(_: Path) -> None:
    seen(file(GRADIENT, "TIFF", tiffinfo={0x0112: 6}), UPRIGHT)
    content = io.BytesIO()
    pages = [Image.fromarray(GRADIENT), Image.fromarray(255 - GRADIENT)]
    pages[0].save(content, "TIFF", save_all=True, append_images=pages[1:])
    seen(content.getvalue(), GRADIENT)


def avif(_: Path) -> None:
    from PIL import features

    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    seen(file(GRADIENT, "AVIF", quality=100, subsampling="4:4:4", exif=ORIENTED), UPRIGHT, 12)


def dicom(_: Path) -> None:
    pytest.importorskip("pydicom")
    from pydicom.data import get_testdata_file

    assert decode_image(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes(), "x").size == (128, 128)


def arrays(_: Path) -> None:
    for array in (GRADIENT, GRADIENT / 255, GRADIENT.transpose(2, 0, 1), GRADIENT.astype(int)):
        np.testing.assert_array_equal(pixels_of(array, "x"), GRADIENT)


def folder(root: Path) -> None:
    for name, content in (("cat/1.png", "PNG"), ("dog/phone", "JPEG"), ("dog/2.jfif", "JPEG")):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(file(GRADIENT, content))
    assert open_images(root).categories == ("cat", "dog", "dog")
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as archive:
        for path in sorted(root.glob("*/*")):
            archive.write(path, path.relative_to(root))
    assert open_images(root.with_suffix(".zip")).categories == ("cat", "dog", "dog")


def label_txt(root: Path) -> None:
    for name in ("a.png", "b.png"):
        (root / name).write_bytes(file(GRADIENT, "PNG"))
    (root / "label.txt").write_text("b.png\tCat\na.png\tCat|red Dog\n")
    assert open_images(root).categories == ("cat", "cat|red dog")


def recordio(root: Path) -> None:
    data = struct.pack("<IfQQ", 0, 7.0, 0, 0) + file(GRADIENT, "PNG")
    head = bytes([0x0A, 0x23, 0xD7, 0xCE]) + struct.pack("<I", len(data))
    (root / "x.rec").write_bytes(head + data + bytes(-len(data) % 4))
    (root / "x.idx").write_text("1\t0\n")
    assert open_images(root / "x.rec").categories == ("7",)


def array_record(root: Path) -> None:
    from ecor_jax.data.prepare import prepare

    (root / "cat").mkdir()
    (root / "cat/1.png").write_bytes(file(GRADIENT, "PNG"))
    prepare(root, root.with_name("records"))
    assert open_images(root.with_name("records")).categories == ("cat",)


def nih(root: Path) -> None:
    (root / "1.png").write_bytes(file(GRADIENT, "PNG"))
    table = root.with_suffix(".csv")
    table.write_text("Image Index,Finding Labels,Patient ID,View Position\n1.png,Effusion|Mass,7,PA\n")
    studies = open_studies(root, table)
    assert studies.categories == ("effusion|mass",) and studies.patients == ("7",)


def mimic(root: Path) -> None:
    image = root / "files/p10/p10000032/s50414267/a.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(file(GRADIENT, "PNG"))
    tables = {
        "chexpert": "subject_id,study_id,Edema\n10000032,50414267,1.0\n",
        "metadata": "dicom_id,subject_id,study_id,ViewPosition\na,10000032,50414267,PA\n",
    }
    for name, text in tables.items():
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert open_studies(root, root).categories == ("edema",)


def bin_file(root: Path) -> None:
    (root / "x.bin").write_bytes(pickle.dumps(([b"1", b"2", b"3", b"4"], np.array([1.0, 0.0]))))
    assert open_pairs("x", root / "x.bin").same.tolist() == [True, False]


def people(root: Path) -> Path:
    for name in ("Ann Lee/Ann Lee_0001.png", "Bo/Bo_0001.png", "Bo/Bo_0002.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(file(GRADIENT, "PNG"))
    return root


def pairs_txt(root: Path) -> None:
    (root / "pairs.txt").write_text("1\nBo\t1\t2\nAnn Lee\t1\tBo\t1\n")
    assert open_pairs("x", root / "pairs.txt", people(root)).same.tolist() == [True, False]


def pairs_csv(root: Path) -> None:
    (root / "pairs.csv").write_text("file_x,file_y,Decision\nBo_0001.png,Bo_0002.png,Yes\n")
    assert open_pairs("x", root / "pairs.csv", people(root)).same.tolist() == [True]


def json_of_classes(root: Path) -> None:
    (root / "x.json").write_text(json.dumps({"Cat": ["a tail", "fur"], "dog": ["a tail"]}))
    assert Vocabulary.from_file(root / "x.json").rationales_of(0) == ("a tail", "fur")
    assert Descriptors.from_file(write(root / "y.json", json.dumps({"a": ["b", "c"]}))).groups == ("a",)


def json_of_folders(root: Path) -> None:
    content = {"n01": {"name": "Tench", "rationales": ["a large fish"]}}
    assert Vocabulary.from_file(write(root / "x.json", json.dumps(content))).classes == ("tench",)


def json_of_groups(root: Path) -> None:
    content = {"about": "x", "groups": {"nose": ["a long nose", "a short nose"]}}
    assert Descriptors.from_file(write(root / "x.json", json.dumps(content))).groups == ("nose",)


def csv_of_pairs(root: Path) -> None:
    for delimiter in ",\t":
        rows = ["Class,n,Descriptor", 'cat,1,"fur, soft"', "dog,2,a tail", "cat,3,a tail"]
        text = "\n".join(row.replace(",", delimiter, 2) for row in rows)
        words = Vocabulary.from_file(write(root / "x.csv", text))
        assert words.classes == ("cat", "dog") and words.rationales_of(0) == ("fur, soft", "a tail")


def lines(root: Path) -> None:
    assert read_concepts(write(root / "x.txt", "a head, tail\n\n  two legs \n")) == ["a head, tail", "two legs"]
    assert read_concepts(write(root / "x", '["a", "b"]')) == ["a", "b"]
    assert Descriptors.from_file(root / "x.txt").phrases == ("a head, tail", "two legs")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


EXAMPLES: dict[str, Callable[[Path], None]] = {
    "JPEG": jpeg,
    "PNG": png,
    "BMP": bmp,
    "WebP": webp,
    "GIF": gif,
    "PPM, PGM, PBM": ppm,
    "TIFF": tiff,
    "AVIF": avif,
    "DICOM": dicom,
    "arrays, in Python": arrays,
    "folder or zip of classes": folder,
    "label.txt": label_txt,
    "RecordIO": recordio,
    "ArrayRecord": array_record,
    "NIH ChestX-ray14": nih,
    "MIMIC-CXR-JPG": mimic,
    ".bin": bin_file,
    "pairs.txt": pairs_txt,
    "pairs.csv": pairs_csv,
    "JSON of classes": json_of_classes,
    "JSON of folders": json_of_folders,
    "JSON of groups": json_of_groups,
    "CSV or TSV": csv_of_pairs,
    "a text a line": lines,
}
ELSEWHERE = {
    "TFDS": "tests/data/test_tfds_sets.py",
    "Hugging Face directory": "tests/checkpoints/test_huggingface.py",
    "OpenCLIP directory": "tests/checkpoints/test_openclip.py",
    "OpenAI's file": "tests/checkpoints/test_openai.py",
}


@pytest.mark.parametrize("name", [entry.name for entry in formats.FORMATS if entry.name not in ELSEWHERE])
def test_an_example_is_read(name, tmp_path):
    root = tmp_path / "x"
    root.mkdir()
    EXAMPLES[name](root)


def test_every_format_has_its_tests():
    names = [entry.name for entry in formats.FORMATS]
    assert len(set(names)) == len(names) and set(names) == {*EXAMPLES, *ELSEWHERE}
    assert all((PAGE.parents[1] / path).is_file() for path in ELSEWHERE.values())


def test_the_page_is_made_of_the_table():
    assert PAGE.read_text() == formats.as_page()
