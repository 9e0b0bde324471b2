"""Using a trained model: sessions, writing, scoring, novelty."""
