"""The generator with its discriminator as one model: draws, density and diagnosis of what both know together."""

from discrete_gan.reweighted.density import Density, LogPartition
from discrete_gan.reweighted.diagnosis import Diagnosis
from discrete_gan.reweighted.distribution import ReweightedDistribution
from discrete_gan.reweighted.model import METHODS, Draws, Method, Reweighted

__all__ = ["METHODS", "Density", "Diagnosis", "Draws", "LogPartition", "Method", "Reweighted", "ReweightedDistribution"]
