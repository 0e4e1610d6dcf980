"""What `sprat doctor` looks at. Every check tells what it found and, where something is amiss, what to do."""
