"""Pictures that are none of a model's characters, and pictures of its characters, to compare them.

Families with the role ``fit`` serve for fitting a detector, those with the role ``report`` for
measuring it: textures, scripts and characters of the two roles are disjoint. Foreign characters are
worn, drawn, framed and put on paper in the same ways as known ones, so that only their shape
differs.
"""
