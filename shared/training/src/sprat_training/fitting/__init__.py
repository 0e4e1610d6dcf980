"""From texts with labels to a head, its calibration and a lexical stage, and how good they are."""
