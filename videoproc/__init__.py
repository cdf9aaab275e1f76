"""Video analysis with deep learning: from video bytes to compared, traceable models."""
