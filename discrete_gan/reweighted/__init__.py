"""The generator with its discriminator as one model: draws, density and diagnosis of what both know together."""

from discrete_gan.reweighted.diagnosis import Diagnosis
from discrete_gan.reweighted.model import METHODS, Draws, Method, Reweighted, ReweightedDistribution

__all__ = ["METHODS", "Diagnosis", "Draws", "Method", "Reweighted", "ReweightedDistribution"]
