"""Live adaptation: students that learn their own camera while it runs. The learning itself is a program of its own."""
