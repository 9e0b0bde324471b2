"""The use of a trained model: sessions, writing, completion, scoring, novelty."""
