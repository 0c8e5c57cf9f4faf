from simulation.cli import app

app()
