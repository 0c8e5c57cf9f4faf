"""What the energy service says of tariffs, as far as a calculation needs it."""
