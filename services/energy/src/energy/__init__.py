"""Energy: tariffs, what electricity cost, and what curtailed wind would have mined."""
