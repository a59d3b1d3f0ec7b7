"""Claims of tasks, as a worker gets them."""

import hashlib

from image_processor.services.jobs.outcomes import Claim


def claim_of(task_id: int, owner: str = "ann") -> Claim:
    """Return the first claim of a task that flips ``p.jpg``."""
    return Claim(
        task_id=task_id,
        attempt=1,
        owner=owner,
        source_id=1,
        source_name="p",
        source_extension=".jpg",
        source_sha256=hashlib.sha256(b"source").hexdigest(),
        priority=0,
        algorithm="flip",
        params={},
        cache=True,
        result_key=f"key-{task_id}",
        suspect=False,
    )
