"""What of HLS is refused as protected, and what is not: standard AES-128 with its key, and media of every kind."""

import pytest

from downloads.engine.protection import is_page, is_protected, is_readable


def playlist(*tags):
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", *tags, "#EXTINF:4,", "seg.ts", "#EXT-X-ENDLIST", ""])


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("#EXT-X-KEY:METHOD=NONE", False),
        ('#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x01', False),
        ('#EXT-X-KEY:METHOD=AES-128,URI="key.bin",KEYFORMAT="identity",KEYFORMATVERSIONS="1"', False),
        ('#EXT-X-KEY:METHOD=AES-128,URI="key.bin?a=METHOD=SAMPLE-AES"', False),
        ("# a comment on SAMPLE-AES", False),
        ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key.bin"', True),
        ('#EXT-X-KEY:URI="key.bin", METHOD=SAMPLE-AES-CTR', True),
        ('#EXT-X-KEY:METHOD=AES-128,URI="k",KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"', True),
        ('#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k",KEYFORMAT="com.microsoft.playready"', True),
        ('#EXT-X-KEY:METHOD=AES-128,URI="skd://k"', True),
        ("#EXT-X-FAXS-CM:MII", True),
    ],
)
def test_what_is_a_mark_of_protection(tag, expected):
    assert is_protected(playlist(tag)) is expected


def test_one_protected_key_among_others_is_enough():
    assert is_protected(playlist("#EXT-X-KEY:METHOD=NONE", '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"'))


@pytest.mark.parametrize(
    ("decrypted", "expected"),
    [
        (b"\x47" + b"noise" * 40, True),
        (b"\x00\x00\x00\x18stypmsdh" + b"noise" * 40, True),
        (b"ID3\x04" + b"noise" * 40, True),
        (b"\xff\xf1\x50" + b"noise" * 40, True),
        (b"WEBVTT\n\n" + b"noise" * 40, True),
        (b"what nobody has heard of" + bytes([8] * 8), True),
        (b"what nobody has heard of" + b"\x01", True),
        (b"what nobody has heard of" + bytes([7] * 6), False),
        (b"what nobody has heard of" + bytes([17] * 17), False),
        (b"what nobody has heard of" + bytes([0] * 16), False),
        (b"", False),
    ],
)
def test_what_a_right_key_gives_is_told_from_noise(decrypted, expected):
    assert is_readable(decrypted) is expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [(b"<html>Log in</html>", True), (b"\n <p>", True), (b"<sixteen bytes->", False), (b"k", False)],
)
def test_a_page_is_no_key(key, expected):
    assert is_page(key) is expected
