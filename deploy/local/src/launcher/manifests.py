"""Our own rules for what runs on Kubernetes, over rendered resources."""

import re
from collections.abc import Iterator
from typing import Any


def findings(resources: list[dict[str, Any]]) -> list[str]:
    """Return where resources break a rule that the API's schema does not know."""
    found = list(selector_findings(resources))
    for resource in resources:
        if resource["kind"] in ("Deployment", "StatefulSet", "Job"):
            found += pod_findings(resource)
    return found


def pod_findings(resource: dict[str, Any]) -> Iterator[str]:
    """Yield where a workload breaks our rules for pods."""
    name = f"{resource['kind']}/{resource['metadata']['name']}"
    pod = resource["spec"]["template"]["spec"]
    rules = {
        "mounts a service account token": pod.get("automountServiceAccountToken") is not False,
        "may run as root": not pod["securityContext"].get("runAsNonRoot"),
    }
    yield from (f"{name}: {text}" for text, broken in rules.items() if broken)
    for container in pod["containers"]:
        serves = resource["kind"] != "Job"
        yield from (f"{name}: {text}" for text in container_findings(container, serves=serves))


def container_findings(container: dict[str, Any], *, serves: bool) -> Iterator[str]:
    """Yield where a container breaks our rules."""
    context = container.get("securityContext", {})
    probes = {"livenessProbe", "readinessProbe", "startupProbe"}
    rules = {
        "its root is writable": not context.get("readOnlyRootFilesystem"),
        "it may escalate": context.get("allowPrivilegeEscalation") is not False,
        "no memory limit": "memory" not in container["resources"].get("limits", {}),
        "its image has no version": re.search(r":(?!latest)[\w.-]+$", container["image"]) is None,
        "lacks a probe": serves and not probes <= container.keys(),
    }
    yield from (text for text, broken in rules.items() if broken)
    for variable in container.get("env", []):
        secret = re.search("KEY|PASSWORD|DATABASE_URL", variable["name"])
        if secret and "value" in variable:
            yield f"{variable['name']} stands in the manifest"


def selector_findings(resources: list[dict[str, Any]]) -> Iterator[str]:
    """Yield services and budgets that select no pod."""
    pods = [
        resource["spec"]["template"]["metadata"]["labels"]
        for resource in resources
        if "template" in resource.get("spec", {})
    ]
    for resource in resources:
        spec = resource.get("spec", {})
        wanted = {
            "Service": spec.get("selector"),
            "PodDisruptionBudget": spec.get("selector", {}).get("matchLabels"),
        }.get(resource["kind"])
        if wanted and not any(wanted.items() <= labels.items() for labels in pods):
            yield f"{resource['kind']}/{resource['metadata']['name']}: selects nothing"
