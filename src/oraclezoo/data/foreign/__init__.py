"""Foreign pictures, which show none of a model's characters, and known pictures for comparison.

Families with the role ``fit`` are for fitting a detector, and those with the role ``report`` for
evaluating it: textures, scripts and characters of the two roles are disjoint. Foreign characters
are degraded, drawn, framed and put on paper in the same ways as known characters, so that only
their shapes differ.
"""
