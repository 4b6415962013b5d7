"""From video to mouth trajectories: landmark sources give a `MouthTrack`, `trajectory` normalises and resamples it."""
