"""The table that says what each error means in HTTP."""

from service import errors
from service.errors import BusyError, ServiceError
from service.http.error_status import ERROR_STATUSES, error_status
from service.storage.local import DirectoryInUseError


def test_every_error_is_in_the_table() -> None:
    """Each domain error has a status and a code of its own."""
    raised = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ServiceError)}
    assert raised - {ServiceError, BusyError} <= set(ERROR_STATUSES)


def test_an_error_means_what_its_nearest_base_means() -> None:
    """An error that is not in the table is answered as its base is; one that nobody foresaw is a 500."""
    assert error_status(DirectoryInUseError("x")).code == "storage-unavailable"
    assert error_status(ZeroDivisionError()).code == "internal-error"
