"""The sites that the specification features, in its order."""

FEATURED_SITES = (
    "youtube.com",
    "youtu.be",
    "vimeo.com",
    "dailymotion.com",
    "tiktok.com",
    "instagram.com",
    "twitter.com",
    "x.com",
    "facebook.com",
    "bilibili.com",
    "xiaoeknow.com",
    "hjw01.com",
)
