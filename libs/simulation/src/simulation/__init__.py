"""The simulated world: miners, pools and feeds that speak the real protocols."""
