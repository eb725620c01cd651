"""What is meant by an option that does not exist: the names that other libraries have for ours."""

from __future__ import annotations

from collections.abc import Sequence

# Of concurrent.futures, multiprocessing, joblib, tenacity, stamina, tqdm, celery and their like.
_ALSO_CALLED = {
    "func": "function fn f callable target task_func worker_func",
    "execution_mode": "mode executor backend pool pool_type kind execution engine prefer",
    "worker_limit": """workers max_workers n_workers num_workers worker_count n_jobs jobs njobs processes
        n_processes nprocs threads n_threads num_threads pool_size concurrency max_concurrency
        max_concurrent concurrency_limit parallelism limit cores cpus""",
    "max_retries": """retries retry n_retries num_retries retry_count retry_times retry_limit total
        attempts max_attempts tries max_tries stop_max_attempt_number""",
    "show_progress": "progress progress_bar show_bar bar use_tqdm verbose",
    "progress_desc": "desc description title label bar_desc",
    "retry_exceptions": """retry_on retry_for autoretry_for exceptions on catch errors retry_errors
        retryable_exceptions exception_types""",
    "retry_delay": """delay backoff backoff_factor retry_backoff wait wait_initial retry_wait
        retry_interval default_retry_delay base_delay initial_delay""",
    "max_retry_delay": """max_delay max_backoff max_wait wait_max retry_backoff_max backoff_max
        max_interval""",
    "task_timeout": "timeout time_limit call_timeout timeout_seconds timeout_s task_time_limit",
    "rate_limit": """rate rate_limiter limiter ratelimit throttle requests_per_second rps qps
        max_per_second calls_per_second per_second""",
    "rate_key": "key limit_key rate_by limit_by per group_by group key_func",
    "max_failures": "max_errors maxfail fail_fast max_failed error_limit failure_limit error_threshold",
    "deadline": "time_budget max_time total_timeout run_timeout max_runtime max_seconds overall_timeout",
    "deduplicate": "dedupe dedup unique distinct skip_duplicates",
    "journal": """checkpoint checkpoints checkpoint_file checkpoint_path resume resume_from resumable
        store storage db database cache cache_dir persist persistent state_file sqlite""",
    "logger": "log logging log_dir log_file log_path",
    "address": "scheduler scheduler_address cluster cluster_address ray_address url endpoint",
    "start_method": "context mp_context ctx multiprocessing_context",
    "worker_state": """initializer init worker_init initialize setup set_up on_start state
        context_manager resource resources local_state""",
    "max_tasks_per_worker": """max_tasks_per_child maxtasksperchild max_tasks worker_lifespan
        max_tasks_per_process tasks_per_worker worker_max_tasks_per_child""",
    "keep_results": "store_results save_results return_results keep results",
    "observers": "observer callbacks callback listeners hooks on_event",
    "stages": "managers steps nodes pipeline",
    "chain_mode": "mode execution_mode executor backend execution",
}
_ATTEMPTS = ("attempts", "max_attempts", "tries", "max_tries", "stop_max_attempt_number", "total")
_TASKS = ("tasks", "task_list", "task", "items", "iterable", "inputs", "input", "data", "urls", "args")
_BATCHES = ("chunksize", "chunk_size", "batch_size", "pre_dispatch")
_OF_A_JOURNAL = ("started", "in_doubt", "codec")


def unknown(kind: str, given: Sequence[str], options: Sequence[str]) -> str:
    """The message for the first of the names given that is no option."""
    name = next(name for name in given if name not in options)
    said = f"{kind} takes no option {name!r}"
    if name in _TASKS:
        return f"{said}; the tasks are given to start(tasks)"
    if name in _BATCHES:
        return f"{said}; batches are sized by the time that the tasks take"
    if name in _OF_A_JOURNAL and "journal" in options:
        return f"{said}; it is one of a journal: journal=Journal(path, {name}=...)"
    meant = _meant(name, options)
    if meant is None:
        return f"{said}; its options are {', '.join(options)}"
    counts = ", which counts the attempts after the first" if name in _ATTEMPTS else ""
    return f"{said}; did you mean {meant}=?{counts}"


def _meant(name: str, options: Sequence[str]) -> str | None:
    for option in options:
        if name.lower() in _ALSO_CALLED.get(option, "").split():
            return option
    import difflib

    close = difflib.get_close_matches(name.lower(), options, 1)
    return close[0] if close else None
