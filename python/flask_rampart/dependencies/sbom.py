"""A software bill of materials of the installed packages: CycloneDX 1.6, as JSON.

1. Each package is a component with its package URL, its licence (an SPDX expression where it is one, else a name), and
   the hash of the archive that it came from, where the installer has kept it (PEP 610), which also tells of folders and
   repositories. With *files*, its files are components in it, with the hashes of its RECORD.
2. What depends on what is read from ``Requires-Dist``, with markers for this machine, and with the extras that some
   package asks for. What nothing depends on, the application does.
3. What is compiled into a package (the crates of a Rust extension, libraries that a wheel brings along) is read from
   the CycloneDX documents beside its metadata (``.dist-info/sboms``, PEP 770), and becomes components in that package.
4. The same packages give the same document, with the same serial number; its time is ``SOURCE_DATE_EPOCH`` where that
   is set.

What was not installed as a package (the app's own modules, the C library) is not in it.

Source: cyclonedx.org/docs/1.6/json; github.com/package-url/purl-spec (type ``pypi``).
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..regular import read
from .errors import CannotCheck
from .packages import Package, metadata_of
from .versions import normalised

Json = dict[str, Any]

_ALGORITHMS = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
_KEPT = ("type", "group", "name", "version", "description", "scope", "hashes", "licenses", "copyright", "purl")
_IN_SBOMS = re.compile(r"[^/]+\.(dist|egg)-info/sboms/.+\.json", re.IGNORECASE)
_NAMESPACE = uuid.UUID("8a6f0a3e-2e5c-5d0b-9a53-0d7f1d3b7c11")
# Without the brackets of IPv6, which validators of CycloneDX refuse.
_HOST = re.compile(r"[^\[\]:@]+(?::[0-9]*)?")
_ROOT = "application"
_LONGEST_LICENCE = 100
_MOST_BYTES = 64 * 1024 * 1024


def bill_of_materials(
    packages: Sequence[Package], *, name: str, version: str | None = None, files: bool = False, time: float
) -> Json:
    """The document.

    :param name: of the application that the packages are installed for.
    :param files: whether the files of each package are listed.
    :param time: when it was made, in seconds since 1970.
    :raises CannotCheck: if ``packaging`` is not installed; for a list of what is inside a package that cannot be read.
    """
    edges = _edges(packages)
    components: list[Json] = []
    inner: list[Json] = []
    for package in packages:
        component = _component(package)
        parts, links = _inside(package)
        # A crate that two documents name is one component.
        parts = list({part["bom-ref"]: part for part in parts}.values())
        if files:
            parts += _files(package)
        if parts:
            component["components"] = parts
        components.append(component)
        inner += links
    needed = {each for found in edges.values() for each in found}
    root: Json = {"type": "application", "bom-ref": _ROOT, "name": name}
    if version is not None:
        root["version"] = version
    dependencies = [{"ref": _ROOT, "dependsOn": [_purl(each) for each in packages if each.name not in needed]}]
    by_name: dict[str, list[Package]] = {}
    for package in packages:
        by_name.setdefault(package.name, []).append(package)
    own: dict[str, Json] = {link["ref"]: link for link in inner}
    for package in packages:
        ref = _purl(package)
        found = [_purl(of_it) for each in sorted(edges[package.name]) for of_it in by_name[each]]
        dependencies.append({"ref": ref, "dependsOn": found + own.pop(ref, {"dependsOn": []})["dependsOn"]})
    dependencies += own.values()
    document: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": dependencies,
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    when = datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document["serialNumber"] = f"urn:uuid:{serial}"
    document["metadata"] = {
        "timestamp": when,
        "tools": {"components": [{"type": "application", "name": "flask-rampart"}]},
        "component": root,
    }
    return document


def has_inside(package: Package) -> bool:
    """Whether a package brings a list of what is compiled into it."""
    return any(True for _ in _documents(package.distribution))


def _component(package: Package) -> Json:
    metadata = metadata_of(package.distribution)
    component: Json = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.written,
        "version": package.version,
        "purl": _purl(package),
    }
    summary = metadata.get("Summary")
    if summary and summary != "UNKNOWN":
        component["description"] = summary
    if licences := _licences(
        metadata.get("License-Expression"), metadata.get("License"), metadata.get_all("Classifier") or []
    ):
        component["licenses"] = licences
    direct = _direct(package.distribution)
    if hashes := _archive(direct):
        component["hashes"] = hashes
    if references := _source(direct):
        component["externalReferences"] = references
    if "dir_info" in direct or "vcs_info" in direct:
        # What was built from there has this name and version, and need not be what an index has under them.
        component["properties"] = [{"name": "flask-rampart:installed-from", "value": _from(direct)}]
    return component


def _purl(package: Package) -> str:
    return f"pkg:pypi/{quote(package.name)}@{quote(package.version, safe='')}"


def _licences(expression: str | None, text: str | None, classifiers: Sequence[str]) -> list[Json]:
    # The field often holds a whole licence; the first line then names it.
    line = (text or "").strip().split("\n", 1)[0].strip()
    for given in (expression, line):
        if given and (known := _spdx(given)) is not None:
            return [{"expression": known}]
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    named = [expression] if expression else [each for each in named if each != "OSI Approved"]
    if not named and line and line != "UNKNOWN" and len(line) <= _LONGEST_LICENCE:
        named = [line]
    return [{"license": {"name": each}} for each in dict.fromkeys(named)]


def _spdx(text: str) -> str | None:
    """The expression that a text is, as SPDX spells it; None for one that is none, and before packaging 24.2."""
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError:
        return None
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


def _direct(distribution: Distribution) -> Json:
    """Where it was installed from, if not from an index, as its installer has noted it (PEP 610)."""
    try:
        noted = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _archive(direct: Json) -> list[Json]:
    """The hashes of the archive that it was installed from."""
    try:
        archive = direct.get("archive_info") or {}
        hashes = archive.get("hashes") or dict([archive["hash"].split("=", 1)] if "hash" in archive else [])
        return [
            {"alg": _ALGORITHMS[name], "content": str(value).lower()}
            for name, value in sorted(hashes.items())
            if name in _ALGORITHMS and re.fullmatch(r"[0-9a-fA-F]{32,128}", str(value))
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _from(direct: Json) -> str:
    if direct.get("vcs_info"):
        return "repository"
    folder = direct.get("dir_info")
    return "editable folder" if isinstance(folder, dict) and folder.get("editable") is True else "folder"


def _source(direct: Json) -> list[Json]:
    """The address it came from, of a repository with the commit; never a password, nor a folder of this machine."""
    url, vcs = direct.get("url"), direct.get("vcs_info")
    if not isinstance(url, str) or not url.isprintable():
        return []
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() == "file":
        return []
    # A password may have any of these in it, unescaped; then nobody can say where it ends, and there is no address.
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    host, behind = authority.rpartition("@")[2], rest[len(authority) :]
    if "@" in behind or not _HOST.fullmatch(host):
        return []
    shown = quote(f"{scheme}://{host}{re.split('[?#]', behind, maxsplit=1)[0]}", safe=":/%+~")
    if not isinstance(vcs, dict):
        return [{"type": "distribution", "url": shown}]
    kind, commit = str(vcs.get("vcs", "")), str(vcs.get("commit_id", ""))
    if re.fullmatch("[a-z]{1,16}", kind) and re.fullmatch(r"[\w.-]{1,128}", commit, re.ASCII):
        shown = f"{kind}+{shown}@{commit}"
    return [{"type": "vcs", "url": shown}]


def _files(package: Package) -> list[Json]:
    found: list[Json] = []
    for file in package.distribution.files or ():
        component: Json = {
            "type": "file",
            "bom-ref": f"{_purl(package)}#{quote(file.as_posix())}",
            "name": file.as_posix(),
        }
        if file.hash is not None and file.hash.mode in _ALGORITHMS:
            content = base64.urlsafe_b64decode(file.hash.value + "=" * (-len(file.hash.value) % 4)).hex()
            component["hashes"] = [{"alg": _ALGORITHMS[file.hash.mode], "content": content}]
        found.append(component)
    return found


def _edges(packages: Sequence[Package]) -> dict[str, set[str]]:
    """What each package needs of those that are installed."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        raise CannotCheck("requirements cannot be read without packaging: pip install flask-rampart[check]") from None
    read: dict[str, list[Requirement]] = {}
    for package in packages:
        read.setdefault(package.name, [])  # of two with one name, what both need
        for text in package.distribution.requires or ():
            try:
                read[package.name].append(Requirement(text))
            except InvalidRequirement:
                raise CannotCheck(f"{package.written} has a requirement that is none: {text!r}.") from None
    edges: dict[str, set[str]] = {name: set() for name in read}
    extras: dict[str, set[str]] = {name: {""} for name in read}
    changed = True
    while changed:  # an extra that is asked for may ask for others; there are finitely many
        changed = False
        for name, requirements in read.items():
            for requirement in requirements:
                needed = normalised(requirement.name)
                if needed not in read or not _applies(requirement, extras[name]):
                    continue
                new = {normalised(extra) for extra in requirement.extras} - extras[needed]
                changed = changed or bool(new)
                extras[needed] |= new
                if needed != name:
                    edges[name].add(needed)
    return edges


def _applies(requirement: Any, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def _documents(distribution: Distribution) -> Iterator[Path]:
    for file in distribution.files or ():
        if _IN_SBOMS.fullmatch(file.as_posix()):
            yield Path(str(file.locate()))


def _inside(package: Package) -> tuple[list[Json], list[Json]]:
    """The components in a package, and what depends on what among them."""
    parts: list[Json] = []
    links: dict[str, list[str]] = {}
    for path in _documents(package.distribution):
        try:
            document = json.loads(read(path, _MOST_BYTES))
            if document.get("bomFormat") != "CycloneDX":
                continue  # SPDX, say, which has no place here
            _read(document, package, parts, links)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CannotCheck(
                f"{package.written}: {path.name}, which lists its parts, cannot be read ({type(error).__name__})."
            ) from None
    return parts, [{"ref": ref, "dependsOn": sorted(set(on))} for ref, on in links.items()]


def _read(document: Mapping[str, Any], package: Package, parts: list[Json], links: dict[str, list[str]]) -> None:
    outer = _purl(package)
    root = document.get("metadata", {}).get("component", {}).get("bom-ref")
    # The document is about the package itself, whose component there is: what it lists is in there.
    refs = {root: outer}
    for component in document.get("components", ()):
        ref = component.get("bom-ref") or component.get("purl") or component["name"]
        refs[ref] = f"{outer}#{ref}"
        parts.append({"bom-ref": refs[ref], **{name: component[name] for name in _KEPT if name in component}})
    for link in document.get("dependencies", ()):
        if link["ref"] in refs:
            on = [refs[each] for each in link.get("dependsOn", ()) if each in refs]
            links.setdefault(refs[link["ref"]], []).extend(on)
