"""What conversions, predictions and embeddings with Apache Beam have in common."""
