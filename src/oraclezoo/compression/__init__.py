"""Compression: which channels go, how a net is cut and rebuilt, fewer bits a weight."""
