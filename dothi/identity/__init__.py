"""Who asks, what they may do, and the proof of what was done."""
