"""One sample document for a JSON schema: the same every time, so that it can be committed."""

from collections.abc import Callable, Mapping
from typing import Any, cast

Schema = Mapping[str, Any]

_TEXTS: Mapping[str, str] = {
    "uuid": "019a0000-0000-7000-8000-{number:012d}",
    "date-time": "2026-11-21T12:00:00Z",
    "date": "2026-11-21",
    "ipv4": "10.20.0.7",
    "ipvanyaddress": "10.20.0.7",
    "ipv4network": "10.20.0.0/16",
    "ipvanynetwork": "10.20.0.0/16",
    "binary": "aGFzaHlhcmQ=",
    "base64": "aGFzaHlhcmQ=",
}


class UnsampledError(Exception):
    """A schema says something for which there is no sample; give the field `examples`."""


class Sampler:
    """Makes samples; every UUID in one document is a different one."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._number = 0
        self._makers: Mapping[str, Callable[[Schema], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": lambda schema: int(_number(schema)),
            "number": _number,
            "boolean": lambda _: True,
            "null": lambda _: None,
        }

    def sample(self, schema: Schema) -> Any:
        """Return a value that the schema allows."""
        if "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            return self.sample(self._definitions[name])
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "const" in schema:
            return schema["const"]
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self.sample(_fullest(schema[key]))
        maker = self._makers.get(str(schema.get("type")))
        if maker is None:
            raise UnsampledError(f"No sample for {dict(schema)}.")
        return maker(schema)

    def _object(self, schema: Schema) -> dict[str, Any]:
        made = {name: self.sample(one) for name, one in schema.get("properties", {}).items()}
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) and not made:
            made["name"] = self.sample(cast("Schema", extra))
        return made

    def _array(self, schema: Schema) -> list[Any]:
        if "prefixItems" in schema:
            return [self.sample(one) for one in schema["prefixItems"]]
        count = max(1, int(schema.get("minItems", 1)))
        return [self.sample(schema.get("items", {"type": "string"})) for _ in range(count)]

    def _string(self, schema: Schema) -> str:
        self._number += 1
        text = _TEXTS.get(str(schema.get("format")), "text").format(number=self._number)
        if "pattern" in schema and "format" not in schema:
            # Numbers as text (money, energy) are the patterns that schemas of ours have.
            text = "12.5"
        return text


def _fullest(choices: list[Schema]) -> Schema:
    """Prefer what says most: a value to null, a number to its text."""
    return next((one for one in choices if one.get("type") != "null"), choices[0])


def _number(schema: Schema) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    wished = 3.0
    if low is not None and wished <= low:
        wished = float(low) + 1
    if high is not None and wished >= high:
        wished = (float(low or 0) + float(high)) / 2
    return wished
