"""What will not work on this host and LAN, said before trouble: facts in, diagnoses out."""
