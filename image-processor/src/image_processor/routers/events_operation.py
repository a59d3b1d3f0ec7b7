"""The event stream in the OpenAPI document."""

from service_kit.events.operation import events_operation

EVENTS = events_operation(
    "task",
    "tasks",
    "Follow the changes of tasks (Server-Sent Events)",
    "Each committed change of a task's status is an event `task`; its data is a JSON object"
    " with `id`, `status`, `result_id`, `batch_id` and, of a failed task, `error`. The stream never ends by itself.",
    {"batch_id": "Only tasks of this batch."},
)
