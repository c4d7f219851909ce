"""The drawn scene behind `synthetic://`: a square seen by one camera, and people who walk over it."""
