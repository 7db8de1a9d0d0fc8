"""Training of recipes: data, pre-training, teachers, fine-tuning and concurrent seeds."""
