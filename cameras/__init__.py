"""What a camera is and how its frames come off it. Knows nothing of models, stores or Ray."""
