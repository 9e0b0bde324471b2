"""Use of a trained model: sessions, writing, completion, scoring, and novelty."""
