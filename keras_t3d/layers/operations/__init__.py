"""Operations that Keras lacks or computes slowly; the only modules here that know the backend.

TensorFlow is imported late, and only where it is the backend. All functions are pure: what a
network recomputes for its gradient must not assign variables.
"""
