"""A tiny LFM2-MoE that does sums: its problems, its tokenizer, its training and its checkpoint."""
