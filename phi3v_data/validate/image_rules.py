"""E4xx: what may be wrong with an image that a record names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from phi3v_data.media.checks import BadImage

__all__ = [
    "EmptyImageFile",
    "FolderMissing",
    "ImageAnimated",
    "ImageBlank",
    "ImageDamaged",
    "ImageMissing",
    "ImageRotated",
    "ImageTiny",
    "ImageTooLarge",
    "ImageTooThin",
    "ImageTruncated",
    "ImageUnreadable",
    "NoImage",
    "NotEightBitRGB",
    "SuffixDiffers",
    "UnsafeImagePath",
    "fault_of",
]


class ImageMissing(Rule):
    """There is no such image."""

    code = "E401"
    slug = "image-missing"
    message = "the image {path} is not in {folder}"
    hint = "Paths are relative to the images folder: name another with --images_dir, or add the file."
    bad = '"images": ["train/cta.jpg"], where there is only images/train/cat.jpg'
    good = '"images": ["train/cat.jpg"]'


class UnsafeImagePath(Rule):
    """The path must not be opened."""

    code = "E402"
    slug = "image-path-unsafe"
    message = "the image path {path} {fault}"
    hint = "Write paths relative to the images folder, with '/', such as \"train/cat.jpg\"."
    bad = '"images": ["../cat.jpg"], "images": ["/data/cat.jpg"] or "images": ["train\\\\cat.jpg"]'
    good = '"images": ["train/cat.jpg"]'


class EmptyImageFile(Rule):
    """The image file has no bytes."""

    code = "E403"
    slug = "image-empty"
    message = "the image {path} {fault}"
    hint = "The step that wrote it failed: make the image again."
    bad = "images/cat.jpg of 0 bytes"
    good = "images/cat.jpg, a JPEG file"


class NoImage(Rule):
    """The file is something else than an image."""

    code = "E404"
    slug = "image-invalid"
    message = "the image {path} {fault}"
    hint = "Fetch or make the image again, or name another file in the record."
    bad = "images/cat.jpg that begins with <!DOCTYPE html>"
    good = "images/cat.jpg, a JPEG file"


class ImageTruncated(Rule):
    """The image file ends before the image does."""

    code = "E405"
    slug = "image-truncated"
    message = "the image {path} {fault}"
    hint = "The copy or download was cut off: fetch or make the image again."
    bad = "images/cat.jpg, the first half of a JPEG file"
    good = "images/cat.jpg, the whole file"


class ImageTooLarge(Rule):
    """The image has more pixels than is safe to decode."""

    code = "E406"
    slug = "image-too-large"
    message = "the image {path} {fault}"
    hint = "Scale it down: the model sees no more than a few thousand pixels a side."
    bad = "images/map.png of 20000x20000 pixels"
    good = "images/map.png of 2000x2000 pixels"


class FolderMissing(Rule):
    """The images folder is not there."""

    code = "E407"
    slug = "images-folder-missing"
    message = "there is no images folder {folder}; no image was checked"
    hint = "Name the folder with --images_dir, or pass --images none to leave images out."
    bad = "data/train.jsonl with images in its records and no data/images"
    good = "data/train.jsonl beside data/images"


class ImageUnreadable(Rule):
    """The operating system does not let the image be read."""

    code = "E408"
    slug = "image-unreadable"
    message = "the image {path} {fault}"
    hint = "Check the permissions of the file and its folders, and the disk."
    bad = "images/cat.jpg with mode 000"
    good = "images/cat.jpg with mode 644"


class ImageDamaged(Rule):
    """The image begins and ends as it should, and does not decode."""

    code = "E409"
    slug = "image-damaged"
    message = "the image {path} {fault}"
    hint = "Its middle was overwritten or lost: fetch or make the image again."
    bad = "images/cat.png with a byte of its pixels changed"
    good = "images/cat.png as it was written"


class ImageTooThin(Rule):
    """The image is so long and thin that the model's image processor cannot scale it."""

    code = "E410"
    slug = "image-too-thin"
    message = "the image {path} {fault}"
    hint = "Cut the image into parts, or leave the record out; training would stop at it."
    bad = "images/line.png of 12000x2 pixels"
    good = "images/line.png of 12000x40 pixels"


class ImageTiny(Rule):
    """The image is so small that it can show next to nothing."""

    code = "W411"
    slug = "image-tiny"
    message = "the image {path} {fault}"
    hint = "If it is a placeholder or a thumbnail, put the whole image in its place: the model gets it blown up."
    bad = "images/pixel.png of 1x1 pixels"
    good = "images/cat.png of 640x480 pixels"


class SuffixDiffers(Rule):
    """The file's name says another format than its content."""

    code = "W412"
    slug = "suffix-differs"
    message = "the image {path} {fault}"
    hint = "Pillow reads it all the same, other readers may not: rename the file, or see how it came to the name."
    bad = "images/cat.jpg, which is a PNG file"
    good = "images/cat.png, which is a PNG file"


class NotEightBitRGB(Rule):
    """The model sees other colours than a viewer shows: the image is CMYK, deeper than 8 bits, or transparent."""

    code = "W414"
    slug = "not-8-bit-rgb"
    message = "the image {path} {fault}"
    hint = "Convert it to RGB with 8 bits a channel, on the background that it should have."
    bad = "images/logo.png, black on a transparent ground: the model sees a black square"
    good = "images/logo.png, black on white"


class ImageAnimated(Rule):
    """The file holds several pictures, of which the model sees the first."""

    code = "W416"
    slug = "image-animated"
    message = "the image {path} {fault}"
    hint = "Write the frames that matter as images of their own."
    bad = "images/cat.gif of 24 frames"
    good = "images/cat.0.png, images/cat.12.png"


class ImageRotated(Rule):
    """The image's Exif data ask a viewer to turn it, which the trainer does not do."""

    code = "W418"
    slug = "image-rotated"
    message = "the image {path} {fault}"
    hint = "Turn the pixels themselves, as PIL.ImageOps.exif_transpose does, and save the image anew."
    bad = "images/cat.jpg, lying on its side, with Exif orientation 6"
    good = "images/cat.jpg, upright, without an orientation"


class ImageBlank(Rule):
    """The image is of one colour, or nearly so."""

    code = "W419"
    slug = "image-blank"
    message = "the image {path} {fault}"
    hint = "Look at it: if it is a placeholder or a failed frame, make it again, or leave the record out."
    bad = "images/cat.jpg, all black"
    good = "images/cat.jpg with a cat on it"


def fault_of(error: BadImage) -> tuple[type[Rule], str]:
    """Return the rule that a bad image breaks, and the end of a sentence about it."""
    from phi3v_data.media import checks

    rules: dict[type[BadImage], type[Rule]] = {
        checks.MissingImage: ImageMissing,
        checks.UnreadableImage: ImageUnreadable,
        checks.EmptyImage: EmptyImageFile,
        checks.NotAnImage: NoImage,
        checks.TruncatedImage: ImageTruncated,
        checks.TooManyPixels: ImageTooLarge,
        checks.DamagedImage: ImageDamaged,
    }
    return rules[type(error)], error.fault
