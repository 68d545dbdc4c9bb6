"""The workshop of CloudyPoints: renders streets, trains, exports and measures models."""
