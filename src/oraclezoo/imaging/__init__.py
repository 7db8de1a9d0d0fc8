"""From a picture of any kind to what a net reads."""
