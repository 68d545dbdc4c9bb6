"""Measuring exported models through the node's inference: python -m cloudytools.evaluate."""
