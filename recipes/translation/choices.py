"""The numbers that were chosen for the artefact."""

OUTSIDE_SHARE = 0.2
"""Share of texts beyond the model that estimate and thresholds count on."""

ASIDE_EVERY = 15
"""One training pair in this many is set aside: its words are not counted, and the estimate is fitted on it."""

TRAINED_WEIGHT = 0.5
"""Weight of such a pair; a development pair has 1. It is lower because the network was trained on it."""

KEPT_POOR = 0.1
"""Share of poor translations (chrF below 40) that may be among those that are kept."""

LONGEST_SENTENCE = 79
"""Pieces; the length of the longest training sentence."""

LONGEST_TEXT = 2_000
"""Code points, about 50 sentences. A longer text would be computed but hardly ever kept."""

DECLINE_BELOW = 0.3
"""Below this confidence a translation is a guess and not published: of the development sentences between 0.1 and 0.3 a
third are poor (chrF below 40), and fewer are good."""
