"""From descriptor ring to finished frames: ring, reader, segmenter, checksum, frame buffer."""
