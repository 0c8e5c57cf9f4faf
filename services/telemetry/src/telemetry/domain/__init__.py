"""Rules of telemetry as plain functions over plain values; the clock is an argument."""
