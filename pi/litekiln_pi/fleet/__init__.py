"""The Pis of a room: found by a list or by mDNS, asked how they are, shown on one page. It runs without a model and a camera."""
