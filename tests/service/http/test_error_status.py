"""The table of HTTP statuses and problem codes."""

from service import errors
from service.errors import BusyError, ServiceError
from service.http.error_status import ERROR_STATUSES, error_status
from service.storage.local import DirectoryInUseError


def test_every_error_is_in_the_table() -> None:
    """Each error of the service has its own status and code."""
    raised = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ServiceError)}
    assert raised - {ServiceError, BusyError} <= set(ERROR_STATUSES)


def test_an_error_has_the_status_of_its_nearest_base_class() -> None:
    """An error that is not in the table has the status of its base class; an unexpected one is a 500."""
    assert error_status(DirectoryInUseError("x")).code == "storage-unavailable"
    assert error_status(ZeroDivisionError()).code == "internal-error"
