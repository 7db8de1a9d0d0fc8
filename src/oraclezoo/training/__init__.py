"""Train recipes: data preparation, pre-training, distillation, fine-tuning, stacked seeds."""
