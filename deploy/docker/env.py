"""Write `.env` for docker compose: one random secret per name; an existing file is kept.

python3 deploy/docker/env.py
"""

import base64
import os
import secrets
import sys
from pathlib import Path

SERVICES = ("gateway", "calculator", "hosting", "telemetry", "intelligence", "energy")
ROLES = ("owner", "app", "worker")


def main() -> None:
    """Write the file, readable by its owner only."""
    target = Path(__file__).resolve().parents[2] / ".env"
    if target.exists():
        sys.exit(f"{target.name} exists; it is kept.")

    def key() -> str:
        return base64.b64encode(secrets.token_bytes(32)).decode()

    names = {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "DEVICE_CREDENTIAL_KEY": key(),
        "GATEWAY_SIGNING_KEY": key(),
        "GATEWAY_API_KEY_PEPPER": secrets.token_urlsafe(48),
        "GATEWAY_ADMIN_EMAIL": "admin@hashyard.example",
        "GATEWAY_ADMIN_PASSWORD": secrets.token_urlsafe(12),
    }
    for service in SERVICES:
        names[f"{service.upper()}_INTERNAL_KEY"] = secrets.token_urlsafe(48)
        for role in ROLES:
            names[f"{service.upper()}_{role.upper()}_PASSWORD"] = secrets.token_urlsafe(24)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in names.items())
    sys.stdout.write(f"Wrote {target.name}. The admin's password is in it.\n")


if __name__ == "__main__":
    main()
