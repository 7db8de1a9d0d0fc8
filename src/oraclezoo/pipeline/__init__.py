"""The composer: the one place where registry and stages meet."""
