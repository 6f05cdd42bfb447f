"""What a connection says before it ends, and when."""

import json

import pytest

from service.http.error_status import ErrorStatus
from service.server.refusals import STATUSES, RefusalStep, RefusedRequest, refusal, refusal_step


@pytest.mark.parametrize(
    ("refused", "started", "complete", "step"),
    [
        (RefusedRequest.LAST, True, True, RefusalStep.EXPLAIN),
        (RefusedRequest.LAST, False, False, RefusalStep.EXPLAIN_LATER),
        (RefusedRequest.LAST, True, False, RefusalStep.EXPLAIN_LATER),
        (RefusedRequest.QUEUED, True, True, RefusalStep.EXPLAIN),
        (RefusedRequest.QUEUED, True, False, RefusalStep.EXPLAIN_LATER),
        (RefusedRequest.RUNNING, False, False, RefusalStep.EXPLAIN_INSTEAD),
        (RefusedRequest.RUNNING, True, False, RefusalStep.FINISH),
        (RefusedRequest.RUNNING, True, True, RefusalStep.END),
    ],
)
def test_a_refusal_breaks_no_response(
    refused: RefusedRequest, started: bool, complete: bool, step: RefusalStep
) -> None:
    """What was asked before is answered first, and no request gets two responses."""
    assert refusal_step(refused, response_started=started, response_complete=complete) is step


@pytest.mark.parametrize("status", set(STATUSES.values()), ids=lambda status: status.code)
def test_a_refusal_is_a_problem(status: ErrorStatus) -> None:
    """A refusal is the last response of its connection, a problem like any other, with the server's own headers."""
    head, _, body = refusal(status, "because", b"date: today\r\n").partition(b"\r\n\r\n")
    problem = json.loads(body)
    first, *lines = head.decode().split("\r\n")
    assert first == f"HTTP/1.1 {status.status} {problem['title']}"
    assert {"date: today", "connection: close", f"content-length: {len(body)}"} <= {*lines}
    assert ("retry-after: 1" in lines) is (status.status == 503)
    assert f"x-request-id: {problem['request_id']}" in lines
    assert (problem["status"], problem["code"], problem["detail"]) == (status.status, status.code, "because")
    assert problem["retryable"] is status.retryable
