"""The platform every Hashyard service stands on."""
