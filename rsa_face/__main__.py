"""Lets ``python -m rsa_face`` do what the ``rsa-face`` command does."""

from rsa_face.cli import main

if __name__ == "__main__":
    main()
