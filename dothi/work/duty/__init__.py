"""Duty (trực ban): shifts, who is on call, the shift log, handovers and the morning brief."""
