"""Important rules, each with a change that breaks it and the tests of ``make test`` that must then fail."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """A change of a file.

    :ivar rule: the rule, as a sentence.
    :ivar file: path in the project's folder.
    :ivar before: text that occurs in the file exactly once.
    :ivar after: the replacement.
    :ivar caught_by: pytest's names of the tests, or their file; at least one test must fail.
    """

    rule: str
    file: str
    before: str
    after: str
    caught_by: str


_QUEUE_FRONT = "image-processor/src/image_processor/services/jobs/queue_front.py"
_CLAIMS = "image-processor/src/image_processor/services/jobs/claims.py"
_LEASES = "image-processor/src/image_processor/services/jobs/leases.py"
_TRANSITIONS = "image-processor/src/image_processor/services/jobs/transitions.py"
_BLOBS = "file-storage/src/file_storage/services/blobs.py"
_STORING = "file-storage/src/file_storage/services/storing.py"
_S3 = "file-storage/src/file_storage/storage/s3.py"
_LIMITS = "image-processor/src/image_processor/services/codec/limits.py"
_NGINX = "config/nginx.conf"

MUTATIONS = [
    # Hostile pictures.
    Mutation(
        rule="an image has at most five bands",
        file=_LIMITS,
        before="    if bands > MAX_BANDS:",
        after="    if bands > 100 * MAX_BANDS:",
        caught_by="image-processor/tests/services/codec/test_limits.py::test_an_image_has_at_most_five_bands",
    ),
    Mutation(
        rule="decoded bytes count the bytes of a sample",
        file=_LIMITS,
        before="frame.bands * SAMPLE_BYTES[frame.format] for frame",
        after="frame.bands for frame",
        caught_by="image-processor/tests/services/codec/test_limits.py"
        "::test_the_limit_of_decoded_bytes_counts_bands_and_bytes_of_a_sample",
    ),
    Mutation(
        rule="libvips' other loaders are blocked",
        file="image-processor/src/image_processor/services/codec/decoding.py",
        before='pyvips.operation_block_set("VipsForeignLoad", True)',
        after='pyvips.operation_block_set("VipsForeignLoad", False)',
        caught_by="image-processor/tests/services/codec/test_loaders.py",
    ),
    Mutation(
        rule="a process that decodes confines itself",
        file="image-processor/src/image_processor/confinement/landlock.py",
        before="        _call(_RESTRICT_SELF, rules, 0)",
        after="        pass",
        caught_by="image-processor/tests/confinement/test_sandbox.py",
    ),
    Mutation(
        rule="a process that decodes sends no UDP where it looks up no name",
        file="image-processor/src/image_processor/confinement/places.py",
        before="udp=looks_up and",
        after="udp=",
        caught_by="image-processor/tests/confinement/test_sandbox.py",
    ),
    Mutation(
        rule="a preview runs the steps whose lengths count pixels on the whole picture",
        file="image-processor/src/image_processor/services/codec/preview.py",
        before="return others[-1] + 1 if others else 0",
        after="return 0",
        caught_by="image-processor/tests/services/codec/test_preview.py::test_a_preview_is_the_result_shrunk",
    ),
    Mutation(
        rule="an owner gets only a part of the places of waiting renders",
        file="image-processor/src/image_processor/render/processes/pool.py",
        before="3 * waiting.of_turn(ticket.turn) >= limits.queue",
        after="False",
        caught_by="image-processor/tests/render/test_service.py::test_the_keys_of_an_owner_fill_a_third_of_the_queue",
    ),
    Mutation(
        rule="images by URL take turns by the owner of the file",
        file="image-processor/src/image_processor/render/service.py",
        before="source.owner if principal is None else principal.owner",
        after="None if principal is None else principal.owner",
        caught_by="image-processor/tests/render/test_service.py"
        "::test_images_by_url_take_turns_by_the_owner_of_the_file",
    ),
    Mutation(
        rule="only Pixmill's own processes learn who owns a file",
        file="file-storage/src/file_storage/routers/files.py",
        before="with_owner if principal().is_service else as_json",
        after="with_owner",
        caught_by="file-storage/tests/routers/test_rows.py::test_no_other_lookup_says_who_owns_a_file",
    ),
    Mutation(
        rule="an owner gets at most half of the deliveries of a process",
        file="image-processor/src/image_processor/services/tasks/webhooks.py",
        before="        if of_owner[owner] >= DELIVERIES_OF_AN_OWNER:",
        after="        if of_owner[owner] >= 100 * DELIVERIES_OF_AN_OWNER:",
        caught_by="image-processor/tests/services/tasks/test_webhooks.py"
        "::test_an_owner_gets_half_of_the_senders_of_a_process",
    ),
    # Events.
    Mutation(
        rule="an event waits for transactions that may still commit an earlier one",
        file="service-kit/src/service_kit/events/rows.py",
        before="> position, model.transaction_id < oldest_running_transaction()",
        after="> position",
        caught_by="service-kit/tests/events/test_event_rows.py"
        "::test_an_event_waits_for_transactions_that_may_commit_an_earlier_one",
    ),
    Mutation(
        rule="a listener gets only the events of its owner",
        file="service-kit/src/service_kit/events/stream.py",
        before="return is_visible and self.choice.has(event)",
        after="return self.choice.has(event)",
        caught_by="service-kit/tests/events/test_event_stream.py"
        "::test_the_reader_passes_on_only_events_of_the_listeners_owner",
    ),
    # Tasks.
    Mutation(
        rule="a claim raises the attempt, so that an older holder cannot finish the task",
        file=_CLAIMS,
        before="attempt=Task.attempt + 1,",
        after="attempt=Task.attempt,",
        caught_by="image-processor/tests/services/jobs/test_claims.py::test_a_stale_holder_cannot_finish_a_task_of_another_worker",
    ),
    Mutation(
        rule="only the newest attempt finishes a task",
        file=_CLAIMS,
        before="if attempts.get(claim.task_id) == claim.attempt]",
        after="if claim.task_id in attempts]",
        caught_by="image-processor/tests/services/jobs/test_claims.py::test_a_stale_holder_cannot_finish_a_task_of_another_worker",
    ),
    Mutation(
        rule="a cancelled task stays cancelled when its attempt ends",
        file=_CLAIMS,
        before='.where(Task.id.in_(bindparam("ids", expanding=True)), has_status(TaskStatus.PROCESSING))',
        after='.where(Task.id.in_(bindparam("ids", expanding=True)), Task.status != TaskStatus.FINISHED)',
        caught_by="image-processor/tests/services/jobs/test_work_loop.py"
        "::test_a_cancelled_task_that_ended_by_itself_blocks_no_other_task",
    ),
    Mutation(
        rule="a task that is pending again is found although claims begin above it",
        file=_QUEUE_FRONT,
        before="            [level, own, Task.id < begin, _RETURNED],\n",
        after="",
        caught_by="image-processor/tests/services/jobs/test_queue_front.py::test_a_task_that_is_handed_back_is_the_first_again",
    ),
    Mutation(
        rule="claims begin above no task that a running transaction adds",
        file=_QUEUE_FRONT,
        before="(known.later and first.oldest_transaction >= known.later)",
        after="known.later",
        caught_by="image-processor/tests/services/jobs/test_queue_front.py::test_tasks_of_a_transaction_that_ends_late_are_found",
    ),
    Mutation(
        rule="claims begin above no task of a transaction whose id is the newest",
        file=_QUEUE_FRONT,
        before="            if not known.later and first.own_transaction != known.transaction:\n",
        after="            if not known.later:\n",
        caught_by="image-processor/tests/services/jobs/test_queue_front.py"
        "::test_tasks_with_the_lower_ids_of_the_later_of_two_transactions_are_found",
    ),
    Mutation(
        rule="a task stays with its worker until its lease has run out",
        file=_LEASES,
        before='Task.status == TaskStatus.PROCESSING, Task.lease_until < bindparam("now", type_=Double)',
        after='Task.status == TaskStatus.PROCESSING, Task.lease_until < bindparam("now", type_=Double) + 3600',
        caught_by="image-processor/tests/services/jobs/test_claims.py::test_a_clock_that_is_set_after_its_check_expires_no_lease",
    ),
    Mutation(
        rule="a task that crashes its worker too often ends in error",
        file=_TRANSITIONS,
        before="counter.key: counter + 1,",
        after="counter.key: counter,",
        caught_by="image-processor/tests/services/jobs/test_claims.py::test_three_crashes_end_a_task_in_error",
    ),
    Mutation(
        rule="the problem of lost workers is not that of crashes",
        file=_TRANSITIONS,
        before="Cause.TOO_MANY_LOSSES, detail",
        after="Cause.TOO_MANY_CRASHES, detail",
        caught_by="image-processor/tests/services/jobs/test_problems_of_tasks.py"
        "::test_too_many_lost_workers_are_a_problem_of_their_own_that_says_how_many",
    ),
    Mutation(
        rule="the relay publishes the lost hint of a pending task again",
        file="image-processor/src/image_processor/background/relay.py",
        before="if waiting == 0:",
        after="if waiting != 0:",
        caught_by="image-processor/tests/background/test_relay.py::test_a_lost_hint_is_published_again",
    ),
    Mutation(
        rule="the heartbeat does not renew the leases of ended processes",
        file="image-processor/src/image_processor/background/heartbeat.py",
        before="self._leases.holding_processes(self._worker) if _is_child(process)]",
        after="self._leases.holding_processes(self._worker)]",
        caught_by="image-processor/tests/background/test_heartbeat.py::test_the_lease_of_a_dead_process_is_not_renewed",
    ),
    Mutation(
        rule="the list of a cause has no tasks that failed for another one",
        file="image-processor/src/image_processor/services/tasks/pages.py",
        before='if cause_key(batch_id, task.error or "", task.error_problem) == cause',
        after="if cause",
        caught_by="image-processor/tests/services/tasks/test_failures.py::test_each_cause_lists_its_tasks",
    ),
    Mutation(
        rule="a task has the params of its batch",
        file=_CLAIMS,
        before="shared = batch or _Shared(row.params, None)",
        after="shared = _Shared(row.params, None)",
        caught_by="image-processor/tests/services/tasks/test_batches.py::"
        "test_a_claim_has_the_params_of_its_batch_or_its_own",
    ),
    Mutation(
        rule="an idempotency key is valid only for the same batch",
        file="image-processor/src/image_processor/services/tasks/idempotency.py",
        before="if used.fingerprint != use.fingerprint:",
        after="if used.fingerprint == '':",
        caught_by="image-processor/tests/routers/test_batch_routes.py::"
        "test_a_key_of_another_request_is_refused_and_of_another_owner_is_another_key",
    ),
    Mutation(
        rule="a restart beyond the limit restarts nothing, not even its first step",
        file="image-processor/src/image_processor/services/tasks/bulk.py",
        before="        self._check_limit(principal, wanted, position)\n",
        after="",
        caught_by="image-processor/tests/services/tasks/test_bulk.py::"
        "test_a_restart_beyond_the_limit_restarts_not_even_the_first_step",
    ),
    Mutation(
        rule="a request with a cursor visits no task again",
        file="image-processor/src/image_processor/services/tasks/bulk.py",
        before="place = position or self._start()",
        after="place = self._start()",
        caught_by="image-processor/tests/services/tasks/test_bulk.py::"
        "test_tasks_that_fail_again_are_not_restarted_again",
    ),
    Mutation(
        rule="a page of tasks in several statuses has each task once",
        file="image-processor/src/image_processor/services/tasks/pages.py",
        before="dict.fromkeys(wanted.statuses) or [None]",
        after="wanted.statuses or [None]",
        caught_by="image-processor/tests/services/tasks/test_tasks.py::"
        "test_pages_have_each_matching_task_once_in_order",
    ),
    Mutation(
        rule="a page of a range of time has later files if too few of the next ids are in the range",
        file="file-storage/src/file_storage/services/listing.py",
        before="func.count().filter(*in_range) < limit",
        after="func.count().filter(*in_range) < 0",
        caught_by="file-storage/tests/services/test_creation_times.py::"
        "test_pages_have_each_file_of_the_range_once_in_order",
    ),
    Mutation(
        rule="a batch stays as long as it has a task",
        file="image-processor/src/image_processor/services/tasks/forgetting.py",
        before="Batch.id.in_(batches), _HAS_NO_TASK)",
        after="Batch.id.in_(batches))",
        caught_by="image-processor/tests/services/tasks/test_forgetting.py::test_a_batch_goes_with_its_last_task",
    ),
    # Housekeeping.
    Mutation(
        rule="of the processes that find a chore due, one runs it",
        file="service-kit/src/service_kit/housekeeping.py",
        before="model.name == chore.name, model.due_at == seen)",
        after="model.name == chore.name)",
        caught_by="service-kit/tests/test_housekeeping.py"
        "::test_processes_that_find_a_chore_due_at_the_same_time_run_it_once",
    ),
    Mutation(
        rule="a chore whose process was killed is claimed again",
        file="service-kit/src/service_kit/housekeeping.py",
        before="rows[chore.name].due_at, CLAIM_SECONDS)",
        after="rows[chore.name].due_at, chore.interval_seconds)",
        caught_by="service-kit/tests/test_housekeeping.py::test_a_killed_process_is_followed_by_another",
    ),
    Mutation(
        rule="an upload that finds no room removes what has expired",
        file=_STORING,
        before='"files": self._expiry.expire(), ',
        after='"files": 0, ',
        caught_by="file-storage/tests/services/test_storing.py"
        "::test_a_quota_full_of_what_has_expired_lets_an_upload_in_at_once",
    ),
    # Stored bytes.
    Mutation(
        rule="an idempotency key is valid only for the same content",
        file=_STORING,
        before="parts = [blob.sha256, *new.name",
        after="parts = [*new.name",
        caught_by="file-storage/tests/services/test_files.py::test_a_key_that_was_used_for_other_bytes_is_refused",
    ),
    Mutation(
        rule="a blob stays as long as a file has its bytes",
        file=_BLOBS,
        before="            session.flush()\n            return self._store.retract(session.connection(), [sha256])",
        after="            return self._store.retract(session.connection(), [sha256])",
        caught_by="file-storage/tests/services/test_files.py"
        "::test_bytes_that_a_file_still_has_are_kept_even_if_the_count_is_too_low",
    ),
    Mutation(
        rule="the bytes of a file are durable before the file exists",
        file="file-storage/src/file_storage/storage/staging.py",
        before="self._synced.result()\n            os.fsync(self._file.fileno())",
        after="self._synced.result()",
        caught_by="file-storage/tests/storage/test_folder.py"
        "::test_bytes_are_durable_before_the_rename_and_the_name_after_it",
    ),
    Mutation(
        rule="the name of a blob is durable before the file exists",
        file="file-storage/src/file_storage/storage/folder.py",
        before="staged.path.replace(target)\n        sync_folder(target.parent)",
        after="staged.path.replace(target)",
        caught_by="file-storage/tests/storage/test_folder.py"
        "::test_bytes_are_durable_before_the_rename_and_the_name_after_it",
    ),
    Mutation(
        rule="the row of a file commits only when its bytes are in place",
        file=_STORING,
        before="unfinished = self._store.publish(connection,",
        after="connection.commit()\n                unfinished = self._store.publish(connection,",
        caught_by="file-storage/tests/storage/test_write_safety.py",
    ),
    Mutation(
        rule="an object in S3 has a name that no other ever has",
        file=_S3,
        before="secrets.token_hex(16)",
        after="'0' * 32",
        caught_by="file-storage/tests/storage/test_s3_objects.py",
    ),
    Mutation(
        rule="a file is stored only if its object is still there",
        file=_S3,
        before="if len(taken) < len(needed):",
        after="if len(taken) > len(needed):",
        caught_by="file-storage/tests/storage/test_s3_objects.py",
    ),
    Mutation(
        rule="gc leaves an object alone that an upload is about to use",
        file=_S3,
        before="    .where(_IS_LOOSE, _IS_PENDING, StoredObject.created_at <=",
        after="    .where(_IS_LOOSE, _IS_PENDING, StoredObject.created_at >",
        caught_by="file-storage/tests/storage/test_s3_objects.py::test_gc_leaves_the_object_of_a_recent_upload_alone",
    ),
    Mutation(
        rule="no transaction waits for S3",
        file=_S3,
        before="            connection.execute(insert(StoredObject), row)\n",
        after="            connection.execute(insert(StoredObject), row)\n            self._has(name)\n",
        caught_by="file-storage/tests/storage/test_s3_objects.py",
    ),
    Mutation(
        rule="the quota counts the bytes of every file",
        file="file-storage/src/file_storage/migrations/versions/0005_totals.py",
        before="bytes = bytes + NEW.size * (NEW.file_count > 0)\n",
        after="bytes = bytes + NEW.size * (NEW.file_count > 1)\n",
        caught_by="file-storage/tests/services/test_quota.py::test_an_upload_that_would_exceed_the_quota_is_refused",
    ),
    Mutation(
        rule="a file that is removed leaves the counts by type and month",
        file="file-storage/src/file_storage/migrations/versions/0014_file_counts.py",
        before="0, -1, -OLD.size)",
        after="0, 0, 0)",
        caught_by="file-storage/tests/services/test_totals.py::test_files_that_expire_leave_the_counts",
    ),
    Mutation(
        rule="a task that is restarted no longer counts as failed",
        file="image-processor/src/image_processor/migrations/versions/0014_ended_tasks.py",
        before="VALUES (OLD.owner, OLD.status, '', 0, -1)",
        after="VALUES (OLD.owner, OLD.status, '', 0, 0)",
        caught_by="image-processor/tests/services/tasks/test_ended.py"
        "::test_a_restarted_task_counts_in_each_of_its_ends",
    ),
    # Uploads and downloads.
    Mutation(
        rule="uploads with the same key are not stored together",
        file=_STORING,
        before="key is None or all(key != member.new.key for member in group)",
        after="key is None or len(group) > 0",
        caught_by="file-storage/tests/services/test_uploads_at_once.py::test_a_key_makes_one_file",
    ),
    Mutation(
        rule="a short query finds a link's file only while its token says so",
        file="file-storage/src/file_storage/services/links.py",
        before="return SentByLink(file, disposition) if claim.is_of(expires_at, file.sha256) else None",
        after="return SentByLink(file, disposition)",
        caught_by="file-storage/tests/services/test_links.py"
        "::test_a_link_does_not_fit_another_file_to_which_its_id_is_given_again",
    ),
    Mutation(
        rule="a file in a form is not larger than the limit",
        file="file-storage/src/file_storage/intake/multipart.py",
        before="if staged.size + len(data) > self._max_bytes:",
        after="if staged.size > self._max_bytes:",
        caught_by="file-storage/tests/intake/test_multipart.py::test_a_file_above_the_maximum_size_is_refused",
    ),
    Mutation(
        rule="a body with another Content-Digest is refused",
        file="file-storage/src/file_storage/headers/digests.py",
        before="if not hmac.compare_digest(actual.digest(), digest):",
        after="if len(actual.digest()) != len(digest):",
        caught_by="file-storage/tests/headers/test_digests.py::test_a_body_that_was_changed_in_transit_is_refused",
    ),
    Mutation(
        rule="a resumable upload accepts bytes only at its offset",
        file="file-storage/src/file_storage/services/uploads.py",
        before="if offset != actual:",
        after="if offset > actual:",
        caught_by="file-storage/tests/services/test_uploads.py::test_bytes_at_another_offset_are_refused_and_discarded",
    ),
    Mutation(
        rule="a stored name contains no folder of the client",
        file="file-storage/src/file_storage/services/names.py",
        before='client_name.replace("\\\\", "/").rstrip("/").rsplit("/", 1)[-1]',
        after="client_name",
        caught_by="file-storage/tests/services/test_names.py",
    ),
    Mutation(
        rule="a range includes the last byte that it names",
        file="file-storage/src/file_storage/sending/ranges.py",
        before="else min(stop, size)",
        after="else min(stop - 1, size)",
        caught_by="file-storage/tests/sending/test_ranges.py"
        "::test_a_range_ends_with_the_file_and_includes_both_of_its_ends",
    ),
    Mutation(
        rule="a date in If-Range must equal the file's date, or the range is ignored",
        file="file-storage/src/file_storage/headers/conditions.py",
        before="date == modified if",
        after="date >= modified if",
        caught_by="file-storage/tests/headers/test_conditions.py::test_if_range_with_another_date_ignores_the_range",
    ),
    Mutation(
        rule="a signed link is valid until it expires",
        file="file-storage/src/file_storage/services/links.py",
        before="if claim.expires_at <= time.time():",
        after="if claim.expires_at <= 0:",
        caught_by="file-storage/tests/services/test_links.py::test_a_link_that_has_expired_is_refused",
    ),
    # Access.
    Mutation(
        rule="a webhook reaches public addresses only",
        file="image-processor/src/image_processor/services/outbound.py",
        before="return is_public(address) and",
        after="return address.is_global and",
        caught_by="image-processor/tests/services/test_outbound.py::test_a_special_address_gets_no_connection",
    ),
    Mutation(
        rule="a webhook reaches the address that was judged",
        file="image-processor/src/image_processor/services/outbound.py",
        before="            str(addresses[0]), port,",
        after="            host, port,",
        caught_by="image-processor/tests/services/test_outbound.py"
        "::test_a_host_is_looked_up_once_and_the_judged_address_is_connected",
    ),
    Mutation(
        rule="a receiver that never answers blocks no other",
        file="image-processor/src/image_processor/services/tasks/webhooks.py",
        before="            room = (1 if failures else DELIVERIES_OF_A_HOST) - taken",
        after="            room = 1 if failures else DELIVERIES_OF_A_HOST",
        caught_by="image-processor/tests/background/test_webhook_sender.py"
        "::test_a_receiver_that_never_answers_blocks_no_other",
    ),
    Mutation(
        rule="the signature of a webhook covers its timestamp",
        file="image-processor/src/image_processor/services/tasks/webhook_signature.py",
        before=".sign(message_id, now, body.decode())",
        after=".sign(message_id, datetime.fromtimestamp(0, UTC), body.decode())",
        caught_by="image-processor/tests/background/test_webhook_sender.py"
        "::test_the_signature_verifies_with_the_standard_webhooks_library",
    ),
    Mutation(
        rule="each key has secrets of its own",
        file="image-processor/src/image_processor/services/tasks/webhook_signature.py",
        before="    if key_id is not None:",
        after="    if key_id is not None and owner == LOCAL_OWNER:",
        caught_by="image-processor/tests/background/test_webhook_sender.py"
        "::test_each_key_has_its_own_secrets_regardless_of_its_owner",
    ),
    Mutation(
        rule="nobody is shown the secret that those of all keys follow from",
        file="image-processor/src/image_processor/routers/webhooks.py",
        before="secrets_of_key(key_id, installation)]",
        after="installation]",
        caught_by="image-processor/tests/routers/test_webhook_secret_routes.py"
        "::test_a_key_gets_the_secrets_that_sign_its_webhooks",
    ),
    Mutation(
        rule="only nginx names the file with the body of an upload",
        file=_NGINX,
        before='# Clients cannot set these; nginx does, below.\n        proxy_set_header X-Body-File "";',
        after="# Clients cannot set these; nginx does, below.",
        caught_by="tests/e2e/test_body_files.py::test_a_client_cannot_name_a_body_file_by_another_spelling_of_the_url",
    ),
    Mutation(
        rule="the published port shows no metrics",
        file=_NGINX,
        before="location ~ ^/api/file-server/metrics/?$ {\n            if ($limited_address) { return 404; }",
        after="location ~ ^/api/file-server/metrics/?$ {",
        caught_by="tests/e2e/test_metrics.py::test_the_published_port_has_no_metrics",
    ),
    Mutation(
        rule="the list of links has the limits of lists",
        file=_NGINX,
        before="(trash|index|folders|links|",
        after="(trash|index|folders|",
        caught_by="tests/security/test_lists.py",
    ),
    Mutation(
        rule="a change of keys on the machine is recorded",
        file="service-kit/src/service_kit/access/__main__.py",
        before="        trail.add(change)",
        after="        assert change",
        caught_by="service-kit/tests/access/test_keys_on_the_machine.py",
    ),
    Mutation(
        rule="the database refuses to delete a young entry of the audit trail",
        file="service-kit/src/service_kit/access/retention.py",
        before='is_old = f"OLD.time < {now} -',
        after='is_old = f"OLD.time < {now} +',
        caught_by="service-kit/tests/access/test_retention.py::test_a_young_entry_is_neither_changed_nor_deleted",
    ),
    Mutation(
        rule="all gates of a service count the requests of an owner together",
        file="service-kit/src/service_kit/access/gate_injectors.py",
        before=", rates.SHARED)",
        after=", rates.Rates())",
        caught_by="service-kit/tests/access/test_gate.py::test_gates_of_a_service_count_requests_together",
    ),
    Mutation(
        rule="a sign-in counts as a request of the owner",
        file="service-kit/src/service_kit/access/gate.py",
        before="        if not is_counted:",
        after="        if is_counted:",
        caught_by="service-kit/tests/access/test_access_routers.py",
    ),
    Mutation(
        rule="a key has a limited number of sessions",
        file="service-kit/src/service_kit/access/keys.py",
        before="newest_first.offset(SESSIONS_OF_A_KEY - 1)",
        after="newest_first.offset(100 * SESSIONS_OF_A_KEY)",
        caught_by="service-kit/tests/access/test_keys.py"
        "::test_the_oldest_session_of_a_key_ends_when_too_many_browsers_sign_in",
    ),
    Mutation(
        rule="nginx counts the addresses of an IPv6 network together",
        file=_NGINX,
        before="(?<first_half>.{8}).{8}$",
        after="(?<first_half>.{16})$",
        caught_by="tests/e2e/test_nginx_limits.py::test_the_addresses_of_an_ipv6_network_have_the_limits_of_one",
    ),
    Mutation(
        rule="nginx lets only the pages of named origins read its refusals",
        file=_NGINX,
        before='[|](?P=origin_in_list)$"',
        after='[|](?P=origin_in_list)"',
        caught_by="tests/e2e/test_nginx_limits.py::test_another_origin_reads_no_refusal_of_nginx",
    ),
    Mutation(
        rule="event streams answer pages of named origins",
        file="service-kit/src/service_kit/access/asgi_gate.py",
        before="headers.update(added)",
        after="headers.update({})",
        caught_by="tests/security/test_cors.py",
    ),
    Mutation(
        rule="nginx receives a large body only after a yes",
        file=_NGINX,
        before="                auth_request /question;\n",
        after="",
        caught_by="tests/e2e/test_questions.py::test_wrong_keys_send_no_body",
    ),
    Mutation(
        rule="a client that leaves before the answer holds no bytes",
        file=_NGINX,
        before="            proxy_ignore_client_abort on;\n",
        after="",
        caught_by="tests/e2e/test_questions.py::test_a_client_that_leaves_before_the_answer_holds_no_bytes",
    ),
    Mutation(
        rule="an upload and its question count as one request",
        file=_NGINX,
        before="proxy_set_header X-Body-Stage answered;",
        after='proxy_set_header X-Body-Stage "";',
        caught_by="tests/e2e/test_questions.py::test_an_upload_and_its_question_count_as_one_request",
    ),
    Mutation(
        rule="a promise whose body does not begin ends",
        file="file-storage/src/file_storage/services/promises.py",
        before="        return _lifetime(self.size) - self.left > BEGIN_SECONDS",
        after="        return False",
        caught_by="file-storage/tests/services/test_promises.py::test_a_promise_whose_body_does_not_begin_ends",
    ),
    Mutation(
        rule="the same free bytes are promised once",
        file="file-storage/src/file_storage/services/promises.py",
        before="        if self._outstanding(connection) > self._staging.room():",
        after="        if more > self._staging.room():",
        caught_by="file-storage/tests/services/test_promises.py"
        "::test_concurrent_uploads_are_not_promised_the_same_bytes",
    ),
    # Images.
    Mutation(
        rule="the EXIF orientation of an image is applied",
        file="image-processor/src/image_processor/services/codec/decoding.py",
        before="return _turned(_opened(source, format_name, 1, access=access, **options), upright=upright)",
        after="return _turned(_opened(source, format_name, 1, access=access, **options), upright=False)",
        caught_by="image-processor/tests/test_geometry.py::test_orientation_is_applied_once",
    ),
    Mutation(
        rule="the colors of transparent pixels do not bleed into a resized image",
        file="image-processor/src/image_processor/imaging/scaling.py",
        before="on_premultiplied(straight, lambda bands: resampled(bands, width, height, kernel))",
        after="resampled(straight, width, height, kernel)",
        caught_by="image-processor/tests/test_geometry.py::test_transparent_colors_do_not_bleed_into_a_smaller_image",
    ),
    Mutation(
        rule="a result keeps the ICC profile of its source",
        file="image-processor/src/image_processor/services/codec/saving.py",
        before='kept = [] if output.profile == "strip" else ["icc"]',
        after='kept = [] if output.profile != "srgb" else ["icc"]',
        caught_by="image-processor/tests/test_output.py::test_the_copyright_and_the_profile_stay_by_default",
    ),
    Mutation(
        rule="no result contains an ICC profile that cannot be read",
        file="image-processor/src/image_processor/services/codec/colors.py",
        before="or suits(bytes(image.get(PROFILE)), image):",
        after="or image.get(PROFILE):",
        caught_by="image-processor/tests/test_output.py::test_a_profile_that_cannot_be_read_is_in_no_result",
    ),
    Mutation(
        rule="an image by URL shows the first frame of an animation that cannot be read as a whole",
        file="image-processor/src/image_processor/services/codec/process.py",
        before="decoded.unread is None or plan.accepts_still or",
        after="decoded.unread is None or",
        caught_by="image-processor/tests/render/processes/test_process.py::test_an_image_by_url_of_a_sequence_is_its_first_frame",
    ),
    Mutation(
        rule="a search encodes with less effort than a single encoding",
        file="image-processor/src/image_processor/services/codec/saving.py",
        before="efforts = (_SEARCH_EFFORTS if is_searched else _EFFORTS).get(format_name, ())",
        after="efforts = _EFFORTS.get(format_name, ())",
        caught_by="image-processor/tests/services/codec/test_search.py::"
        "test_a_search_has_a_limited_effort_because_it_encodes_many_times",
    ),
    Mutation(
        rule="the pixels of all frames of an animation count",
        file=_LIMITS,
        before="check_pixels(times * sum(frame.width * frame.height for frame in frames), limits, subject)",
        after="check_pixels(frames[0].width * frames[0].height, limits, subject)",
        caught_by="image-processor/tests/services/codec/test_decoding.py::test_the_limit_of_pixels_counts_all_frames",
    ),
    Mutation(
        rule="pixels that cannot be decoded are an error",
        file="image-processor/src/image_processor/services/codec/decoding.py",
        before='_FAIL_ON = "error"',
        after='_FAIL_ON = "truncated"',
        caught_by="image-processor/tests/services/codec/test_decoding.py::"
        "test_pixels_that_cannot_be_decoded_are_an_error_that_names_the_cause",
    ),
    Mutation(
        rule="pixels that a loader gives up with a warning are an error",
        file="image-processor/src/image_processor/services/codec/decoding.py",
        before="    if lost is not None and not (",
        after="    if lost is not None and (",
        caught_by="image-processor/tests/services/codec/test_decoding.py::"
        "test_a_loader_warning_about_lost_pixels_is_an_error",
    ),
    Mutation(
        rule="kept metadata holds no picture of the source",
        file="image-processor/src/image_processor/services/codec/encoding.py",
        before="return without_dropped_parts(described, format_name)",
        after="return described",
        caught_by="image-processor/tests/services/codec/test_descriptions.py::"
        "test_a_result_contains_no_picture_of_the_source",
    ),
    Mutation(
        rule="every frame of an animation is turned upright",
        file="image-processor/src/image_processor/services/codec/decoding.py",
        before="    return _turned(frame, upright=upright)",
        after="    return frame",
        caught_by="image-processor/tests/services/codec/test_decoding.py::test_every_frame_is_rotated_upright",
    ),
    # Responses.
    Mutation(
        rule="a problem names each invalid field by a JSON pointer",
        file="service-kit/src/service_kit/field_errors.py",
        before='pointer = prefix + "".join(f"/{_escaped(part)}" for part in path)',
        after="pointer = prefix",
        caught_by="service-kit/tests/test_problems.py::test_a_pointer_leads_to_the_invalid_value_in_the_request",
    ),
    Mutation(
        rule="a copy of parts keeps its promise of room while its bytes are written",
        file="file-storage/src/file_storage/storage/staging.py",
        before="entry.name.startswith(_OWN_BODY))",
        after="False)",
        caught_by="file-storage/tests/services/test_promises.py::test_a_copy_of_parts_holds_room_until_its_bytes_are_there",
    ),
    Mutation(
        rule="the link to the next page keeps the filter",
        file="service-kit/src/service_kit/paging.py",
        before='query.model_dump(mode="json", exclude_unset=True) | {"after": after}',
        after='{"limit": query.limit, "after": after}',
        caught_by="service-kit/tests/test_paging.py::test_the_next_page_has_the_same_filters",
    ),
    Mutation(
        rule="a page ends before it takes more memory than a request may",
        file="service-kit/src/service_kit/paging.py",
        before="        if size >= PAGE_BYTES:",
        after="        if size >= 1000 * PAGE_BYTES:",
        caught_by="service-kit/tests/test_paging.py",
    ),
    Mutation(
        rule="a lookup is sent in pieces",
        file="file-storage/src/file_storage/routers/files.py",
        before='Response(b"".join(files) if is_short else files, mimetype',
        after='Response(b"".join(files), mimetype',
        caught_by="file-storage/tests/routers/test_archive_routes.py",
    ),
    Mutation(
        rule="a page of a named origin reads answers only with a key",
        file="service-kit/src/service_kit/access/cors.py",
        before="bearer_token(headers) is not None)",
        after='"Authorization" in headers)',
        caught_by="tests/security/test_cors.py::test_another_scheme_is_not_a_key",
    ),
    Mutation(
        rule="a request that comes through any proxy needs a key in the mode local",
        file="service-kit/src/service_kit/access/gate.py",
        before='name.startswith("x-forwarded-")',
        after='name == "x-forwarded-for"',
        caught_by="service-kit/tests/access/test_gate.py",
    ),
    Mutation(
        rule="a POST does not stand for a method whose response ends no connection",
        file="file-storage/src/file_storage/routers/tus.py",
        before='wanted in ("PATCH", "DELETE"):',
        after='wanted in ("PATCH", "DELETE", "HEAD", "OPTIONS"):',
        caught_by="file-storage/tests/routers/test_tus.py",
    ),
    Mutation(
        rule="the password that was published stops the start",
        file="service-kit/src/service_kit/secrets.py",
        before="    if PUBLISHED in value:",
        after="    if False and PUBLISHED in value:",
        caught_by="service-kit/tests/test_secrets.py::test_the_published_value_is_refused",
    ),
    Mutation(
        rule="a password that everyone tries first stops the start",
        file="service-kit/src/service_kit/settings.py",
        before="    logins.refuse_known(expanded)\n",
        after="",
        caught_by="service-kit/tests/test_settings.py::test_a_known_password_of_another_machine_is_refused",
    ),
    Mutation(
        rule="a worker's database role reaches no presets",
        file="image-processor/src/image_processor/migrations/grants.py",
        before='        "batch_keys": "SELECT, UPDATE (created_at), DELETE",',
        after='        "batch_keys": "SELECT, UPDATE (created_at), DELETE", "presets": "SELECT, UPDATE",',
        caught_by="tests/e2e/test_database_roles.py::test_a_process_without_migrations_has_the_privileges_of_its_job",
    ),
    Mutation(
        rule="a worker's database role does not choose where a webhook goes",
        file="image-processor/src/image_processor/migrations/grants.py",
        before='        "tasks": f"SELECT, UPDATE ({_STATE}), DELETE",',
        after='        "tasks": "SELECT, UPDATE, DELETE",',
        caught_by="tests/e2e/test_database_roles.py::test_a_decoder_that_was_taken_over_sends_no_webhook_of_its_own",
    ),
    Mutation(
        rule="a stored result can be reused",
        file="image-processor/src/image_processor/services/jobs/result_upload.py",
        before="        if hits:",
        after="        if False:",
        caught_by="image-processor/tests/services/jobs/test_result_upload.py"
        "::test_only_results_with_a_key_that_were_stored_can_be_reused",
    ),
    Mutation(
        rule="a stored result leaves the worker's disk",
        file="image-processor/src/image_processor/services/jobs/result_upload.py",
        before="            result.path.unlink()",
        after="            pass",
        caught_by="image-processor/tests/services/jobs/test_result_upload.py"
        "::test_a_stored_result_leaves_the_disk_and_is_a_file",
    ),
    Mutation(
        rule="a render process's database role makes no keys",
        file="service-kit/src/service_kit/access/migrations/grants.py",
        before='        "access_keys": "SELECT, UPDATE (last_used_at)",',
        after='        "access_keys": "SELECT, INSERT, UPDATE",',
        caught_by="tests/e2e/test_database_roles.py::test_a_render_process_that_was_taken_over_makes_no_key",
    ),
    Mutation(
        rule="the secret of a process opens only the routes of its job",
        file="service-kit/src/service_kit/access/gate.py",
        before="scopes = SCOPES_OF_PROCESSES[process]",
        after="scopes = SCOPES_OF_PROCESSES[process] | frozenset(Scope)",
        caught_by="service-kit/tests/access/test_gate.py::test_a_process_has_the_scopes_of_its_job",
    ),
    Mutation(
        rule="a decoder that was taken over is not the user of this machine",
        file="service-kit/src/service_kit/access/gate.py",
        before="if asked.headers.get(INNER_PORT):",
        after='if asked.headers.get(INNER_PORT) == "never":',
        caught_by="service-kit/tests/access/test_gate.py::test_without_a_key_the_inner_port_shows_at_most_metrics",
    ),
    Mutation(
        rule="the page and the resolution of a source are part of the result cache's key",
        file="image-processor/src/image_processor/services/codec/plan.py",
        before="_dumped(self.encoding), _dumped(self.source)]",
        after="_dumped(self.encoding)]",
        caught_by="image-processor/tests/services/test_source.py::test_the_cache_key_depends_on_page_and_resolution",
    ),
    Mutation(
        rule="a plain EXIF of a PNG counts before one that begins as in a JPEG, in both services",
        file="file-storage/src/file_storage/services/media/png_header.py",
        before="places.get(True) or places.get(False)",
        after="places.get(False) or places.get(True)",
        caught_by="file-storage/tests/services/media/test_media.py::"
        "test_exif_that_begins_as_in_a_jpeg_turns_a_png_as_in_the_image_processor",
    ),
    Mutation(
        rule="EXIF describes the colors of a PNG only if none of its chunks does",
        file="image-processor/src/image_processor/services/codec/colors.py",
        before=" and not _CHUNKS & chunks.keys()",
        after="",
        caught_by="image-processor/tests/test_output.py::test_chunks_of_a_png_count_before_its_exif",
    ),
    Mutation(
        rule="the AV1 stream describes the colors of an AVIF without a box",
        file="image-processor/src/image_processor/services/codec/colors.py",
        before="        coded = colors_of_stream(source)",
        after="        coded = None",
        caught_by="image-processor/tests/services/codec/test_avif.py",
    ),
    Mutation(
        rule="a cropped HEIF or AVIF has the same size in both services",
        file="file-storage/src/file_storage/services/media/heif_header.py",
        before="width = (width + width_divisor // 2) // width_divisor",
        after="width = width // width_divisor",
        caught_by="file-storage/tests/services/media/test_media.py::test_a_cropped_image_has_the_size_that_libheif_shows",
    ),
    Mutation(
        rule="alpha of a JPEG 2000 is found where OpenJPEG moves it",
        file="image-processor/src/image_processor/services/readers/jpeg2000.py",
        before="order[place], order[color - 1] = order[color - 1], order[place]",
        after="pass",
        caught_by="image-processor/tests/services/readers/test_raster.py::"
        "test_the_channels_of_a_jpeg_2000_have_their_order_and_meaning",
    ),
    Mutation(
        rule="pixels of a JPEG XL are decoded to their original profile",
        file="image-processor/src/image_processor/services/readers/libjxl.py",
        before="            if event == _COLOR_ENCODING:\n                _keep_profile(decoder)\n            elif",
        after="            if",
        caught_by="image-processor/tests/services/readers/test_jpegxl.py::test_an_icc_profile_is_kept_with_its_pixels",
    ),
    Mutation(
        rule="a floating-point JPEG XL above white is not clipped",
        file="image-processor/src/image_processor/services/readers/libjxl.py",
        before="    if info.exponent_bits_per_sample:\n        return 32",
        after="    if info.exponent_bits_per_sample:\n        return 16",
        caught_by="image-processor/tests/services/readers/test_jpegxl.py::"
        "test_floating_point_above_white_is_refused_as_in_a_tiff",
    ),
    Mutation(
        rule="the planes of a TIFF with gray and alpha are not mixed up",
        file="image-processor/src/image_processor/services/codec/mended_tiff.py",
        before="    if page.is_gray_in_planes:",
        after="    if page.is_gray_in_planes and page.is_8_bit:",
        caught_by="image-processor/tests/test_kinds.py::test_gray_in_planes_is_gray_with_its_alpha",
    ),
    Mutation(
        rule="trying a decoder of libtiff is not a complaint about the file",
        file="image-processor/src/image_processor/services/codec/tiff_decoders.py",
        before="    with complaints.unheard():",
        after="    for _ in range(1):",
        caught_by="image-processor/tests/services/codec/test_tiff_decoders.py::"
        "test_trying_the_decoders_is_not_a_complaint_about_the_file",
    ),
    Mutation(
        rule="a decoder without enough memory does not report a damaged file",
        file="image-processor/src/image_processor/services/readers/libjxl.py",
        before="self.is_out |= place is None",
        after="self.is_out |= False",
        caught_by="image-processor/tests/services/readers/test_jpegxl.py::test_too_little_memory_is_not_reported_as_damage",
    ),
    # Pictures by URL.
    Mutation(
        rule="slow renders leave half of the processes to others",
        file="image-processor/src/image_processor/render/processes/pool.py",
        before="slow_too=slow < max(1, self._count // 2)",
        after="slow_too=slow < self._count",
        caught_by="image-processor/tests/render/processes/test_pool.py::test_at_most_half_of_the_processes_do_slow_renders",
    ),
    Mutation(
        rule="an answer from before a file was to be forgotten is not remembered",
        file="image-processor/src/image_processor/render/sources/file_rows.py",
        before="        if self._forgotten == forgotten:\n",
        after="        if self._forgotten >= forgotten:\n",
        caught_by="image-processor/tests/render/sources/test_file_rows.py"
        "::test_what_was_on_its_way_when_a_file_was_to_be_forgotten_is_not_remembered",
    ),
    Mutation(
        rule="the least recently used results go first",
        file="image-processor/src/image_processor/render/cache.py",
        before="        self._uses[key] = time.time()\n",
        after="",
        caught_by="image-processor/tests/render/test_cache.py::test_the_least_recently_used_results_go_for_a_new_one",
    ),
    Mutation(
        rule="a guest gets thumbnails only while the link is open",
        file="image-processor/src/image_processor/render/routers/api.py",
        before="        if refusal is not None:\n",
        after="        if False:\n",
        caught_by="tests/api/test_shared_thumbnails.py::test_a_revoked_link_shows_no_thumbnail_not_even_a_known_one",
    ),
    Mutation(
        rule="nginx forgets the images of a file whose renders are removed",
        file="image-processor/src/image_processor/render/routers/api.py",
        before="        await self._nginx_cache.forget(file_id, sha256)\n",
        after="",
        caught_by="tests/api/test_render.py::test_what_nginx_keeps_ends_at_once_when_the_renders_of_a_file_are_removed",
    ),
    Mutation(
        rule="nginx forgets images that were made from another file with the same bytes, too",
        file="image-processor/src/image_processor/render/routers/nginx_cache.py",
        before=" or file.sha256 == sha256 for file",
        after=" for file",
        caught_by="image-processor/tests/render/routers/test_nginx_cache.py::"
        "test_nginx_forgets_what_is_made_from_a_file_or_the_same_bytes",
    ),
    Mutation(
        rule="nginx keeps nothing that was rendered while the renders of its file were removed",
        file="image-processor/src/image_processor/render/routers/nginx_cache.py",
        before="        if self._removals.concern(files, found.removals):\n            return\n",
        after="",
        caught_by="image-processor/tests/render/routers/test_nginx_cache.py::"
        "test_what_was_rendered_while_its_results_were_removed_is_not_kept",
    ),
    Mutation(
        rule="a render during which its file was forgotten is not kept",
        file="image-processor/src/image_processor/render/service.py",
        before=" and not self._removals.concern(found.stored_files, found.removals)",
        after="",
        caught_by="image-processor/tests/render/test_service.py::"
        "test_a_render_during_which_its_file_is_forgotten_is_sent_but_not_kept",
    ),
    Mutation(
        rule="a result whose origin forbids it is not kept",
        file="image-processor/src/image_processor/render/service.py",
        before="if found.may_be_kept and",
        after="if",
        caught_by="image-processor/tests/render/test_service.py::test_a_render_is_kept_only_if_its_origin_allows_it",
    ),
    Mutation(
        rule="clients keep an image of an origin no longer than the origin says",
        file="image-processor/src/image_processor/render/routers/images.py",
        before="            seconds = min(seconds, max(0, int(left)))\n",
        after="",
        caught_by="image-processor/tests/render/routers/test_images.py::"
        "test_clients_keep_an_image_no_longer_than_its_origin_says",
    ),
    Mutation(
        rule="the sentence in an answer of a render process has a limited length in every language",
        file="service-kit/src/service_kit/texts.py",
        before="    if length > _LONGEST_FILLED:\n",
        after="    if length < 0:\n",
        caught_by="image-processor/tests/render/processes/test_messages.py::test_other_data_than_an_answer_is_malformed",
    ),
    Mutation(
        rule="the template in an answer of a render process only inserts values",
        file="image-processor/src/image_processor/render/processes/messages.py",
        before="    if stored(said) != document:\n",
        after="    if not said:\n",
        caught_by="image-processor/tests/render/processes/test_messages.py::test_other_data_than_an_answer_is_malformed",
    ),
    Mutation(
        rule="a stored template only inserts values",
        file="service-kit/src/service_kit/texts.py",
        before=" or not all(map(_only_inserts, templates))",
        after="",
        caught_by="service-kit/tests/test_texts.py::"
        "test_a_stored_template_that_does_more_than_insert_values_is_not_restored",
    ),
    Mutation(
        rule="the main process of a worker takes only data from its processes",
        file="image-processor/src/image_processor/worker.py",
        before=", worker_pool=WorkPool",
        after="",
        caught_by="tests/e2e/test_limits.py::test_a_picture_that_takes_a_process_over_runs_nothing_outside_the_sandbox",
    ),
    Mutation(
        rule="a process of a worker cannot have another one killed by announcing its end",
        file="image-processor/src/image_processor/handler/work_pool.py",
        before="    handler.state_handlers[pool.DEATH] = lambda *_: None\n",
        after="",
        caught_by="image-processor/tests/handler/test_work_pool.py::test_a_process_cannot_have_another_one_killed",
    ),
    Mutation(
        rule="a process of a worker can accept a task only in its own name",
        file="image-processor/src/image_processor/handler/pool_messages.py",
        before="process == self._process.pid and self._accepted is None",
        after="self._accepted is None",
        caught_by="image-processor/tests/handler/test_pool_messages.py::"
        "test_a_process_may_speak_only_of_itself_and_its_job",
    ),
    Mutation(
        rule="a process of a worker inherits no pipe in which another one writes",
        file="image-processor/src/image_processor/handler/isolated_process.py",
        before="        os.dup2(nothing, descriptor, inheritable=False)\n",
        after="        pass\n",
        caught_by="image-processor/tests/handler/test_work_pool.py::test_a_process_has_no_pipe_of_another_one",
    ),
    Mutation(
        rule="a death that no database takes delays no other",
        file="image-processor/src/image_processor/background/heartbeat.py",
        before="            except (DataError, OverflowError, ValueError) as error:\n",
        after="            except ValueError as error:\n",
        caught_by="image-processor/tests/background/test_heartbeat.py::"
        "test_a_death_that_no_database_takes_does_not_delay_the_next",
    ),
    Mutation(
        rule="a worker kills no process but its own for a row that names it",
        file="image-processor/src/image_processor/background/heartbeat.py",
        before="            if _is_child(process):\n",
        after="            if process:\n",
        caught_by="image-processor/tests/background/test_heartbeat.py::"
        "test_a_process_of_others_is_not_killed_for_a_row_that_names_it",
    ),
    Mutation(
        rule="an index that cannot be written fails no picture",
        file="image-processor/src/image_processor/render/cache.py",
        before="            self._drop_oldest()\n            return\n",
        after="            raise\n",
        caught_by="image-processor/tests/render/test_cache.py::test_an_index_that_cannot_be_written_loses_no_result",
    ),
    Mutation(
        rule="a format that the codec chooses has its own options",
        file="image-processor/src/image_processor/services/codec/encoding.py",
        before="    output = by_format.get(chosen, output)\n",
        after="",
        caught_by="image-processor/tests/render/processes/test_process.py::"
        "test_a_format_of_the_codec_s_choice_has_the_options_of_that_format",
    ),
    Mutation(
        rule="the best format is lossless only if the file is not much larger",
        file="image-processor/src/image_processor/services/codec/smallest.py",
        before="_WORTH = 1.5\n",
        after="_WORTH = 50\n",
        caught_by="image-processor/tests/render/processes/test_best.py::"
        "test_no_kind_of_picture_is_much_larger_than_the_smallest_file",
    ),
    Mutation(
        rule="a page of text in the best format is lossless, although the file is a little larger",
        file="image-processor/src/image_processor/services/codec/smallest.py",
        before="_WORTH = 1.5\n",
        after="_WORTH = 1\n",
        caught_by="image-processor/tests/render/processes/test_best.py::"
        "test_a_large_page_of_text_keeps_every_pixel_for_few_bytes_more",
    ),
    Mutation(
        rule="a limit of bytes holds for the lossless files of the best format",
        file="image-processor/src/image_processor/services/codec/smallest.py",
        before=" if size <= limit]",
        after="]",
        caught_by="image-processor/tests/render/processes/test_best.py::"
        "test_a_lossless_file_above_the_limit_is_not_sent",
    ),
    Mutation(
        rule="an opaque alpha leaves the best format the choice of JPEG",
        file="image-processor/src/image_processor/services/codec/candidates.py",
        before="alpha.min() == maximum(image)",
        after="alpha.min() > maximum(image)",
        caught_by="image-processor/tests/render/processes/test_best.py::test_an_opaque_alpha_is_not_kept",
    ),
    Mutation(
        rule="a redirect of an origin is judged as the first URL",
        file="image-processor/src/image_processor/render/sources/origins.py",
        before="        for _ in range(self._settings.max_redirects + 1):\n            self._judged(url)\n",
        after="        for _ in range(self._settings.max_redirects + 1):\n",
        caught_by="image-processor/tests/render/sources/test_origins.py",
    ),
    # The front of the embedded stack.
    Mutation(
        rule="the front sends no more of a file than the Content-Length",
        file="pixmill/src/pixmill/front/app.py",
        before="min(SEND_BYTES, left), position)",
        after="SEND_BYTES, position)",
        caught_by="pixmill/tests/front/test_app.py::test_the_content_length_decides_how_many_bytes_of_a_file_are_sent",
    ),
    Mutation(
        rule="the front asks uWSGI for no request with a deadline before its body is complete",
        file="pixmill/src/pixmill/front/app.py",
        before="client.buffer_body(longest)",
        after="client.buffer_body(MAX_BUFFERED)",
        caught_by="pixmill/tests/front/test_app.py",
    ),
    Mutation(
        rule="a request with two declarations of its length is refused",
        file="pixmill/src/pixmill/front/framing.py",
        before='if b"content-length" in headers:',
        after='if b"content-length" not in headers and headers == {}:',
        caught_by="pixmill/tests/front/test_framing.py",
    ),
    Mutation(
        rule="the options of a connection do not remove the marks of a proxy",
        file="pixmill/src/pixmill/front/app.py",
        before='        if not option.startswith(b"x-forwarded-")\n',
        after="",
        caught_by="pixmill/tests/front/test_app.py::test_the_options_of_a_connection_do_not_remove_what_the_front_adds",
    ),
    Mutation(
        rule="a client that still sends a refused body can read the answer",
        file="pixmill/src/pixmill/front/client.py",
        before="                while self._has_more:\n",
        after="                while False:\n",
        caught_by="pixmill/tests/front/test_client.py",
    ),
    Mutation(
        rule="every letter of a link's signature is compared",
        file="file-storage/src/file_storage/services/links.py",
        before="hmac.compare_digest(given.encode(), expected.encode())",
        after="hmac.compare_digest(given.encode()[:-1], expected.encode()[:-1])",
        caught_by="file-storage/tests/services/test_links.py",
    ),
    Mutation(
        rule="a link is valid only with the server's signature",
        file="file-storage/src/file_storage/services/links.py",
        before="if not any(_equal(signature, _signature(secret, text)) for secret in self._secrets):",
        after='if "." not in text:',
        caught_by="file-storage/tests/services/test_links.py",
    ),
    Mutation(
        rule="a link for a set sends no file outside the set",
        file="file-storage/src/file_storage/services/shared_sets.py",
        before="        if file_id in shared.file_ids:",
        after="        if file_id:",
        caught_by="file-storage/tests/services/test_shared_sets.py::test_a_file_that_is_not_in_the_set_is_not_found",
    ),
    Mutation(
        rule="a ticket opens only the link whose password was given",
        file="file-storage/src/file_storage/services/shared_sets.py",
        before='text = f"{shared.link_id}\\0{shared.password_hash}\\0{expires_at}"',
        after='text = f"{expires_at}"',
        caught_by="file-storage/tests/services/test_shared_sets.py"
        "::test_a_ticket_opens_its_link_alone_and_only_while_the_password_is_the_same",
    ),
    Mutation(
        rule="after too many wrong passwords a link takes none",
        file="file-storage/src/file_storage/services/shared_sets.py",
        before="Link.failures >= FAILURES_PER_MINUTE, Link.failures_until",
        after="Link.failures < 0, Link.failures_until",
        caught_by="file-storage/tests/services/test_shared_sets.py"
        "::test_after_too_many_wrong_passwords_no_password_is_compared_for_a_minute",
    ),
    Mutation(
        rule="a right password does not count as a wrong one",
        file="file-storage/src/file_storage/services/shared_sets.py",
        before="            if matches(password, shared.password_hash):\n",
        after="            if matches(password, shared.password_hash) and self._known.has(shared, password):\n",
        caught_by="file-storage/tests/services/test_shared_sets.py"
        "::test_many_requests_with_the_right_password_at_once_are_all_admitted",
    ),
    Mutation(
        rule="a route without parameters refuses a query",
        file="service-kit/src/service_kit/query.py",
        before="    app.before_request(refuse)\n",
        after="",
        caught_by="service-kit/tests/test_query.py::test_a_query_is_refused_where_a_route_defines_none",
    ),
    Mutation(
        rule="a restart that reaches the limit answers what it has done",
        file="image-processor/src/image_processor/services/tasks/bulk.py",
        before="                if not changed:\n                    raise\n",
        after="                raise\n",
        caught_by="image-processor/tests/services/tasks/test_bulk.py"
        "::test_a_limit_that_is_reached_between_two_steps_ends_the_request_with_what_was_restarted",
    ),
    Mutation(
        rule="a folder in a filter is refused at its own place",
        file="file-storage/src/file_storage/routers/schemas.py",
        before="    with domain_errors_as_rules():\n        wanted_folder(folder)\n",
        after="",
        caught_by="file-storage/tests/routers/test_trash_requests.py",
    ),
    # Owners.
    Mutation(
        rule="a file of another owner does not exist",
        file="file-storage/src/file_storage/services/file_rows.py",
        before='_OWNED = File.owner == bindparam("owner")',
        after='_OWNED = File.owner != bindparam("owner") + "-"',
        caught_by="file-storage/tests/services/test_owners.py",
    ),
    Mutation(
        rule="only our own processes say of which task a file is the result",
        file="file-storage/src/file_storage/services/storing.py",
        before="    if not principal.is_service:",
        after="    if principal.is_service:",
        caught_by="file-storage/tests/routers/test_rows.py",
    ),
    Mutation(
        rule="a file that has expired does not exist",
        file="file-storage/src/file_storage/services/file_rows.py",
        before="(File.expires_at > epoch_now())",
        after="(File.expires_at > 0)",
        caught_by="file-storage/tests/services/test_expiry.py",
    ),
    Mutation(
        rule="a folder never leads out of the one that was sent",
        file="file-storage/src/file_storage/services/folders.py",
        before='if path.startswith("/") or _DRIVE.match(path) or any(map(_is_dots, parts)):',
        after='if path.startswith("/"):',
        caught_by="file-storage/tests/services/test_folders.py",
    ),
    Mutation(
        rule="a file in the trash is nowhere else",
        file="file-storage/src/file_storage/services/file_rows.py",
        before="PRESENT = File.deleted_at.is_(None)",
        after="PRESENT = (File.id > 0)",
        caught_by="file-storage/tests/routers/test_trashed_files.py",
    ),
    Mutation(
        rule="unfinished uploads count towards the quotas",
        file="file-storage/src/file_storage/services/quota.py",
        before="totals.bytes + totals.reserved",
        after="totals.bytes",
        caught_by="file-storage/tests/services/test_quota.py",
    ),
    Mutation(
        rule="an owner has at most a number of unfinished uploads",
        file="file-storage/src/file_storage/services/uploads.py",
        before="            if not upload.finished:\n                self._check_unfinished(",
        after="            if upload.finished:\n                self._check_unfinished(",
        caught_by="file-storage/tests/services/test_uploads.py"
        "::test_an_owner_has_at_most_a_number_of_unfinished_uploads",
    ),
    Mutation(
        rule="a discarded result is forgotten only when file-storage has revoked its key",
        file="image-processor/src/image_processor/services/files/client.py",
        before="if response.status_code != 204:",
        after="if response.status_code >= 500:",
        caught_by="image-processor/tests/services/files/test_results_of_owners.py"
        "::test_a_discarded_result_that_is_being_uploaded_is_revoked_again",
    ),
    Mutation(
        rule="an idempotency key is one of its owner's alone",
        file="file-storage/src/file_storage/services/idempotency.py",
        before='IdempotencyKey.owner == bindparam("owner"), ',
        after='IdempotencyKey.owner != bindparam("owner") + "-", ',
        caught_by="file-storage/tests/services/test_owners.py",
    ),
    Mutation(
        rule="the key of a repeated copy answers even if the source has changed",
        file="file-storage/src/file_storage/routers/files.py",
        before="if earlier is not None:",
        after="if False:",
        caught_by="file-storage/tests/routers/test_copies.py",
    ),
    Mutation(
        rule="a deletion by filter keeps a file that no longer matches when it is locked",
        file="file-storage/src/file_storage/services/trash.py",
        before="matching, *file_filter.conditions())",
        after="matching)",
        caught_by="file-storage/tests/services/test_trash.py",
    ),
    # Images.
    Mutation(
        rule="a result has no GPS position, unless the request asks for it",
        file="image-processor/src/image_processor/imaging/output.py",
        before='        default="copyright",\n        description="`keep`',
        after='        default="keep",\n        description="`keep`',
        caught_by="image-processor/tests/test_output.py::test_no_result_has_the_place_of_a_photograph_by_default",
    ),
    Mutation(
        rule="a parameter that is given in both spellings is refused",
        file="image-processor/src/image_processor/imaging/params.py",
        before="if len(given) > 1:",
        after="if len(given) > 2:",
        caught_by="image-processor/tests/test_spelling.py::test_both_spellings_at_once_are_refused",
    ),
    Mutation(
        rule="a character that no font has is an error",
        file="image-processor/src/image_processor/imaging/typeset.py",
        before="    if missing:",
        after="    if missing and not text:",
        caught_by="image-processor/tests/test_text.py::test_characters_that_no_font_has_are_named",
    ),
    Mutation(
        rule="the outline of a text contrasts with it",
        file="image-processor/src/image_processor/imaging/typeset.py",
        before='return "#000000" if luminance > 0.179 else "#ffffff"',
        after='return "#ffffff" if luminance > 0.179 else "#000000"',
        caught_by="image-processor/tests/test_text.py::test_a_text_is_readable_on_any_background_by_default",
    ),
    Mutation(
        rule="a format supports a profile only if a written file still contains it",
        file="image-processor/src/image_processor/services/codec/encoding.py",
        before="return bool(written.get_typeof(PROFILE)) and bytes(written.get(PROFILE)) == profile",
        after="return bool(written.width)",
        caught_by="image-processor/tests/test_output.py::test_a_gif_has_the_colors_of_srgb",
    ),
    Mutation(
        rule="pages of different ICC profiles are not loaded together",
        file="image-processor/src/image_processor/services/codec/tiff.py",
        before="338, _SAMPLE_FORMAT, _SUBSAMPLING, _PROFILE)",
        after="338, _SAMPLE_FORMAT, _SUBSAMPLING)",
        caught_by="image-processor/tests/services/codec/test_decoding.py::test_every_page_has_its_own_depth_and_profile",
    ),
    Mutation(
        rule="8 bits become 16 by a factor, not by a cast",
        file="image-processor/src/image_processor/imaging/color.py",
        before='return (image * 257).cast("ushort")',
        after='return image.cast("ushort")',
        caught_by="image-processor/tests/services/codec/test_decoding.py::test_every_page_has_its_own_depth_and_profile",
    ),
    Mutation(
        rule="the ringing of a kernel does not exceed the samples of a floating-point image",
        file="image-processor/src/image_processor/imaging/samples.py",
        before="made = mix(image).clamp(min=least, max=greatest)",
        after="made = mix(image).copy()",
        caught_by="image-processor/tests/test_kinds.py",
    ),
    # The Python client.
    Mutation(
        rule="the client repeats a creation only if it never left",
        file="pixmill/src/pixmill/client/exchange.py",
        before="(error.sent and not call.repeatable)",
        after="False",
        caught_by="pixmill/tests/client/test_exchange.py::test_a_creation_is_not_sent_again_after_a_lost_answer",
    ),
    Mutation(
        rule="the client sends a read again after a lost answer",
        file="pixmill/src/pixmill/client/exchange.py",
        before="            except UnreachableError as error:\n                if attempt",
        after="            except UnreachableError as error:\n                if True or attempt",
        caught_by="pixmill/tests/client/test_exchange.py::test_a_read_is_sent_again_after_a_lost_answer",
    ),
    Mutation(
        rule="the client creates a resumable upload once",
        file="pixmill/src/pixmill/client/uploads.py",
        before='Call("POST", f"{UPLOADS}/", (), headers, b"")',
        after='Call("POST", f"{UPLOADS}/", (), headers, b"", repeatable=True)',
        caught_by="pixmill/tests/client/test_uploads.py"
        "::test_an_upload_whose_creation_got_no_answer_is_not_created_again",
    ),
    Mutation(
        rule="an upload goes on where an earlier program stopped",
        file="pixmill/src/pixmill/client/uploads.py",
        before="remembered = None if self._memory is None else self._memory.upload_id()",
        after="remembered = None",
        caught_by="pixmill/tests/client/test_uploads.py"
        "::test_a_large_upload_whose_last_answer_was_lost_is_not_sent_again",
    ),
    Mutation(
        rule="a large file that changes during its upload is not stored",
        file="pixmill/src/pixmill/client/uploads.py",
        before="if offset < self._size and self._new.stamp() != self._stamp:",
        after="if offset < self._size and self._new.size < offset:",
        caught_by="pixmill/tests/client/test_uploads.py"
        "::test_a_large_file_that_changes_during_its_upload_is_not_stored",
    ),
    Mutation(
        rule="a small file that changes while it is read is not stored",
        file="pixmill/src/pixmill/client/uploads.py",
        before="        if self.stamp() != before:",
        after="        if before is None:",
        caught_by="pixmill/tests/client/test_uploads.py"
        "::test_a_small_file_that_changes_while_it_is_read_is_not_stored_and_fails_alone",
    ),
    Mutation(
        rule="a download goes on where an earlier program stopped",
        file="pixmill/src/pixmill/client/downloads.py",
        before='headers |= {"Range"',
        after='headers | {"Range"',
        caught_by="pixmill/tests/client/test_downloads.py"
        "::test_a_download_asks_for_the_bytes_that_its_partial_file_lacks",
    ),
    Mutation(
        rule="the client compares the bytes of a download with the digest in the header",
        file="pixmill/src/pixmill/client/downloads.py",
        before="if not stated or self._digest",
        after="if self._digest",
        caught_by="pixmill/tests/client/test_downloads.py::test_bytes_that_do_not_match_the_header_alone_are_damaged",
    ),
    Mutation(
        rule="a file that appears during a download is not replaced",
        file="pixmill/src/pixmill/client/targets.py",
        before="        os.link(file, path)\n",
        after="        file.rename(path)\n        os.link(path, file)\n",
        caught_by="pixmill/tests/client/test_targets.py",
    ),
    Mutation(
        rule="two programs do not write to the same partial file",
        file="pixmill/src/pixmill/client/locks.py",
        before="fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        after="fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
        caught_by="pixmill/tests/client/test_locks.py",
    ),
    # The command line.
    Mutation(
        rule="an empty list of ids does not mean the whole trash",
        file="pixmill/src/pixmill/client/files.py",
        before="        if everything == bool(file_ids):",
        after="        if everything and file_ids:",
        caught_by="pixmill/tests/client/test_file_requests.py::test_the_trash_is_emptied_of_files_or_of_everything",
    ),
    Mutation(
        rule="a result that a hot folder could not fetch is fetched in a later round",
        file="pixmill/src/pixmill/commands/hot_folder.py",
        before="                        continue\n                    else:",
        after="                    else:",
        caught_by="pixmill/tests/commands/test_hot_folder.py"
        "::test_a_result_that_was_not_fetched_is_fetched_later_and_no_other_one_again",
    ),
    Mutation(
        rule="a hot folder goes on after an error that passes",
        file="pixmill/src/pixmill/commands/hot_folder.py",
        before="            if once or not may_pass(error):\n",
        after="            if True:\n",
        caught_by="pixmill/tests/commands/test_files.py::test_a_followed_folder_goes_on_after_an_error_that_passes",
    ),
    Mutation(
        rule="a command that changes something fails if it stops because nobody reads its output",
        file="pixmill/src/pixmill/commands/console.py",
        before="        if unread is Exit.OK:\n",
        after="        if True:\n",
        caught_by="pixmill/tests/commands/test_files.py"
        "::test_a_command_that_stops_before_its_end_because_nobody_reads_it_fails_if_it_changes_something",
    ),
    Mutation(
        rule="a hot folder sends a refused file again only after it has changed",
        file="pixmill/src/pixmill/commands/hot_folder.py",
        before="                        memory.refused[name] = found[name]\n",
        after="",
        caught_by="pixmill/tests/commands/test_hot_folder.py"
        "::test_a_refused_file_is_sent_and_reported_again_only_once_it_has_changed",
    ),
    Mutation(
        rule="an unknown field of --json is refused before the command does anything",
        file="pixmill/src/pixmill/commands/parser.py",
        before="                _check_fields(value, ctx)",
        after="                pass",
        caught_by="pixmill/tests/commands/test_console.py"
        "::test_an_unknown_field_is_refused_before_the_command_does_anything",
    ),
    Mutation(
        rule="--json=FIELDS offers only fields that the command prints",
        file="pixmill/src/pixmill/commands/keys.py",
        before='LISTED_FIELDS = names_of(Key, without=("secret",))',
        after="LISTED_FIELDS = names_of(Key)",
        caught_by="pixmill/tests/commands/test_console.py::test_the_fields_of_keys_are_those_that_the_server_sends",
    ),
    Mutation(
        rule="watch lists the tasks that began before it, once the stream is open",
        file="pixmill/src/pixmill/commands/tasks.py",
        before="for event in _events(pixmill, wanted, run, on_open=fill):",
        after="for event in _events(pixmill, wanted, run, on_open=None):",
        caught_by="pixmill/tests/commands/test_tasks.py::test_the_tasks_are_listed_once_the_stream_is_open",
    ),
]
