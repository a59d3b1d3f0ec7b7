"""The rules by which each dialect computes sizes and places: numbers in, numbers out, no pixel."""
