"""From audio, transcripts and label files to phones with times, in ARPABET."""
