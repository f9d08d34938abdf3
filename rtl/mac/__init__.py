"""The media access controller: frame check sequence, GMII and XGMII."""
