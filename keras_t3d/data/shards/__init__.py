"""Shards: their plan, their records, their manifest."""
