"""From a result to a published one: run again, checked, and written up."""
