"""What an operator's tools work out. No terminal."""
