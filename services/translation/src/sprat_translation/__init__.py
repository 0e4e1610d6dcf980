"""The translation service: translates texts and estimates the quality of each translation."""
