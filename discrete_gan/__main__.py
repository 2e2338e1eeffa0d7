"""``python -m discrete_gan``, the same as the ``discrete-gan`` command."""

from discrete_gan.cli import main

main()
