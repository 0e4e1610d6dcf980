"""The frontier service: asks a large model about hard cases, within policy, deadline and price."""
