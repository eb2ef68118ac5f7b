"""What of HLS is protected, and so is refused: systems for digital rights, and keys that a site has disguised.

Free of yt-dlp. Standard AES-128 (RFC 8216, section 5) is no protection in this sense: whoever is given the key may
read the stream. Nothing here is ever undone.
"""

import re
from typing import Final

KEY_LENGTH: Final = 16  # bytes (RFC 8216, section 4.3.2.4)

DISGUISED_KEY: Final = "the site disguises the key of this stream on purpose, which is DRM of its own making"
KEY_WITHHELD: Final = "the site answers with a page instead of the stream's key: log in there and give the cookies"

_KEY_TAG: Final = re.compile(r"^#EXT-X-(?:SESSION-)?KEY:(.{0,8000})", re.MULTILINE)
_PROTECTED_KEY: Final = re.compile(
    r"""
      (?:^|,)\s*METHOD=SAMPLE-AES                # FairPlay and the like; also without a KEYFORMAT
    | (?:^|,)\s*KEYFORMAT="(?!identity")[^"]+"   # Widevine, PlayReady, FairPlay
    | (?:^|,)\s*URI="skd:                        # FairPlay
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FLASH_ACCESS: Final = re.compile(r"^#EXT-X-FAXS-CM:", re.MULTILINE)

_BLOCK: Final = 16
_SYNC_BYTE: Final = 0x47  # of MPEG-TS
_BOXES: Final = frozenset({b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"prft", b"free", b"skip", b"mdat"})
# ID3, ADTS and MPEG audio, AC-3, WebVTT, and the pictures behind which some sites put MPEG-TS
_BEGINNINGS: Final = (b"ID3", b"\xff", b"\x0b\x77", b"WEBVTT", b"\xef\xbb\xbfWEBVTT", b"\x89PNG", b"GIF8", b"BM")


def is_protected(playlist: str) -> bool:
    """Tell whether an HLS playlist, of variants or of segments, names a key that a DRM system keeps."""
    keys = (found[1] for found in _KEY_TAG.finditer(playlist))
    return any(_PROTECTED_KEY.search(key) for key in keys) or bool(_FLASH_ACCESS.search(playlist))


def is_page(key: bytes) -> bool:
    """Tell whether a site has answered with a web page, such as that of its login, where a key was asked for."""
    return len(key) != KEY_LENGTH and key.lstrip().startswith(b"<")


def is_readable(decrypted: bytes) -> bool:
    """Tell whether a decrypted segment is one: its padding is right (PKCS #7), or it begins like media.

    A wrong key gives noise, of which one in 256 has a right padding by chance, but not segment after segment.
    """
    padding = decrypted[-1] if decrypted else 0
    is_padded = 1 <= padding <= _BLOCK and decrypted.endswith(bytes([padding]) * padding)
    begins_well = decrypted[:1] == bytes([_SYNC_BYTE]) or decrypted[4:8] in _BOXES or decrypted.startswith(_BEGINNINGS)
    return is_padded or begins_well
