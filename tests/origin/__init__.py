from tests.origin.content import VIDEO_ID, big_bytes
from tests.origin.media import make_media, media_folder
from tests.origin.server import Listener, Origin, Record

__all__ = ["VIDEO_ID", "Listener", "Origin", "Record", "big_bytes", "make_media", "media_folder"]
