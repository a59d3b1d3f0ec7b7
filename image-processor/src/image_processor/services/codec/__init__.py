"""What the decoder and the encoders know of single formats."""
