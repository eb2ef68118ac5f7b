"""What a look-up says of a video, whatever a site has put there."""

from datetime import date

import pytest

from downloads.engine.lookup import found


@pytest.mark.parametrize(
    ("said", "upload_date"),
    [
        ("20260301", date(2026, 3, 1)),
        ("20261399", None),
        ("", None),
        ("yesterday", None),
        ("9" * 100, None),
        (20260301, None),
        (None, None),
        (["20260301"], None),
    ],
)
def test_a_date_is_a_date_or_none(said, upload_date):
    assert found({"upload_date": said}).upload_date == upload_date
