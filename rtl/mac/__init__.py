"""The media access controller: frame check sequence and GMII."""
