"""From a survey image to measured sources: sky, detection, stars and PSF, groups of neighbours, cutouts, models."""
