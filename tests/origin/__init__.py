from tests.origin.content import big_bytes
from tests.origin.media import make_media, media_folder
from tests.origin.server import Listener, Origin, Record

__all__ = ["Listener", "Origin", "Record", "big_bytes", "make_media", "media_folder"]
