"""What a certificate means, in the words that stand in docs, `--help` and reports."""

from typing import Final

from sprat_contracts.thresholds import Certificate

PARAGRAPH: Final = (
    "Certified 97 %: if rows like these were drawn again and again, in at most 5 of 100 drawings the share right among "
    "kept answers would be below 97 %. It speaks of traffic like these rows, of this version, of the goals named "
    "before, with k of n texts outside every label, and not of tomorrow."
)


def paragraph(certificate: Certificate, goal: float) -> str:
    """Return what the certificate of a goal means, with its numbers."""
    drawn = f"{certificate.outside:,} of {certificate.rows:,} texts outside every label"
    if certificate.drawn == "reviews":
        drawn = f"{certificate.rows:,} reviews of what was kept"
    said = PARAGRAPH.replace("97 %", f"{goal * 100:.3g} %").replace("k of n texts outside every label", drawn)
    if certificate.no_outside_texts:
        said += " Its owner states that no text is outside every label (--no-outside-texts)."
    if certificate.attempt > 1:
        spent = f"{certificate.spent * 100:.1f} % of the 5 % that all attempts share"
        said += f" Attempt {certificate.attempt} on this version: it may spend {spent}."
    return said
