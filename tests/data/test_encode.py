import contextlib
import io
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecor_jax.data.encode import Encode, ImageEncode, checked, decode_image
from ecor_jax.data.records import BadImage, InMemory, Record, Source
from ecor_jax.data.vocabulary import Vocabulary
from ecor_jax.errors import UserError

VOCABULARY = Vocabulary.from_lists({"dog": ["tail", "fur"], "cat": ["fur"], "bee": ["wings"]})
PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def squash(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC))


def record(image: bytes | np.ndarray, category: str = "dog", rationales: tuple[str, ...] = ()) -> Record:
    return Record(image=image, category=category, rationales=rationales, name="some/image.png")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class Files(Source):
    """Image files by their content; None cannot be read."""

    def __init__(self, contents: list[bytes | None]):
        self.contents = contents
        self.origin = "files.zip"

    @property
    def categories(self) -> tuple[str, ...]:
        return ("dog",) * len(self.contents)

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, index: int) -> Record:
        content = self.contents[index]
        if content is None:
            raise BadImage(f"{index}.png cannot be read: CRC")
        return Record(image=content, category="dog", rationales=("fur",), name=f"{index}.png")


def test_decoding_gives_rgb_whatever_the_mode():
    np.testing.assert_array_equal(decode_image(encoded(PHOTO), "x"), PHOTO)
    grey = decode_image(encoded(PHOTO[..., 0], "PPM"), "x")
    np.testing.assert_array_equal(grey, np.repeat(PHOTO[..., :1], 3, axis=2))
    opaque = np.dstack([PHOTO, np.full((24, 32), 7, np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(opaque), "x"), PHOTO)


def test_palettes_with_transparency_keep_their_colours():
    file = io.BytesIO()
    palette = Image.fromarray(PHOTO).quantize(8)
    palette.save(file, "PNG", transparency=bytes([0, 128, 255]))
    np.testing.assert_array_equal(decode_image(file.getvalue(), "x"), palette.convert("RGB"))


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    assert decode_image(encoded(PHOTO, "JPEG", exif=exif), "x").size == (32, 24)


@pytest.mark.parametrize("content", [b"", b"no image", encoded(PHOTO)[:200], encoded(PHOTO, "JPEG")[:300]])
def test_undecodable_images_are_named(content):
    with pytest.raises(BadImage, match=r"some/image\.png (is not an image|cannot be decoded)"):
        decode_image(content, "some/image.png")


def test_gigantic_images_are_bad_images(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImage, match="decompression bomb"):
        decode_image(encoded(PHOTO), "some/image.png")


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF"]),
    keep=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about damaged metadata
def test_damaged_files_decode_or_are_bad_images(kind, keep, changes):
    content = bytearray(encoded(PHOTO, kind))
    for place, value in changes:
        content[int(place * len(content))] = value
    with contextlib.suppress(BadImage):
        assert decode_image(bytes(content[: round(keep * len(content))]), "x").mode == "RGB"


def test_gold_is_of_the_class_where_the_image_has_none():
    encode = Encode(VOCABULARY, squash)
    example = encode(record(encoded(PHOTO), "dog"), rng())
    assert example["category"] == 0 and example["category"].dtype == np.int32
    np.testing.assert_array_equal(example["rationales"], [True, True, False])
    np.testing.assert_array_equal(example["image"], squash(Image.fromarray(PHOTO)))


def test_gold_is_of_the_image_where_it_has_its_own():
    example = Encode(VOCABULARY, squash)(record(encoded(PHOTO), "cat", ("wings", "fur")), rng())
    assert example["category"] == 1
    np.testing.assert_array_equal(example["rationales"], [False, True, True])


def test_unknown_names_are_user_errors():
    encode = Encode(VOCABULARY, squash)
    with pytest.raises(UserError, match=r"some/image\.png: class 'cow' is not in the rationale file"):
        encode(record(encoded(PHOTO), "cow"), rng())
    with pytest.raises(UserError, match="rationales that the rationale file does not have: 'horns', 'udder'"):
        encode(record(encoded(PHOTO), "dog", ("horns", "fur", "udder")), rng())


def test_decoded_images_are_taken_as_they_are():
    np.testing.assert_array_equal(ImageEncode(squash)(record(PHOTO), rng()), PHOTO)


def test_flip_mirrors_half_of_the_images():
    encode = ImageEncode(squash, "flip")
    found = [encode(record(PHOTO), rng(seed)) for seed in range(100)]
    mirrored = sum(np.array_equal(pixels, PHOTO[:, ::-1]) for pixels in found)
    assert 30 < mirrored < 70
    assert mirrored + sum(np.array_equal(pixels, PHOTO) for pixels in found) == 100


@pytest.mark.parametrize("decoded", [False, True])
def test_crop_flip_shows_at_least_half_of_the_area(decoded):
    # A picture of its own coordinates: the span of values is the side of the crop.
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(64)[:, None] * 4, np.arange(64) * 4
    encode = ImageEncode(lambda image: np.asarray(image.resize((64, 64), Image.Resampling.NEAREST)), "crop_flip")
    crops = [encode(record(ramp if decoded else encoded(ramp)), rng(seed)) for seed in range(40)]
    spans = np.array([[np.ptp(crop[..., side].astype(int)) / 4 + 1 for side in (0, 1)] for crop in crops])
    areas = spans.prod(axis=1) / 64**2
    assert 0.4 < areas.min() < 0.6 and 0.9 < areas.max() <= 1.1
    assert all(crop.shape == (64, 64, 3) for crop in crops)
    np.testing.assert_allclose(spans[:, 0], spans[:, 1], atol=4)  # in the shape of the whole


def test_an_unknown_augmentation_is_a_user_error():
    with pytest.raises(UserError, match="'cutout'; expected one of none, flip, crop_flip"):
        ImageEncode(squash, "cutout")  # pyright: ignore[reportArgumentType]


def test_encoders_survive_pickling():
    encode = pickle.loads(pickle.dumps(Encode(VOCABULARY, squash)))
    assert encode(record(PHOTO, "bee"), rng())["category"] == 2


def test_checked_decodes_everything_once():
    source = Files([encoded(PHOTO), encoded(PHOTO[::-1])])
    loaded, bad = checked(source, squash, progress=False)
    assert isinstance(loaded, InMemory) and bad == ()
    assert [loaded[row]["name"] for row in range(2)] == ["0.png", "1.png"]
    assert loaded[0]["rationales"] == ("fur",)
    assert loaded.categories == ("dog", "dog") and loaded.origin == "files.zip"
    np.testing.assert_array_equal(loaded[1]["image"], squash(Image.fromarray(PHOTO[::-1])))
    again, _ = checked(loaded, squash, progress=False)
    np.testing.assert_array_equal(again[1]["image"], loaded[1]["image"])


def test_checked_names_all_bad_images_at_once():
    source = Files([encoded(PHOTO), None, b"no image", *[None] * 10])
    with pytest.raises(UserError) as error:
        checked(source, squash, progress=False)
    message = str(error.value)
    assert message.startswith("12 of 13 images in files.zip cannot be read: 1.png cannot be read: CRC; 2.png is")
    assert message.endswith("; and 2 more (--config.data.on_bad_image=skip leaves them out)")


def test_checked_may_skip_bad_images():
    source = Files([None, encoded(PHOTO), b"no image", encoded(PHOTO[::-1])])
    loaded, bad = checked(source, squash, "skip", progress=False)
    assert [loaded[row]["name"] for row in range(len(loaded))] == ["1.png", "3.png"]
    np.testing.assert_array_equal(loaded[1]["image"], squash(Image.fromarray(PHOTO[::-1])))
    assert [message.split()[0] for message in bad] == ["0.png", "2.png"]
    with pytest.raises(UserError, match=r"2 of 2 images in files\.zip cannot be read"):
        checked(Files([None, b""]), squash, "skip", progress=False)


def test_large_sets_are_not_loaded(monkeypatch):
    monkeypatch.setattr("ecor_jax.data.encode.MEMORY_LIMIT", 2 * 16 * 16 * 3)
    small, large = Files([encoded(PHOTO)] * 2), Files([None] * 3)
    assert isinstance(checked(small, squash, progress=False)[0], InMemory)
    assert checked(large, squash, progress=False) == (large, ())


@pytest.mark.parametrize(("kind", "top"), [("PNG", 65535), ("PNG", 4095), ("TIFF", 65535), ("TIFF", 1.0)])
def test_grey_levels_beyond_eight_bits_are_stretched(kind, top):
    """PIL alone would cut them off at 255: nearly all white, with no word."""
    levels = np.linspace(0, top, 12).reshape(3, 4)
    image = Image.fromarray(levels.astype(np.float32 if top == 1.0 else np.uint16))
    file = io.BytesIO()
    image.save(file, kind)
    found = np.asarray(decode_image(file.getvalue(), "x"))
    np.testing.assert_allclose(found[..., 0], np.linspace(0, 255, 12).reshape(3, 4), atol=0.57)
    assert (found == found[..., :1]).all()


def test_flat_and_endless_grey_levels():
    def tiff(value):
        file = io.BytesIO()
        Image.fromarray(np.full((3, 4), value, np.float32)).save(file, "TIFF")
        return file.getvalue()

    assert not np.asarray(decode_image(tiff(300), "x")).any()
    with pytest.raises(BadImage, match=r"x cannot be decoded: grey levels that are not finite"):
        decode_image(tiff(np.nan), "x")


def test_what_follows_a_jpeg_is_none_of_it():
    """As phones hang a film behind a picture, whose bytes look like anything."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 99, 199)).save(file, "JPEG", progressive=True)
    assert decode_image(file.getvalue() + b"\xff\xda\0\2" * 1000, "x.jpg").size == (8, 8)


def test_a_tile_beyond_the_picture_is_not_decoded():
    with pytest.raises(BadImage, match=r"x\.tif cannot be decoded: it has 20000x20000 pixels"):
        decode_image(tiled(20_000), "x.tif")


def tiled(side: int) -> bytes:
    """A TIFF of 16x16 grey pixels in one tile of `side` pixels, which is not there."""
    entries = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: 1}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(4)
