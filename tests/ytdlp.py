"""yt-dlp as the engine's child has it."""

from yt_dlp.downloader import fragment
from yt_dlp.downloader.common import FileDownloader
from yt_dlp.downloader.external import FFmpegFD
from yt_dlp.downloader.fragment import FragmentFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.networking._curlcffi import CurlCFFIRH
from yt_dlp.networking.common import Request, RequestHandler
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

from downloads.engine import cures

PATCHED = {
    (FragmentFD, "_write_ytdl_file"),
    (FragmentFD, "_prepare_frag_download"),
    (FragmentFD, "_prepare_and_start_frag_download"),
    (FragmentFD, "download_and_append_fragments"),
    (FragmentFD, "_append_fragment"),
    (FileDownloader, "download"),
    (FileDownloader, "best_block_size"),
    (FileDownloader, "report_progress"),
    (HttpFD, "real_download"),
    (Request, "headers"),
    (RequestHandler, "_make_sslcontext"),
    (FFmpegPostProcessor, "_configuration_args"),
    (FFmpegPostProcessor, "get_metadata_object"),
    (FFmpegPostProcessor, "get_audio_codec"),
    (FFmpegPostProcessor, "_get_version"),
    (FFmpegPostProcessor, "real_run_ffmpeg"),
    (FFmpegFD, "_call_downloader"),
    (HlsFD, "_has_drm"),
    (fragment, "aes_cbc_decrypt_bytes"),
    (CurlCFFIRH, "_send"),
    (CurlCFFIRH, "_get_proxies"),
    (CurlCFFIRH, "_validate"),
    (CurlCFFIRH, "is_supported_target"),
}


def cure(monkeypatch):
    """Every cure, until the end of the test."""
    _ = [monkeypatch.setattr(owner, name, getattr(owner, name)) for owner, name in PATCHED]
    monkeypatch.setattr(CurlCFFIRH, "egress", "", raising=False)
    cures.apply()


def make(folder, tools, **options):
    """A yt-dlp that downloads to `media.*` in the folder."""
    return cures.CappedYoutubeDL(
        {
            "quiet": True,
            "cachedir": False,
            "ffmpeg_location": str(tools.folder),
            "outtmpl": {"default": str(folder / "media.%(ext)s")},
            "fixup": "force",
            "fragment_retries": 0,
            "retries": 1,
            **options,
        }
    )
