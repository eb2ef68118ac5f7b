"""Django's settings. What may differ between installations comes from `environment.py`."""

from datetime import timedelta
from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from downie_project.environment import (
    LOOPBACK_HOSTS,
    PROJECT_DIR,
    database,
    library,
    make_folder,
    read_environment,
    secret_key,
)

ENVIRONMENT = read_environment()

# Where things are
BASE_DIR = PROJECT_DIR
DATA_DIR = make_folder(ENVIRONMENT.data_dir, "DOWNIE_DATA_DIR")
WORK_DIR = DATA_DIR / "work"
TOOLS_DIR = DATA_DIR / "tools"
UPDATES_DIR = DATA_DIR / "engine"  # what `manage.py update-engine` fetches
LIBRARY_DIR = make_folder(ENVIRONMENT.library_dir or DATA_DIR / "library", "DOWNIE_LIBRARY_DIR")
PICTURES_DIR = make_folder(ENVIRONMENT.pictures_dir or DATA_DIR / "pictures", "DOWNIE_PICTURES_DIR")

S3_BUCKET = ENVIRONMENT.s3_bucket  # finished files go there instead, where it is not empty
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "library": library(ENVIRONMENT),
}

# What finished files are called, and the folders that they go into
FILENAME_TEMPLATE = ENVIRONMENT.filename_template
FOLDER_TEMPLATE = ENVIRONMENT.folder_template

# How long finished tasks stay, and how many bytes their files may have together; nothing and 0 for no limit
RETENTION_AGE = timedelta(days=ENVIRONMENT.retention_days)
RETENTION_SIZE = int(ENVIRONMENT.retention_gb * 1024**3)

# The engine
MAX_CONCURRENT_DOWNLOADS = ENVIRONMENT.max_concurrent_downloads
MAX_CONVERSIONS = ENVIRONMENT.max_conversions
VIDEO_ENCODER = ENVIRONMENT.video_encoder
MAX_CONNECTIONS = ENVIRONMENT.max_connections
MAX_CONCURRENT_EXTRACTS = ENVIRONMENT.max_concurrent_extracts
EXTRACT_TIME_LIMIT = ENVIRONMENT.extract_time_limit  # seconds
ENGINE_MEMORY_LIMIT = ENVIRONMENT.engine_memory_mb * 1024 * 1024  # bytes, for each process of a download
SPONSORBLOCK_API = ENVIRONMENT.sponsorblock_api
FREE_SPACE_FLOOR = ENVIRONMENT.free_space_floor_mb * 1024 * 1024  # bytes of the disk that no download takes
LIVE_LIMIT = ENVIRONMENT.live_limit_hours * 3600  # seconds of a live stream that are recorded, 0 for all
PLAYLIST_LIMIT = ENVIRONMENT.playlist_limit
LOOKUP_TIME_LIMIT = ENVIRONMENT.lookup_time_limit  # seconds
STALL_SECONDS = ENVIRONMENT.stall_seconds
ALLOWED_NETWORKS = ENVIRONMENT.allowed_networks
FFMPEG_DIR = ENVIRONMENT.ffmpeg_dir

# How the line and others' servers are spared, by all workers together
MAX_DOWNLOADS_PER_HOST = ENVIRONMENT.max_downloads_per_host
SPEED_LIMIT = ENVIRONMENT.speed_limit  # bytes a second, 0 for none
TASK_SPEED_LIMIT = ENVIRONMENT.task_speed_limit  # bytes a second, 0 for none
WORKING_HOURS = ENVIRONMENT.working_hours

# Scaled: many processes share Redis. Embedded: everything is in one process.
REDIS_URL = ENVIRONMENT.redis_url
BROKER_URL = ENVIRONMENT.broker_url or REDIS_URL
SCALED = REDIS_URL is not None

# Where browsers find the service: under a path of a reverse proxy, perhaps, whose headers then say who asks
PATH_PREFIX = ENVIRONMENT.path_prefix
FORCE_SCRIPT_NAME = PATH_PREFIX or None
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
ACCEL_PREFIX = ENVIRONMENT.accel_prefix  # where that proxy finds the library, if it sends the files

SECRET_KEY = secret_key(ENVIRONMENT, DATA_DIR)
DEBUG = False
ALLOW_ANONYMOUS = ENVIRONMENT.allow_anonymous
ALLOWED_HOSTS = [*LOOPBACK_HOSTS, "[::1]", *ENVIRONMENT.allowed_hosts]

INSTALLED_APPS = [
    "downie_project.apps.AdminConfig",  # Django's admin, with a first page of our own
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "ninja",
    "corsheaders",
    "csp",
    "downloads",
]

MIDDLEWARE = [
    "downloads.metrics.counted",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "downloads.api.envelope.envelope",
    "downloads.middleware.known_host",
    "downloads.middleware.same_origin",
    "downloads.middleware.json_errors",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "downloads.middleware.rate_limited",
    "downloads.middleware.logins_limited",
    "downloads.middleware.access_checked",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "downie_project.urls"
ASGI_APPLICATION = "downie_project.asgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database(ENVIRONMENT, DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = f"{PATH_PREFIX}/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]

# What a browser may do with our pages
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "media-src": [SELF, *([ENVIRONMENT.s3_endpoint or "https://*.amazonaws.com"] if S3_BUCKET else [])],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
# Which other sites' pages may use the API, with an API key where there are keys: cookies do not count for them.
CORS_ALLOWED_ORIGINS = ENVIRONMENT.cors_origins
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (*default_headers, "x-api-key", "idempotency-key", "if-none-match", "range", "if-range")
CORS_EXPOSE_HEADERS = (
    "X-Total-Count",
    "X-Count-Is-Part",
    "X-Next-Cursor",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Content-Disposition",
)
CORS_ALLOW_PRIVATE_NETWORK = True
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{PATH_PREFIX}/"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SAMESITE = "Lax"
# TLS ends at a reverse proxy, if there is any: the service itself speaks plain HTTP, on the loopback by default.
SILENCED_SYSTEM_CHECKS = [
    "security.W004",  # HSTS
    "security.W008",  # SSL redirect
    "security.W012",  # session cookie for TLS only
    "security.W016",  # CSRF cookie for TLS only
]

# How much each client may ask, by its API key or else its address
RATE_LIMIT = ENVIRONMENT.rate_limit
EXTRACT_RATE_LIMIT = ENVIRONMENT.extract_rate_limit
MAX_SOCKETS_PER_CLIENT = ENVIRONMENT.max_sockets_per_client
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"about": {"()": "downloads.logs.About"}},
    "formatters": {"console": {"()": "downloads.logs.Console"}, "json": {"()": "downloads.logs.Json"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "filters": ["about"], "formatter": ENVIRONMENT.log_format},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "downloads": {"level": ENVIRONMENT.log_level},
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "django.request": {"level": "ERROR"},  # what clients do wrong is their business
        "dramatiq": {"level": "WARNING"},
    },
}
