"""What a native library raises when it panics: pyo3's error is no Exception, and its message may hold the text."""


class PanicException(BaseException):
    """As `pyo3_runtime.PanicException`, which cannot be imported."""
