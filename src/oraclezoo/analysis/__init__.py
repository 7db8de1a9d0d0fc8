"""What a trained model gets right and wrong, and on which images it can be trusted."""
