"""The keys of the owners of a server in the mode keys."""

import subprocess
from collections.abc import Mapping

from tests.support.client import Served, new_key
from tests.support.environment import ENVIRONMENT, PROJECT, SCRIPTS
from tests.support.stacks import EmbeddedStack


def keys_of_owners(stack: EmbeddedStack, roles: Mapping[str, str]) -> Mapping[str, str]:
    """Create a key for each of these owners, with this role; return the keys by owner."""
    # The first key of an installation is made on its machine, the others by the API.
    words = ["keys", "create", "--owner", "root", "--role", "admin", "--data", str(stack.data)]
    command = [str(SCRIPTS / "pixmill"), *words]
    run = subprocess.run(command, env=ENVIRONMENT, cwd=PROJECT, check=True, capture_output=True, text=True)
    with Served(stack.url, key=run.stdout.strip()) as client:
        return {owner: new_key(client, owner, role) for owner, role in roles.items()}
