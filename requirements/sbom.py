"""Print a CycloneDX bill of materials of all locked packages, with their licenses. `make sbom` runs it.

What ships is required; what only tests and development need is excluded (the words of CycloneDX).
"""

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from requirements.packages import ROOT, SHIPPED, Package, packages_of

DEVELOPMENT = ROOT / "requirements" / "development.txt"


def component(package: Package, scope: ComponentScope) -> Component:
    """Return the entry of a package in the bill."""
    url = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        description=package.summary,
        bom_ref=str(url),
        purl=url,
        scope=scope,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in package.hashes],
        licenses=[LicenseFactory().make_from_string(package.license)],
    )


def bill() -> str:
    """Return the bill as JSON."""
    shipped = {package.name: package for package in packages_of(SHIPPED)}
    bom = Bom(components=[component(package, ComponentScope.REQUIRED) for package in shipped.values()])
    bom.metadata.component = Component(type=ComponentType.APPLICATION, name="pixmill", bom_ref="pixmill")
    for package in packages_of(DEVELOPMENT):
        if package.name not in shipped:
            bom.components.add(component(package, ComponentScope.EXCLUDED))
    bom.register_dependency(bom.metadata.component, [part for part in bom.components if part.name in shipped])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


if __name__ == "__main__":
    print(bill())
