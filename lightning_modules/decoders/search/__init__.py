"""Writes sentences with a decoder's step: greedy, sampled or by beam search, batched on any device."""
