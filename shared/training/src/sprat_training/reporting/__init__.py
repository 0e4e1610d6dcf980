"""Reports for people: one HTML file with its charts, no script, no address."""
