"""In which regions a language's texts give phone numbers without a country code, the likeliest first."""

from typing import Final

_REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "bg": ("BG",), "bs": ("BA",), "ca": ("ES", "AD"), "cs": ("CZ",), "cy": ("GB",), "da": ("DK", "GL"),
    "de": ("DE", "AT", "CH", "LI", "LU", "BE"), "el": ("GR", "CY"), "en": ("GB", "US", "IE", "CA", "AU", "IN"),
    "es": ("ES", "MX", "AR", "CO"), "et": ("EE",), "eu": ("ES",), "fi": ("FI",), "fr": ("FR", "BE", "CH", "LU", "CA"),
    "ga": ("IE",), "gl": ("ES",), "hr": ("HR", "BA"), "hu": ("HU",), "is": ("IS",), "it": ("IT", "CH", "SM"),
    "lb": ("LU",), "lt": ("LT",), "lv": ("LV",), "mk": ("MK",), "mt": ("MT",), "nb": ("NO",), "nl": ("NL", "BE"),
    "nn": ("NO",), "no": ("NO",), "pl": ("PL",), "pt": ("PT", "BR"), "ro": ("RO", "MD"), "ru": ("RU",), "sk": ("SK",),
    "sl": ("SI",), "sq": ("AL", "XK"), "sr": ("RS",), "sv": ("SE", "FI"), "tr": ("TR", "CY"), "uk": ("UA",),
    "ar": ("AE", "SA", "EG"), "he": ("IL",), "hi": ("IN",), "ja": ("JP",), "ko": ("KR",), "zh": ("CN", "HK", "TW"),
}  # fmt: skip


def regions_of(language: str, region: str | None) -> tuple[str, ...]:
    """Give the regions to try; the text's own, where its tag names one, before the others."""
    listed = _REGIONS.get(language, ())
    return (
        listed if region is None or region in listed[:1] else (region, *(other for other in listed if other != region))
    )
