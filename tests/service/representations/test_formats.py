"""The formats in which a table is served."""

from service.representations.formats import BY_MEDIA_TYPE, CSV, FORMATS, MEDIA_TYPES, NPY, SAFETENSORS, TEXTS

DIGEST = "ab" * 32


def test_safetensors_is_the_default() -> None:
    """The first format, which a client gets that asks for none, is safetensors."""
    assert FORMATS[0] is SAFETENSORS is BY_MEDIA_TYPE[MEDIA_TYPES[0]]


def test_formats_have_distinct_names_and_tags() -> None:
    """No two formats share an extension, a media type or the entity tag of a table."""
    for names in (
        {item.extension for item in FORMATS},
        {item.media_type for item in FORMATS},
        {item.etag(DIGEST) for item in FORMATS},
    ):
        assert len(names) == len(FORMATS)
    assert NPY.etag(DIGEST) == f'"{DIGEST}-1.npy"'.encode()


def test_text_names_its_charset() -> None:
    """The Content-Type of a text format says that it is UTF-8."""
    assert CSV.content_type == b"text/csv; charset=utf-8"
    assert NPY.content_type == b"application/x-npy"


def test_only_text_is_written_for_each_response() -> None:
    """Safetensors and npy are sent as they lie in memory; JSON and CSV are written block by block."""
    assert {item.extension for item in TEXTS} == {"json", "csv"}
