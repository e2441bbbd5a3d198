"""Figures that officers type: returns by party and period, approved before they enter the store."""
